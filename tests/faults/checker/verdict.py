"""What a judgement says: findings, each with its invariant, its place and its evidence, and the verdict of a run.

A verdict names what was judged and what could not be: a run without frames says that no frames were judged, so that
nobody takes silence for a pass.
"""

from collections import Counter
from typing import Any

import msgspec

FORMAT = "tapeline-verdict/1"
KEPT_MAX = 50
"""Findings of one kind that are written out; beyond them only their number grows."""

INVARIANTS = {
    "lost": "I1",
    "duplicated": "I2",
    "reordered": "I3",
    "torn": "I4",
    "aborted-but-seen": "I4",
    "never-written": "I4",
    "failed-but-done": "I4",
    "unbalanced": "I5",
    "beyond-limit": "I5",
    "projection": "I6",
    "chain": "I7",
    "merkle": "I7",
    "gap-untold": "I8",
    "tenant": "I9",
    "liveness": "I10",
    "process": "I11",
    "evidence": "-",
}
"""What can be found, and the invariant that it breaks; `evidence` is a file that cannot be judged."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that does not hold: where it stands and what shows it."""

    invariant: str
    what: str
    says: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    sequence: int | None = None
    account: str | None = None
    evidence: dict[str, Any] = {}


class Verdict(msgspec.Struct, kw_only=True):
    """One run: `found` counts all findings by kind, `findings` shows the first of each."""

    format: str = FORMAT
    is_clean: bool = True
    judged: dict[str, int] = {}
    not_judged: list[str] = []
    notes: list[str] = []
    found: dict[str, int] = {}
    findings: list[Finding] = []
    run: dict[str, Any] = {}


class Findings:
    """Where every judgement says what it found."""

    def __init__(self) -> None:
        self.judged: Counter[str] = Counter()
        self.not_judged: list[str] = []
        self.notes: list[str] = []
        self._found: Counter[str] = Counter()
        self._kept: list[Finding] = []

    def add(self, what: str, says: str, *, evidence: dict[str, Any] | None = None, **place: Any) -> None:
        """One more finding; `place` is topic, partition, offset, sequence, account as far as they are known."""
        self._found[what] += 1
        if self._found[what] <= KEPT_MAX:
            self._kept.append(
                Finding(invariant=INVARIANTS[what], what=what, says=says, evidence=evidence or {}, **place)
            )

    def verdict(self, run: dict[str, Any]) -> Verdict:
        """Everything said so far."""
        return Verdict(
            is_clean=not self._found,
            judged=dict(self.judged),
            not_judged=self.not_judged,
            notes=self.notes,
            found=dict(self._found),
            findings=self._kept,
            run=run,
        )
