"""The bell: orders for the day end with it and their cash is free again, orders until cancelled work on."""

import pytest

from tests.kit.trading import ORDER, Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

DAY_SECONDS_MAX = 60.0
"""A market day is twenty seconds; one that begins under way and a busy machine lie in between."""


@pytest.mark.timeout(240)
async def test_day_orders_end_at_the_close_and_no_others(stack: WholeStack, market: Market) -> None:
    (trader,) = await market.open_and_fund(1)
    await trader.until_open()
    terms = {"symbol": "IBM", "side": "BUY", "kind": "LIMIT", "quantity": "1", "limit_price": await trader.below("IBM")}
    for time_in_force in ("DAY", "GTC"):
        assert (await trader.place(**terms, time_in_force=time_in_force)).status == 201
    day, until_cancelled = trader.placed
    tape = await stack.judge.until(
        lambda tape: day not in tape.books()[trader.account_id].working, within_s=DAY_SECONDS_MAX
    )
    book = tape.books()[trader.account_id]
    assert {"OrderExpired", "DayEnded"} & set(tape.kinds("orders", trader.account_id))
    assert list(book.working) == [until_cancelled]
    assert book.reserved == book.working[until_cancelled].reserved
    assert (await trader.ask("DELETE", ORDER, order_id=until_cancelled)).status == 200
    await stack.judge.balanced(market.history)
    _, shown, _ = await trader.read(ORDER.replace("{order_id}", day))
    assert shown["status"] == "EXPIRED"
