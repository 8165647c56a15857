"""A copy of the tree with a bug in it -> what the bug's rig says: every rig is a program of the copy, run there."""

import subprocess
import sys

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


def seen(scratch: Scratch, rig: Rig, seed: int) -> Seen:
    """Run the rig in the copy. Raises ValueError when it broke off."""
    if rig == "simulation":
        return _ran(scratch, "simulated", seed, "--trials", str(HISTORIES_MAX), "--commands", str(COMMANDS))
    if rig == "books":
        return _ran(scratch, "decided", seed, "--trials", str(TAPES_MAX))
    return _repeated(scratch, "installed" if rig == "installation" else "cut", seed)


def _repeated(scratch: Scratch, program: str, seed: int) -> Seen:
    """One run after the other, each with a seed of its own."""
    sums = Seen()
    for number in range(RUNS_MAX):
        one = _ran(scratch, program, seed + number)
        one.trials, one.operations = number + 1, one.operations + sums.operations
        one.faults = {what: one.faults.get(what, 0) + sums.faults.get(what, 0) for what in {*one.faults, *sums.faults}}
        one.after = one.after and number + 1
        sums = one
        if one.after:
            break
    return sums


def _ran(scratch: Scratch, program: str, seed: int, *arguments: str) -> Seen:
    argv = [sys.executable, "-m", f"tests.faults.planted.{program}", "--seed", str(seed), *arguments]
    ran = subprocess.run(
        argv,
        cwd=scratch.root,
        env=scratch.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=RIG_SECONDS_MAX,
    )
    if ran.returncode:
        raise ValueError(f"{program} ended with {ran.returncode}: {ran.stdout[-1_000:]}{ran.stderr[-3_000:]}")
    return heard(ran.stdout)
