"""Lines of the ledger -> sums: how often each row was tried and failed, by profile and arm, and on which trees."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from tests.faults.ledger import Line
from tests.faults.publish_bounds import percent, upper
from tests.faults.publish_rows import PLANTED

OURS = "tapeline"
CONTROL = "control:"


class Tally(msgspec.Struct):
    """Trials of one kind."""

    trials: int = 0
    failed: int = 0
    dirty: int = 0
    """Of the trials: on a tree that differed from its commit."""

    def add(self, trials: int, failed: int, *, is_dirty: bool) -> None:
        self.trials += trials
        self.failed += failed
        self.dirty += trials if is_dirty else 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(self.trials + other.trials, self.failed + other.failed, self.dirty + other.dirty)

    @property
    def count(self) -> str:
        """`1,204`, or `1,204 (36+)` where some were on a tree that differed from its commit."""
        return f"{self.trials:,}" + (f" ({self.dirty:,}+)" if self.dirty else "")

    @property
    def bound(self) -> str:
        """The 95 % upper bound; a dash where nothing was tried."""
        return f"≤ {percent(upper(self.failed, self.trials))}" if self.trials else "-"


class Sums:
    """Everything that is added up, by (row, profile, arm)."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.tallies: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
        self.not_run: dict[str, Counter[str]] = defaultdict(Counter)
        for line in lines:
            for row, trials in line.trials.items():
                tally = self.tallies[row, line.profile, arm_of(line)]
                tally.add(trials, line.failed.get(row, 0), is_dirty=is_dirty(line))
            for row, why in line.not_run.items():
                self.not_run[row][why] += 1

    def ours(self, row: str, profile: str | None = None) -> Tally:
        """Trials of the product itself, of one profile or of all."""
        return self.over([row], profile)

    def over(self, rows: Iterable[str], profile: str | None = None) -> Tally:
        """Of several rows together."""
        wanted = set(rows)
        found = (
            tally
            for (row, of, arm), tally in self.tallies.items()
            if row in wanted and arm == OURS and profile in {None, of}
        )
        total = Tally()
        for tally in found:
            total = total.plus(tally)
        return total

    def profiles(self, first: Iterable[str]) -> list[str]:
        """The known ones, then whatever else the ledger names."""
        return list(dict.fromkeys([*first, *sorted(line.profile for line in self.lines if arm_of(line) == OURS)]))

    def arms(self, *, is_control: bool) -> list[tuple[str, str, str, Tally]]:
        """Row, profile, arm and tally of whatever was tried besides the product, or of its controls."""
        return [
            (*key, tally)
            for key, tally in sorted(self.tallies.items(), key=lambda item: (row_order(item[0][0]), item[0]))
            if key[2] != OURS and key[0] != PLANTED.id and key[2].startswith(CONTROL) == is_control
        ]


def arm_of(line: Line) -> str:
    """Who was judged."""
    return line.arm or OURS


def is_dirty(line: Line) -> bool:
    """Whether the tree differed from the commit that the line names."""
    return line.commit.endswith("+")


def row_order(row: str) -> tuple[str, int]:
    """F2 before F10."""
    return row[:1], int(row[1:]) if row[1:].isdigit() else 0
