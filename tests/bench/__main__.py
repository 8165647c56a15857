"""`make bench`: every figure with its peers in the same run; a table on the screen, JSON under build/bench/."""

import argparse

from infra import memory, telemetry
from tests.bench import figures
from tests.bench.acknowledge import acknowledge
from tests.bench.agents import agents
from tests.bench.decisions import decisions
from tests.bench.replay import replay
from tests.bench.rows import blotter_rows, journal_rows
from tests.bench.stage import Sizes

FIGURES = (acknowledge, decisions, agents, blotter_rows, journal_rows, replay)


def main() -> None:
    """Read the sizes, measure, show."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    default = Sizes()
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--seconds", type=int, default=default.seconds, help="of load in a round; counts follow")
    parser.add_argument("--rate", type=int, default=default.rate, help="orders a second")
    parser.add_argument("--only", default="", help=f"some of {','.join(each.name for each in FIGURES)}")
    telemetry.configure("bench", "WARNING")
    memory.keep()
    given = vars(parser.parse_args())
    wanted = [name for name in given.pop("only").split(",") if name]
    unknown = set(wanted) - {each.name for each in FIGURES}
    if unknown:
        parser.error(f"--only: no figure is called {', '.join(sorted(unknown))}")
    sizes = Sizes(**given)
    chosen = [figure for figure in FIGURES if not wanted or figure.name in wanted]
    documents = [figures.run(figure, sizes, lambda text: print(text, flush=True)) for figure in chosen]
    print()
    for line in figures.table(documents):
        print(line)


if __name__ == "__main__":
    main()
