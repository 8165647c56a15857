"""The simulator bites: every bug that is planted is seen, within so many seeds."""

from collections.abc import Callable

import pytest

from tests.simulation import planted
from tests.simulation.history import Simulation
from tests.simulation.planted import PLANTED, Planted

SEEDS_MAX = 60
"""The rarest, a saga that commits before it sends, shows when its host dies between the two."""
COMMANDS = 40


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_seen(
    simulation: Simulation, bug: Planted, record_property: Callable[[str, object], None]
) -> None:
    after, fault = planted.seen_after(bug, simulation, SEEDS_MAX, COMMANDS)
    record_property("seeds", after)
    record_property("fault", fault)
    assert after, f"{SEEDS_MAX} histories show nothing of: {bug.name}"


def test_nothing_is_seen_when_nothing_is_planted(simulation: Simulation) -> None:
    assert planted.seen_after(Planted("nothing"), simulation, 10, COMMANDS) == (0, "")
