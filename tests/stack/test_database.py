"""The database is killed while customers trade: reads say so, writes go on, and read models catch up afterwards."""

import asyncio

import pytest

from tests.kit.trading import ORDERS, Market, Trader
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

CUSTOMERS = 3
ANSWERS_MEANWHILE = 20
"""Commands that are answered for good while there is no database."""
SAID_WITHIN_SECONDS = 15.0


@pytest.mark.timeout(300)
async def test_writes_go_on_without_the_database_and_reads_catch_up(stack: WholeStack, market: Market) -> None:
    traders = await market.open_and_fund(CUSTOMERS)
    async with market.trading(traders):
        await market.until_told(ANSWERS_MEANWHILE)
        stack.held.add("postgres")
        dead = stack.kill("postgres")
        headers = await _until_unavailable(traders[0])
        assert int(headers["Retry-After"]) > 0
        await market.until_told(ANSWERS_MEANWHILE)
        assert stack.pid("postgres") is None
        stack.held.discard("postgres")
        await stack.until_started_again("postgres", dead)
    assert not market.history.unknown()
    placed = [entry for entry in market.history.told("ok") if entry.route == f"POST {ORDERS}"][-1]
    reader = next(trader for trader in traders if trader.account_id == placed.account_id)
    await stack.until_ready("projector", "gateway")
    status, page, _ = await reader.read(ORDERS, Tape_Position=placed.position)
    assert status == 200
    assert page["orders"]
    await market.cancel_all()
    await stack.judge.balanced(market.history)


async def _until_unavailable(trader: Trader) -> dict[str, str]:
    """The headers of a read that the gateway cannot answer; no read fails in another way."""
    async with asyncio.timeout(SAID_WITHIN_SECONDS):
        while True:
            status, _, headers = await trader.read(ORDERS)
            assert status in {200, 503}
            if status == 503:
                return headers
            await asyncio.sleep(0.05)
