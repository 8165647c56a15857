"""Histories by the hundred: under every mixture of faults, what was accepted happens once, in order, and adds up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.history import Simulation
from tests.simulation.options import drawn

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = 20
"""Of clients in one history: a tenth of a campaign's, so that five hundred take less than a minute of a processor."""
BLOCK = 100


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(0, 500, BLOCK))
def test_every_history_adds_up(simulation: Simulation, start: int) -> None:
    for seed in range(start, start + BLOCK):
        outcome = simulation.play(drawn(seed, COMMANDS))
        again = f"make simulate SEEDS=1 START={seed} COMMANDS={COMMANDS}"
        assert not outcome.faults, f"{again}: {outcome.faults}"


@pytest.mark.timeout(600)
def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    """Neither the order of sets nor the clock of the machine may show."""
    asked = [sys.executable, "-m", "tests.simulation", "--seeds", "5", "--start", "40", "--commands", "40", "--traces"]
    told = [
        subprocess.run(
            asked, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": hashes}, capture_output=True, check=True, text=True
        ).stdout.splitlines()[:5]
        for hashes in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len({line.split()[1] for line in told[0]}) == 5, "other seeds are other histories"


def test_the_same_seed_is_the_same_history_whatever_was_played_before(simulation: Simulation) -> None:
    first = simulation.play(drawn(7, 60))
    simulation.play(drawn(8, 60))
    again = simulation.play(drawn(7, 60))
    assert (first.trace, first.steps, first.virtual_s) == (again.trace, again.steps, again.virtual_s)


def test_faults_of_every_kind_are_injected(simulation: Simulation) -> None:
    """A simulator that injects nothing finds nothing."""
    kinds: set[str] = set()
    died: set[str] = set()
    for seed in range(60):
        outcome = simulation.play(drawn(seed, COMMANDS))
        kinds |= {kind for kind, times in outcome.injected.items() if times}
        died |= set(outcome.deaths)
    expected = {"kill", "zombie", "rival", "rebalance", "pause", "cut", "broker", "freeze", "skew", "network"}
    assert kinds == expected
    assert {"Fenced", "SendFailed"} <= died
