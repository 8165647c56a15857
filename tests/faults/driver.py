"""A stack, a plan of faults and a seed -> one round: traffic, faults, healing, verdict, and its line for the ledger.

A round has customers and a folder of evidence of its own and judges the whole tape of its stack, whatever rounds were
before it. What fails is told once and its folder is kept; nothing is tried again.
"""

import hashlib
import os
import random
import shutil
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.supervisor import GaveUp
from tests.faults import ledger, phases
from tests.faults.checker.verdict import Verdict
from tests.faults.fault import Fault
from tests.faults.histories import Log
from tests.faults.ledger import Injected, Line
from tests.faults.storm import Storm, Subset
from tests.faults.unhandled import Logs
from tests.faults.workload import judged, traded
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

CUSTOMERS = 6
ANSWERS_BEFORE = 20
"""Commands that are answered before the first fault: whatever fails earlier was not broken by one."""
HARNESS = "harness"
SAID_KEPT = 10
"""Lines of the supervisor that a finding quotes: the last deaths and starts."""
SAYS_MAX = 2_000
"""Characters of a finding; the evidence has the rest."""
NO_TIME = "the time of this run was up before its turn"
NEVER_MET = "tried, and its victim was never met: "

Say = Callable[[str], None]
Plan = Callable[[Sequence[Fault], random.Random], Iterator[Subset]]


class Round:
    """What one round is made of."""

    def __init__(self, run: str, seed: int, faults: Sequence[Fault], plan: Plan, for_s: float) -> None:
        self._run = run
        self._seed = seed
        self._faults = [fault for fault in faults if not fault.missing()]
        self._missing = {fault.row: why for fault in faults if (why := fault.missing())}
        self._plan = plan
        self._for_s = for_s

    async def on(self, stack: WholeStack, folder: Path, say: Say) -> Line:
        """Play it on this stack; the line says how it ended, and the folder shows it."""
        began, chance = time.monotonic(), random.Random(self._seed)
        broke, verdict = None, Verdict()
        with Log(folder / "instants.ndjson") as instants:
            storm = Storm(stack, chance, instants, say)
            plan = self._plan(self._faults, chance)
            try:
                verdict = await self._judged(stack, storm, plan, folder, say)
            except Exception as failure:  # noqa: BLE001  whatever ends a round is what was found
                broke = broken_by(failure, stack.said)
                (folder / "broke.txt").write_text(traceback.format_exc())
        if broke or not verdict.is_clean:
            shutil.copytree(stack.stack.logs, folder / "logs", dirs_exist_ok=True)
        return self.line(storm, verdict, broke, folder, time.monotonic() - began)

    async def _judged(self, stack: WholeStack, storm: Storm, plan: Iterator[Subset], folder: Path, say: Say) -> Verdict:
        logs = Logs(stack.stack.logs)

        async def weather(market: Market) -> None:
            await market.until_told(ANSWERS_BEFORE)
            say("customers, a rival tenant, a partner and sockets are at work")
            await storm.run(plan, self._for_s)

        try:
            stack.forgive()
            async with (
                stack.supervised(),
                traded(stack, folder, customers=CUSTOMERS, meanwhile=weather) as followers,
            ):
                await stack.until_ready()
                say("healed, the clients have left: collecting and judging")
                told = b"".join(msgspec.json.encode(each) + b"\n" for each in logs.processes(stack))
                (folder / "processes.ndjson").write_bytes(told)
                return await judged(stack, folder, followers, seed=self._seed)
        finally:
            for fault in self._faults:
                await fault.heal(stack)

    def line(self, storm: Storm, verdict: Verdict, broke: dict[str, str] | None, folder: Path, took_s: float) -> Line:
        """What the ledger is told."""
        findings = [msgspec.to_builtins(each) for each in verdict.findings[: ledger.FAILED_MAX]]
        if broke:
            findings.insert(0, broke)
        # What nobody judged was not tried: a fault of the harness neither passes nor fails what it was to try.
        is_judged = broke is None or broke["what"] != HARNESS
        trials = dict(sorted(storm.trials.items())) if is_judged else {}
        injected = told(folder, storm.injected)
        return Line(
            run=self._run,
            at=ledger.now(),
            commit=ledger.commit(),
            seed=self._seed,
            trials=trials,
            # Which trial of a mix broke it nobody can tell from outside: each row that was in it is marked, once.
            failed=dict.fromkeys(trials, 1) if findings else {},
            faults=injected,
            operations=verdict.judged,
            findings=findings,
            not_run=self._not_run(storm),
            figures=figures(injected) | {"load_average": os.getloadavg()[0], "took_s": round(took_s, 1)},
            history=digest(folder),
        )

    def _not_run(self, storm: Storm) -> dict[str, str]:
        never = {
            fault.row: NEVER_MET + storm.missed[fault.row] if fault.row in storm.missed else NO_TIME
            for fault in self._faults
            if fault.row not in storm.trials
        }
        return dict(sorted((self._missing | never).items()))


def broken_by(failure: Exception, said: Sequence[str]) -> dict[str, str]:
    """What ended a round early, as a finding: what was not true or not there in time, or a fault of the harness."""
    is_product = isinstance(failure, AssertionError | TimeoutError | GaveUp)
    says = f"{failure!r}; the supervisor said: {' | '.join(said[-SAID_KEPT:])}"
    says = says.replace(f"{ledger.ROOT}/", "")  # A ledger is read elsewhere.
    return {"what": "liveness" if is_product else HARNESS, "says": says[:SAYS_MAX]}


def told(folder: Path, injected: Sequence[Injected]) -> list[Injected]:
    """What was injected, with the phases in which killed deciders were, as far as the evidence was collected."""
    if not (folder / "run.json").exists() or not any(phases.FLYING in each.what for each in injected):
        return [_without_ids(each) for each in injected]
    writes = phases.Writes(folder)
    return [
        msgspec.structs.replace(each, what=phases.tell(writes, each.what)) if phases.FLYING in each.what else each
        for each in injected
    ]


def figures(injected: Sequence[Injected]) -> dict[str, float]:
    """Time from the kill of a decider to the next acknowledged command, one for each kill and partition."""
    waited = sorted(ms for each in injected for ms in each.what.get("failover_ms", ()))
    if not waited:
        return {}
    return {
        "failover_p50_ms": statistics.median(waited),
        "failover_p99_ms": waited[min(len(waited) - 1, len(waited) * 99 // 100)],
        "failover_max_ms": waited[-1],
        "failover_count": len(waited),
    }


def digest(folder: Path) -> str:
    """SHA-256 over names and contents of all evidence, in the order of names."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder)}\n".encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _without_ids(each: Injected) -> Injected:
    what: dict[str, Any] = {name: said for name, said in each.what.items() if name not in phases.PRIVATE}
    return msgspec.structs.replace(each, what=what)
