"""The independent checker on a whole stack: it finds nothing where nothing is wrong, and what is planted it names."""

from pathlib import Path

import psycopg
import pytest

from deploy.local import jars, java
from tests.faults.checker import collect
from tests.faults.checker.judge import judge
from tests.faults.workload import judged, traded
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

CUSTOMERS = 4
ANSWERS = 240
FEW = 20
WITHIN_SECONDS = 150.0
"""How long so many answers may take on a machine that does much else."""


async def answered(market: Market) -> None:
    """Long enough for every kind of event."""
    await market.until_told(ANSWERS, WITHIN_SECONDS)


async def answered_a_little(market: Market) -> None:
    """Long enough for rows and frames."""
    await market.until_told(FEW, WITHIN_SECONDS)


@pytest.mark.timeout(300)
async def test_a_run_in_which_nothing_is_wrong_is_found_clean(stack: WholeStack, tmp_path: Path) -> None:
    async with traded(stack, tmp_path, customers=CUSTOMERS, meanwhile=answered) as followers:
        assert (await judged(stack, tmp_path, followers)).is_clean
    class_path = ":".join(map(str, jars.ensure()))
    collect.segments(stack.stack.state_dir / "kafka" / "data", class_path, str(java.find().path), tmp_path)
    verdict = judge(tmp_path)
    assert verdict.is_clean, verdict.findings
    assert not verdict.not_judged
    for what, least in (
        ("operations", ANSWERS),
        ("frames", ANSWERS),
        ("executions", 1),
        ("batches", 10),
        ("leaves", 10),
    ):
        assert verdict.judged[what] >= least, verdict.judged


@pytest.mark.timeout(300)
async def test_a_row_that_was_changed_and_a_frame_that_was_dropped_are_named(stack: WholeStack, tmp_path: Path) -> None:
    async with traded(stack, tmp_path, customers=1, meanwhile=answered_a_little) as followers:
        assert (await judged(stack, tmp_path, followers)).is_clean
    rows = "UPDATE public.ledger_lines SET amount = amount + %s WHERE topic = 'orders.events' AND sequence = %s"
    with psycopg.connect(stack.addresses.postgres, autocommit=True) as database:
        newest = "SELECT max(sequence) FROM public.ledger_lines WHERE topic = 'orders.events'"
        (sequence,) = database.execute(newest).fetchone() or (0,)
        database.execute(rows, (1, sequence))
        try:
            collect.tables(stack.addresses.postgres, tmp_path)
        finally:
            database.execute(rows, (-1, sequence))
    frames = tmp_path / "frames" / "streams.ndjson"
    lines = frames.read_bytes().splitlines(keepends=True)
    events = [at for at, line in enumerate(lines) if b'"client":"partner"' in line and b'"type":"event"' in line]
    del lines[events[len(events) // 2]]
    frames.write_bytes(b"".join(lines))
    verdict = judge(tmp_path)
    assert {"projection", "gap-untold"} <= set(verdict.found), verdict.found
    named = {each.what: each for each in verdict.findings}
    assert (named["projection"].invariant, named["projection"].sequence) == ("I6", sequence)
    assert named["gap-untold"].says.startswith("streams/partner: number")
