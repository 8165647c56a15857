"""`python -m tests.faults faults|campaign`: faults on whole stacks from a seed, each round judged and told to a ledger.

`faults` is the tier of every change: one round with each fault twice, or as many as its time allows. `campaign` plays
rounds of random mixes until its minutes are over. The checker judges the whole tape of a stack, so that a campaign
takes a fresh stack after some rounds, and after every round that failed. Exit codes: 0 every verdict was clean, 1 not.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import contexts
from infra.avro.codec import Codec
from tests.faults import ledger
from tests.faults.driver import Plan, Round
from tests.faults.fault import Fault
from tests.faults.injectors import registry
from tests.faults.ledger import Line
from tests.faults.storm import mixes, tier
from tests.kit import whole_stack
from tests.kit.whole_stack import WholeStack

TIER_SECONDS = 150.0
"""The storm of the CI tier; with start, healing and judging the goal stays below five minutes."""
ROUND_SECONDS = 75.0
"""The storm of one round of a campaign."""
ROUNDS_A_STACK = 8
"""After so many the tape is long enough that judging it takes longer than making it."""
KEPT_MAX = 20
"""Folders of failed rounds after which a campaign ends: one more says nothing new, and disks are finite."""
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(SEEDS) if given.seed is None else given.seed
    faults = chosen(given.rows)
    say(f"seed {seed}; rows {', '.join(sorted({fault.row for fault in faults}))}")
    if given.run == "faults":
        play = Played(given, given.ledger or ledger.BUILD / "ledger.ndjson", faults, tier, TIER_SECONDS)
        play.rounds(seed, 1, 0.0)
    else:
        play = Played(given, given.ledger or ledger.PUBLISHED, faults, mixes, ROUND_SECONDS)
        play.rounds(seed, sys.maxsize, given.minutes * 60)
    return play.ended()


def chosen(rows: str) -> list[Fault]:
    """The faults of these rows, or all. Exits naming a row that has none."""
    wanted = {row for row in rows.split(",") if row}
    found = [fault for fault in registry.every() if not wanted or fault.row in wanted]
    if unknown := wanted - {fault.row for fault in found}:
        raise SystemExit(f"no fault injects {', '.join(sorted(unknown))}")
    return found


class Played:
    """Rounds one after the other, on as many stacks as they need."""

    def __init__(self, given: argparse.Namespace, path: Path, faults: list[Fault], plan: Plan, storm_s: float) -> None:
        self._given = given
        self._path = path
        self._faults = faults
        self._plan = plan
        self._storm_s = storm_s
        self._root = ledger.BUILD / f"{given.run}-{time.strftime('%Y%m%d-%H%M%S')}"
        self._failed: list[Path] = []
        self._played = 0

    def rounds(self, seed: int, count: int, for_s: float) -> None:
        """So many rounds, or as many as begin in this time; round n has the seed `seed + n`."""
        until = time.monotonic() + for_s
        codec = Codec(contexts.messages())
        while self._goes_on(count, until):
            say("a fresh stack is started")
            with whole_stack.started(codec, lambda: False) as stack:
                failed = len(self._failed)
                for _ in range(ROUNDS_A_STACK):
                    self._round(stack, seed + self._played)
                    if len(self._failed) > failed or not self._goes_on(count, until):
                        break

    def ended(self) -> int:
        """Say what came of it; the exit code."""
        say(f"{self._played} rounds, {len(self._failed)} of them not clean; told to {self._path.name}")
        return 1 if self._failed else 0

    def _goes_on(self, count: int, until: float) -> bool:
        more = self._played == 0 or time.monotonic() < until
        return more and self._played < count and len(self._failed) < KEPT_MAX

    def _round(self, stack: WholeStack, seed: int) -> None:
        self._played += 1
        folder = self._root / f"round-{self._played}"
        folder.mkdir(parents=True)
        say(f"round {self._played}, seed {seed}")
        played = Round(self._given.run, seed, self._faults, self._plan, self._storm_s)
        line = asyncio.run(played.on(stack, folder, say))
        ledger.append(line, self._path)
        self._tell(line, folder)

    def _tell(self, line: Line, folder: Path) -> None:
        say(f"trials {line.trials}, judged {line.operations}, figures {line.figures}")
        for row, why in line.not_run.items():
            say(f"{row} was not run: {why}")
        if not line.findings:
            say("clean: nothing was found")
            shutil.rmtree(folder)
            return
        self._failed.append(folder)
        for finding in line.findings:
            say(f"FOUND {finding.get('invariant', '')} {finding['what']}: {finding['says']}")
        rows = f" ROWS={self._given.rows}" if self._given.rows else ""
        again = f"make faults SEED={line.seed}" if line.run == "faults" else f"make campaign MINUTES=1 SEED={line.seed}"
        say(f"the evidence is kept in {folder.relative_to(ledger.ROOT)}; the same plan again: {again}{rows}")


def say(what: str) -> None:
    """One line for people, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
