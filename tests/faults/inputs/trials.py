"""Kinds of hostile input by name, tried so often from a seed -> what was tried and what broke a promise.

Each trial has its own chance, made of the seed and its number: a finding names kind, seed and number, and
`--seed S --count N` plays the same trials again.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

FINDINGS_MAX = 50
"""Findings that are written out; beyond them only their number grows."""


class Kind(Protocol):
    """Anything with a name that can be tried."""

    @property
    def name(self) -> str:
        """What it does, in words."""
        ...


K = TypeVar("K", bound=Kind)


class Trial(msgspec.Struct, frozen=True):
    """One trial: which of all, and where its chance comes from."""

    number: int
    seed: int

    def chance(self) -> random.Random:
        """The same for the same seed and number."""
        return random.Random(f"{self.seed}/{self.number}")


class Tried(msgspec.Struct):
    """What came of a row."""

    row: str
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each kind was tried to its end."""
    failed: int = 0
    findings: list[dict[str, Any]] = []
    operations: Counter[str] = msgspec.field(default_factory=Counter)
    figures: dict[str, float] = {}
    not_run: str = ""
    also: Counter[str] = msgspec.field(default_factory=Counter)
    """Trials among these that belong to another row."""

    @property
    def count(self) -> int:
        """How many trials there were."""
        return self.kinds.total()

    def broke(self, kind: str, trial: Trial, says: str) -> None:
        """One trial that broke what is promised."""
        self.failed += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append({"kind": kind, "seed": trial.seed, "trial": trial.number, "says": says[:500]})


def trials(kinds: Sequence[K], count: int, seed: int) -> Iterator[tuple[K, Trial]]:
    """So many trials, kind after kind, so that each is tried as often as any other."""
    for number in range(count):
        yield kinds[number % len(kinds)], Trial(number, seed)
