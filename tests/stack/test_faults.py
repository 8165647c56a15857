"""Controls of the faults on a whole stack: each bites whom it names, and a run finds what stays broken."""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.faults.driver import Round
from tests.faults.injectors import pressure, processes
from tests.faults.storm import tier
from tests.faults.workload import traded
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

NEWEST = "SELECT max(sequence) FROM public.ledger_lines WHERE topic = 'orders.events'"
CHANGE = "UPDATE public.ledger_lines SET amount = amount + %s WHERE topic = 'orders.events' AND sequence = %s"


class Vandal:
    """A line of the ledger is changed and stays so: no fault that anything should survive."""

    row, name, weight = "F28", "a line of the ledger changed", 1

    def __init__(self) -> None:
        self.changed: list[int] = []

    def missing(self) -> str:
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        with psycopg.connect(stack.addresses.postgres, autocommit=True) as database:
            (sequence,) = database.execute(NEWEST).fetchone() or (0,)
            database.execute(CHANGE, (1, sequence))
        self.changed.append(sequence)
        return {"table": "ledger_lines"}

    async def heal(self, stack: WholeStack) -> None:
        """It is a control: what it broke stays broken until the test mends it."""

    def mend(self, stack: WholeStack) -> None:
        with psycopg.connect(stack.addresses.postgres, autocommit=True) as database:
            for sequence in self.changed:
                database.execute(CHANGE, (-1, sequence))


@pytest.mark.timeout(400)
async def test_a_run_finds_what_a_fault_left_broken_and_keeps_its_evidence(whole: WholeStack, tmp_path: Path) -> None:
    vandal, said = Vandal(), list[str]()
    try:
        line = await Round("faults", 7, [vandal], tier, 5.0).on(whole, tmp_path, said.append)
    finally:
        vandal.mend(whole)
    assert line.trials == {"F28": 1}
    assert line.failed == {"F28": 1}
    assert {finding["what"] for finding in line.findings} == {"projection"}
    assert line.findings[0]["sequence"] == vandal.changed[0]
    assert line.operations["operations"] > 0
    assert (tmp_path / "logs" / "deciders.log").exists()


async def bitten(stack: WholeStack) -> None:
    """Every fault of the processes once, in the midst of traffic."""
    chance = random.Random(3)
    for fault in processes.FAULTS:
        terms, pids = await stack.judge.tape(), {name: stack.pid(name) for name in stack.names()}
        told = dict(await fault.inject(stack, chance))
        await fault.heal(stack)
        await stack.until_ready()
        victim = told["process"]
        if victim in pids:
            assert stack.pid(victim) != pids[victim], f"{fault.name}: {victim} lives as if nothing had been"
        others = {name: pid for name, pid in pids.items() if name != victim}
        assert {name: stack.pid(name) for name in others} == others, f"{fault.name} hit somebody else"
        raised = (await stack.judge.tape()).terms("orders")[0] - terms.terms("orders")[0]
        # Of two at once the second may be fenced before it comes to this partition: it wrote its term on another.
        least = {"F1": 1, "F2": 2, "F3": 1}.get(fault.row, 0)
        assert raised >= least, f"{fault.name}: {raised} new terms"
        assert raised == 0 or least, f"{fault.name}: {raised} new terms"
        if fault.row in {"F2", "F3"}:
            assert told["second_ended"] == 1, f"{fault.name}: the second host was not fenced out"
        stack.forgive()


@pytest.mark.timeout(600)
async def test_each_fault_of_processes_ends_its_victim_and_nobody_else(stack: WholeStack, tmp_path: Path) -> None:
    tried: list[str] = []

    async def weather(market: Market) -> None:
        await market.until_told(10)
        await bitten(stack)
        tried.extend(fault.name for fault in processes.FAULTS)

    async with traded(stack, tmp_path, customers=2, meanwhile=weather):
        await stack.until_ready()
    assert len(tried) == len(processes.FAULTS)


@pytest.mark.timeout(200)
async def test_pressure_stops_a_process_and_takes_the_processors(stack: WholeStack) -> None:
    chance = random.Random(5)
    pausing = asyncio.create_task(pressure.Paused().inject(stack, chance))
    states: set[str] = set()
    while not pausing.done():
        pids = [stack.pid(name) for name in stack.names() if name not in pressure.SERVERS]
        states |= {psutil.Process(pid).status() for pid in pids if pid is not None}
        await asyncio.sleep(0.02)
    assert psutil.STATUS_STOPPED in states, (await pausing, states)
    starved = await pressure.Starved().inject(stack, chance)
    assert starved["taken_s"] > starved["for_s"] / 4, starved
    await stack.until_ready()
    stack.forgive()
