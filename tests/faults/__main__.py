"""`python -m tests.faults faults|campaign`: faults on whole stacks from a seed, each round judged and told to a ledger.

`faults` is the tier of every change: one round in which each row has its turn twice, as far as its time goes.
`campaign` plays rounds of random mixes until its minutes are over. Exit codes: 0 every verdict was clean, 1 one was
not; 2 the arguments name what is not there.
"""

import argparse
import random
import signal
import sys
import time
from pathlib import Path

from tests.faults import ledger
from tests.faults.played import Played, chosen
from tests.faults.storm import mixes, tier

TIER_SECONDS = 160.0
"""The storm of the CI tier; with start, healing and judging the goal stays below five minutes."""
ROUND_SECONDS = 75.0
"""The storm of one round of a campaign."""
SEEDS = 1_000_000


def main() -> int:
    """Read the arguments, play, say how it ended."""
    parser = argparse.ArgumentParser(prog="tests.faults", description="Faults on whole stacks, from a seed.")
    parser.add_argument("run", choices=("faults", "campaign"))
    parser.add_argument("--minutes", type=float, default=10.0, help="of a campaign; the last round is played out")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rows", default="", help="only these rows of the matrix: F1,F2")
    parser.add_argument("--ledger", type=Path, default=None)
    given = parser.parse_args()
    try:
        faults = chosen(given.rows)
    except LookupError as unknown:
        parser.error(str(unknown))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(SEEDS) if given.seed is None else given.seed
    say(f"seed {seed}; rows {', '.join(sorted({fault.row for fault in faults}))}")
    if given.run == "faults":
        path = given.ledger or ledger.BUILD / "ledger.ndjson"
        played = Played("faults", given.rows, path, faults, tier, TIER_SECONDS, say)
        played.rounds(seed, 1, 0.0)
    else:
        path = given.ledger or ledger.PUBLISHED
        played = Played("campaign", given.rows, path, faults, mixes, ROUND_SECONDS, say)
        played.rounds(seed, sys.maxsize, given.minutes * 60)
    return played.ended()


def say(what: str) -> None:
    """One line for people, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
