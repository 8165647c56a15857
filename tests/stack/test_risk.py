"""A breach from the door to the door: limits, the agent, the saga, the venue, and the way back."""

import pytest

from domain.kernel.ids import OrderId
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit.trading import Market, Trader
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

LIMITS = "/v1/accounts/{account_id}/limits"
SHARES = "5"


def limits(gross_exposure_max: str) -> dict[str, object]:
    return {
        "order_notional_max": "1000000.00",
        "gross_exposure_max": gross_exposure_max,
        "orders_per_minute_max": 600,
        "reason": "a test of the desk",
    }


@pytest.mark.timeout(240)
async def test_a_breach_halts_the_account_until_its_limit_is_raised(stack: WholeStack, market: Market) -> None:
    (trader,) = await market.open_and_fund(1)
    officer = trader.as_holder_of(market.token(EVERY_ACCOUNT, Scope.RISK))
    account = trader.account_id
    await trader.until_open()
    bought = await trader.place(symbol="IBM", side="BUY", kind="MARKET", quantity=SHARES)
    assert bought.status == 201
    await stack.judge.until(lambda tape: "OrderFilled" in tape.kinds("orders", account))
    resting = await _rest(trader)

    assert (await officer.ask("PUT", LIMITS, limits("1.00"))).status == 200
    tape = await stack.judge.until(lambda tape: "OrderCancelled" in tape.kinds("orders", account))
    assert tape.kinds("risk", account).count("LimitBreached") == 1
    assert tape.kinds("orders", account)[-4:].count("TradingHalted") == 1
    assert resting not in tape.books()[account].working
    refused = await trader.place(symbol="IBM", side="BUY", kind="MARKET", quantity=SHARES)
    assert (refused.status, refused.reason) == (409, "HALTED")

    assert (await officer.ask("PUT", LIMITS, limits("1000000.00"))).status == 200
    tape = await stack.judge.until(lambda tape: "TradingResumed" in tape.kinds("orders", account))
    assert tape.kinds("risk", account)[-1] == "BreachCleared"
    await trader.until_open()
    assert (await trader.place(symbol="IBM", side="BUY", kind="MARKET", quantity=SHARES)).status == 201
    await stack.judge.balanced(market.history)


async def _rest(trader: Trader) -> OrderId:
    """An order that works at the venue and is not filled: its limit is well below the market."""
    told = await trader.place(
        symbol="IBM", side="BUY", kind="LIMIT", quantity="1", limit_price=await trader.below("IBM"), time_in_force="GTC"
    )
    assert told.status == 201, told
    return trader.placed[-1]
