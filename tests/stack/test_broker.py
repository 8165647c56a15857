"""The broker is killed while customers trade: whoever asks is told to come back, and what was acknowledged stands."""

import asyncio

import pytest

from infra.settings import ANSWER_WAIT_MS
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

CUSTOMERS = 4
ANSWERS_AROUND = 30
"""Commands that are answered for good before the broker dies, and after it is back."""
SAID_WITHIN_SECONDS = 20.0
LATE_MS = 3_000
"""What a machine that is busy with restarts may add to the stated wait."""


@pytest.mark.timeout(300)
async def test_nothing_acknowledged_is_lost_with_the_broker(stack: WholeStack, market: Market) -> None:
    traders = await market.open_and_fund(CUSTOMERS)
    async with market.trading(traders):
        await market.until_told(ANSWERS_AROUND)
        stack.held.add("kafka")
        dead = stack.kill("kafka")
        async with asyncio.timeout(SAID_WITHIN_SECONDS):
            while not [entry for entry in market.history.told("info") if entry.status == 503]:
                await asyncio.sleep(0.1)
        stack.held.discard("kafka")
        await stack.until_started_again("kafka", dead)
        await market.until_told(ANSWERS_AROUND)
    assert not market.history.unknown()
    told = [entry for entry in market.history.entries if entry.status == 503]
    assert all(int(entry.retry_after) > 0 for entry in told)
    assert not [entry for entry in market.history.entries if entry.took_ms > ANSWER_WAIT_MS + LATE_MS]
    await stack.until_ready()
    await market.cancel_all()
    await stack.judge.balanced(market.history)
