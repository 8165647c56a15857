"""The rig `simulation`: histories of this tree, one seed after the other, until one fails."""

import argparse
import logging
from collections import Counter

import structlog

import contexts
from tests.faults.planted.seen import Seen, say
from tests.simulation.codec import SharedCodec
from tests.simulation.history import Simulation
from tests.simulation.options import drawn


def main() -> None:
    """Play, and say what was seen."""
    parser = argparse.ArgumentParser(prog="tests.faults.planted.simulated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--commands", type=int, default=40, help="of clients, in each history")
    given = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    say(played(Simulation(SharedCodec(contexts.messages())), given.seed, given.trials, given.commands))


def played(simulation: Simulation, start: int, trials: int, commands: int) -> Seen:
    """What so many histories show, up to the first that fails."""
    injected: Counter[str] = Counter()
    for number in range(trials):
        outcome = simulation.play(drawn(start + number, commands))
        injected += Counter(outcome.injected)
        if outcome.faults or number + 1 == trials:
            return Seen(
                after=number + 1 if outcome.faults else 0,
                of="histories",
                trials=number + 1,
                operations=commands * (number + 1),
                faults=dict(injected),
                by="auditor" if outcome.faults else "",
                found=outcome.faults[0] if outcome.faults else "",
            )
    return Seen(of="histories")


if __name__ == "__main__":
    main()
