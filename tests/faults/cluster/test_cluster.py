"""Three brokers in small: who is asked for is found and killed, others go on, and one alone acknowledges nothing."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import whom
from tests.faults.cluster.brokers import COUNT, Trio
from tests.faults.cluster.run import BELOW, ROW, Run
from tests.faults.cluster.workload import Workload

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    with Trio(tmp_path / "brokers") as trio:
        yield trio


async def test_kills_of_one_and_of_two_lose_nothing_and_acknowledge_nothing_below_min_isr(
    trio: Trio, tmp_path: Path
) -> None:
    said: list[str] = []
    before = {member.number: member.pid for member in trio.members}
    controller = whom.controller(trio)
    run = Run(trio, tmp_path / "evidence", random.Random(3), said.append, kinds=("controller", BELOW))
    await run.play(3)
    line = run.line(3)
    assert line.findings == []
    assert line.trials[ROW] >= 3
    assert line.operations["commands"] > 0
    assert trio.member(controller).pid not in {None, before[controller]}, f"{controller} was never killed: {said}"
    assert 1 <= whom.controller(trio) <= COUNT


def test_an_answer_while_two_brokers_are_dead_would_be_seen(tmp_path: Path) -> None:
    """The control: what is asked before they die may be answered afterwards, what is asked afterwards may not."""
    load = Workload("127.0.0.1:1", tmp_path / "history.ndjson", 0)
    load.acknowledged = [(10, 30, 0), (21, 29, 1), (25, 45, 2)]
    assert load.told_between(20, 40) == 1
