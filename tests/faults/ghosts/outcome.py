"""What one trial with a ghost came to, the same for every arm, and what a batch of them adds up to.

Judged is what a read_committed reader sees once everything has come to rest. Each command stands for one decision: it
must be on the tape once and whole. Nothing that its client took back, or never committed, may ever be seen.
"""

from collections import Counter
from typing import Any

import msgspec

from tests.faults.ghosts.proxy import Fate

FINDINGS_MAX = 50


class Variant(msgspec.Struct, frozen=True):
    """Which request is taken and what becomes of it; what happens around it."""

    api: str
    fate: Fate
    around: str

    @property
    def name(self) -> str:
        """As figures and findings name it."""
        return f"{self.api} {self.fate}, {self.around}"


class Outcome(msgspec.Struct, kw_only=True):
    """What was wrong after one trial, if anything; commands by name."""

    variant: Variant
    trial: int
    lost: list[str] = []
    """Taken as done with, and not there."""
    doubled: list[str] = []
    phantom: list[str] = []
    """Seen though it was taken back or never committed."""
    torn: list[str] = []
    """Seen in part."""
    told: list[str] = []
    """What the client was told on the way: silence is the worst."""
    ghost: int | None = None
    """The broker's answer to the late request; None when there was none."""
    is_delivered: bool = False

    @property
    def is_violated(self) -> bool:
        """Whether any promise was broken."""
        return bool(self.lost or self.doubled or self.phantom or self.torn)


class Batch(msgspec.Struct):
    """Many trials of one arm."""

    tried: Counter[str] = msgspec.field(default_factory=Counter)
    failed: Counter[str] = msgspec.field(default_factory=Counter)
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    """Trials with something lost, doubled, phantom, torn; one may have several."""
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    missed: Counter[str] = msgspec.field(default_factory=Counter)
    """Variants whose request was never sent: no trial."""
    findings: list[dict[str, Any]] = []

    def add(self, outcome: Outcome) -> None:
        """One more trial."""
        name = outcome.variant.name
        self.tried[name] += 1
        if outcome.is_delivered:
            self.answers["connection closed" if outcome.ghost is None else f"code {outcome.ghost}"] += 1
        if not outcome.is_violated:
            return
        self.failed[name] += 1
        for kind in ("lost", "doubled", "phantom", "torn"):
            self.kinds[kind] += bool(getattr(outcome, kind))
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append({"what": "ghost", "says": name, **msgspec.to_builtins(outcome)})

    def broke(self, what: str, says: str) -> None:
        """Something that the whole tape shows, whichever trial it came from."""
        self.failed["the tape as a whole"] += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append({"what": what, "says": says})

    def figures(self) -> dict[str, float]:
        """By variant how often it was tried and violated, then the kinds of violation and the broker's answers."""
        found = {f"{name}: tried": float(count) for name, count in sorted(self.tried.items())}
        found |= {f"{name}: violated": float(count) for name, count in sorted(self.failed.items())}
        found |= {f"trials with something {kind}": float(count) for kind, count in sorted(self.kinds.items()) if count}
        found |= {f"ghosts answered with {code}": float(count) for code, count in sorted(self.answers.items())}
        return found | {f"{name}: not sent": float(count) for name, count in sorted(self.missed.items())}
