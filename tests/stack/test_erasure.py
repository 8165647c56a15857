"""A person is erased while everything runs: the door knows it, and every proof stays valid."""

import asyncio
import os
import subprocess

import pytest

from tests.kit.trading import TENANT, Market
from tests.kit.whole_stack import WholeStack
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.stack

CHECKS = "/v1/accounts/{account_id}/kyc/checks"
COMMAND_SECONDS_MAX = 120


async def tapeline(stack: WholeStack, *args: str) -> str:
    """What a command of ours says."""
    done = await asyncio.to_thread(
        subprocess.run,
        [str(ROOT / "tapeline"), *args],
        cwd=ROOT,
        env={**os.environ, **stack.addresses.env()},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(240)
async def test_an_erased_person_is_gone_and_the_tape_is_what_was_signed(stack: WholeStack, market: Market) -> None:
    (trader, other) = await market.open_and_fund(2)
    before = (await trader.read(CHECKS))[1]["checks"]
    assert "sealed" in await tapeline(stack, "privacy", "show", trader.account_id, "--tenant", TENANT)
    said = await tapeline(stack, "privacy", "erase", trader.account_id, "--tenant", TENANT, "--yes")
    assert "told to delete 1 applicants" in said, "the vendor forgets too"
    assert (await trader.check()).status == 410
    assert (await trader.read(CHECKS))[1]["checks"] == before, "that he was checked stays known"
    assert (await other.check()).status == 201
    assert "VERIFIED" in await tapeline(stack, "audit", "verify", "--tape")
