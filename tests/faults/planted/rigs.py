"""A copy of the tree with a bug in it -> what the bug's rig says: every rig is a program of the copy, run there."""

import subprocess
import sys

from tests.faults import ledger
from tests.faults.planted.seen import Seen, heard
from tests.faults.planted.tree import Scratch
from tests.faults.planted.variants import Rig

RIG_SECONDS_MAX = 900
"""Longest rig; the longest is some hundred histories."""
HISTORIES_MAX = 300
COMMANDS = 60
"""Of clients, in each history."""
TAPES_MAX = 20
RUNS_MAX = 5
"""Runs of a whole installation before a bug counts as not seen."""
CUTS_MAX = 4


class Missing(Exception):
    """This machine has not what the rig needs; the message says what."""


def seen(scratch: Scratch, rig: Rig, seed: int) -> Seen:
    """Run the rig in the copy. Raises ValueError when it broke off."""
    if rig == "simulation":
        return _ran(scratch, "simulated", seed, "--trials", str(HISTORIES_MAX), "--commands", str(COMMANDS))
    if rig == "books":
        return _ran(scratch, "decided", seed, "--trials", str(TAPES_MAX))
    return _repeated(scratch, seed) if rig == "installation" else _cut(scratch, seed)


def _cut(scratch: Scratch, seed: int) -> Seen:
    """Power cuts of a broker, as `tests/faults/power` makes and judges them. Raises Missing where none can be made."""
    told = scratch.root / "cuts.ndjson"
    told.unlink(missing_ok=True)
    argv = ["tests.faults.power", "broker", "--cuts", str(CUTS_MAX), "--seed", str(seed), "--ledger", str(told)]
    output = _program(scratch, argv, may_fail=True)
    line = next(ledger.read(told), None)
    if line is None:
        raise ValueError(f"the cuts broke off: {output[-3_000:]}")
    if line.not_run:
        raise Missing("; ".join(line.not_run.values()))
    # A broker that does not come back on a copy may have reasons of its own; what is lost can have only one.
    first = next((each for each in line.findings if str(each["says"][0]).startswith("lost")), None)
    return Seen(
        after=0 if first is None else first["cut"],
        of="cuts",
        trials=len(line.faults) if first is None else first["cut"],
        operations=line.operations.get("acknowledged", 0),
        faults={"power cut": len(line.faults)},
        by="" if first is None else "checker, and offset by offset",
        found="" if first is None else first["says"][0],
    )


def _repeated(scratch: Scratch, seed: int) -> Seen:
    """One run after the other, each with a seed of its own."""
    sums = Seen()
    for number in range(RUNS_MAX):
        one = _ran(scratch, "installed", seed + number)
        one.trials, one.operations = number + 1, one.operations + sums.operations
        one.faults = {what: one.faults.get(what, 0) + sums.faults.get(what, 0) for what in {*one.faults, *sums.faults}}
        one.after = one.after and number + 1
        sums = one
        if one.after:
            break
    return sums


def _ran(scratch: Scratch, program: str, seed: int, *arguments: str) -> Seen:
    argv = [f"tests.faults.planted.{program}", "--seed", str(seed), *arguments]
    return heard(_program(scratch, argv, may_fail=False))


def _program(scratch: Scratch, argv: list[str], *, may_fail: bool) -> str:
    """Run a module of the copy; what it said. Raises ValueError when it broke off."""
    ran = subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=scratch.root,
        env=scratch.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=RIG_SECONDS_MAX,
    )
    if ran.returncode and not may_fail:
        raise ValueError(f"{argv[0]} ended with {ran.returncode}: {ran.stdout[-1_000:]}{ran.stderr[-3_000:]}")
    return f"{ran.stdout}{ran.stderr}" if may_fail else ran.stdout
