"""Every process of the stack is killed while customers trade: nothing acknowledged is lost, nothing happens twice."""

import subprocess
import sys
import time

import pytest

from deploy.local import folders
from infra.settings import ANSWER_WAIT_MS
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

CUSTOMERS = 6
ROUNDS = 2
"""How often each process is killed; the supervisor gives up at six deaths of one process in a minute."""
TOGETHER = (("deciders", "projector"), ("venue", "sagas"), ("agents", "gateway"), ("effects", "audit"))
"""What is killed at one moment: everything that customers can reach, once a round."""
ANSWERS_BETWEEN = 30
"""Commands that are answered for good between two kills."""
LATE_MS = 3_000
"""What a machine that starts two processes at once may add to the stated wait."""
VERIFY_SECONDS_MAX = 60


@pytest.mark.timeout(400)
async def test_books_balance_after_every_process_was_killed_under_trade(stack: WholeStack, market: Market) -> None:
    traders = await market.open_and_fund(CUSTOMERS)
    async with market.trading(traders):
        for names in TOGETHER * ROUNDS:
            await market.until_told(ANSWERS_BETWEEN)
            dead = [(name, stack.kill(name)) for name in names]
            for name, pid in dead:
                await stack.until_started_again(name, pid)
        await market.until_told(ANSWERS_BETWEEN)
    await market.cancel_all()
    assert not market.history.unknown()
    tape = await stack.judge.balanced(market.history)
    filled = [each for each in tape.events("orders") if type(each.event).__name__ == "OrderFilled"]
    assert len(filled) > CUSTOMERS, "nobody traded: the test proves nothing"
    assert not [entry for entry in market.history.entries if entry.took_ms > ANSWER_WAIT_MS + LATE_MS]
    _audit_verifies(stack)


def _audit_verifies(stack: WholeStack) -> None:
    """The forest that was grown by three processes in a row is that of the tape."""
    until = time.monotonic() + VERIFY_SECONDS_MAX
    argv = (sys.executable, "main.py", "audit", "verify", "--tape")
    while True:
        ran = subprocess.run(
            argv, cwd=folders.ROOT, env=stack.addresses.env(), capture_output=True, text=True, check=False
        )
        if ran.returncode == 0:
            assert "VERIFIED" in ran.stdout
            return
        assert time.monotonic() < until, ran.stdout + ran.stderr
