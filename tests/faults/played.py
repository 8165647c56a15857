"""Rounds one after the other, on as many stacks as they need -> lines of a ledger, and folders of what failed.

The checker judges the whole tape of a stack, so that a campaign takes a fresh stack after some rounds, and after every
round that failed: what is broken once is found once.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import contexts
from infra.avro.codec import Codec
from tests.faults import ledger
from tests.faults.driver import Plan, Round
from tests.faults.fault import Fault
from tests.faults.injectors import registry
from tests.faults.ledger import Line
from tests.kit import whole_stack
from tests.kit.whole_stack import WholeStack

ROUNDS_A_STACK = 8
"""After so many the tape is long enough that judging it takes longer than making it."""
KEPT_MAX = 20
"""Folders of failed rounds after which a campaign ends: one more says nothing new, and disks are finite."""


def chosen(rows: str) -> list[Fault]:
    """The faults of these rows, or all. Raises LookupError naming a row that has none."""
    wanted = {row for row in rows.split(",") if row}
    found = [fault for fault in registry.every() if not wanted or fault.row in wanted]
    if unknown := wanted - {fault.row for fault in found}:
        raise LookupError(f"no fault injects {', '.join(sorted(unknown))}")
    return found


class Played:
    """A run of one kind, until it is over."""

    def __init__(
        self,
        run: str,
        rows: str,
        path: Path,
        faults: Sequence[Fault],
        plan: Plan,
        storm_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._run = run
        self._rows = rows
        self._path = path
        self._faults = faults
        self._plan = plan
        self._storm_s = storm_s
        self._say = say
        self._root = ledger.BUILD / f"{run}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self._failed: list[Path] = []
        self._played = 0

    def rounds(self, seed: int, count: int, for_s: float) -> None:
        """So many rounds, or as many as begin in this time; round n has the seed `seed + n`."""
        until = time.monotonic() + for_s
        codec = Codec(contexts.messages())
        while self._goes_on(count, until):
            self._say("a fresh stack is started")
            with whole_stack.started(codec, lambda: False) as stack:
                failed = len(self._failed)
                for _ in range(ROUNDS_A_STACK):
                    self._round(stack, seed + self._played)
                    if len(self._failed) > failed or not self._goes_on(count, until):
                        break

    def tell(self, line: Line, folder: Path) -> None:
        """Say what a round found; its evidence goes when that is nothing."""
        self._say(f"trials {line.trials}, judged {line.operations}, figures {line.figures}")
        for row, why in line.not_run.items():
            self._say(f"{row} was not run: {why}")
        if not line.findings:
            self._say("clean: nothing was found")
            shutil.rmtree(folder)
            return
        self._failed.append(folder)
        for finding in line.findings:
            self._say(f"FOUND {finding.get('invariant', '-')} {finding['what']}: {finding['says']}")
        rows = f" ROWS={self._rows}" if self._rows else ""
        again = f"make faults SEED={line.seed}" if line.run == "faults" else f"make campaign MINUTES=1 SEED={line.seed}"
        self._say(f"the evidence is kept in {os.path.relpath(folder)}; the same plan again: {again}{rows}")

    def ended(self) -> int:
        """Say what came of it; the exit code."""
        self._say(f"{self._played} rounds, {len(self._failed)} of them not clean; told to {self._path.name}")
        return 1 if self._failed else 0

    def _goes_on(self, count: int, until: float) -> bool:
        more = self._played == 0 or time.monotonic() < until
        return more and self._played < count and len(self._failed) < KEPT_MAX

    def _round(self, stack: WholeStack, seed: int) -> None:
        self._played += 1
        folder = self._root / f"round-{self._played}"
        folder.mkdir(parents=True)
        self._say(f"round {self._played}, seed {seed}")
        played = Round(self._run, seed, self._faults, self._plan, self._storm_s)
        line = asyncio.run(played.on(stack, folder, self._say))
        ledger.append(line, self._path)
        self.tell(line, folder)
