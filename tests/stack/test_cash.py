"""Cash in and out through the doors, and its two ways out racing each other: nothing is ever spent twice."""

import asyncio
from typing import Any

import pytest

from domain.orders.decide import orders
from tests.kit.trading import Market, Trader, until_free
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

WITHDRAWALS = "/v1/accounts/{account_id}/withdrawals"
RACERS = 4
RACES = 3


async def test_a_withdrawal_is_paid_or_refused_by_what_is_free(stack: WholeStack, market: Market) -> None:
    (trader,) = await market.open_and_fund(1, "1000.00")
    assert (await trader.ask("POST", WITHDRAWALS, {"amount": "400.00"})).status == 201
    await until_free(trader, "600.00")
    assert (await trader.ask("POST", WITHDRAWALS, {"amount": "600.01"})).status == 201
    await stack.judge.until(lambda tape: "WithdrawalRefused" in tape.kinds("accounts", trader.account_id))
    await stack.judge.balanced(market.history)
    _, page, _ = await trader.read(WITHDRAWALS)
    assert [(each["status"], each["amount"]) for each in page["withdrawals"]] == [
        ("REFUSED", "600.01"),
        ("PAID", "400.00"),
    ]
    await until_free(trader, "600.00")


@pytest.mark.timeout(240)
async def test_orders_and_withdrawals_that_race_never_overspend(stack: WholeStack, market: Market) -> None:
    traders = await market.open_and_fund(RACERS, "1000.00")
    await traders[0].until_open()
    limit = await traders[0].below("IBM")
    await asyncio.gather(*(_race(trader, limit) for trader in traders))
    await market.cancel_all()
    tape = await stack.judge.balanced(market.history)
    for trader in traders:
        book, spent = orders.initial, []
        for recorded in tape.events("orders", trader.account_id):
            book = orders.evolve(book, recorded.event)
            spent.append(type(recorded.event).__name__)
            assert 0 <= book.reserved <= book.cash, f"{trader.account_id} overspent at version {recorded.version}"
        assert {"OrderPlaced", "CashReserved"} & set(spent), "nobody won the race"
        assert {"OrderRefused", "BookRefused"} & set(spent), "nobody lost the race"


async def _race(trader: Trader, limit: str) -> None:
    """Each of them takes more than half of the cash."""
    shares = str(int(600 // float(limit)) + 1)
    order: dict[str, Any] = {"symbol": "IBM", "side": "BUY", "kind": "LIMIT", "quantity": shares, "limit_price": limit}
    asked = [trader.ask("POST", WITHDRAWALS, {"amount": "600.00"}) for _ in range(RACES)]
    await asyncio.gather(*asked, *(trader.place(**order, time_in_force="GTC") for _ in range(RACES)))
