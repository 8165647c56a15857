"""Every event that a saga caused names the event that it followed from, and that one stands on the tape."""

from typing import Any

from tests.faults.checker.tape import Event
from tests.faults.checker.verdict import Findings

SAGA = "saga:"
"""Actors whose commands follow from events begin with this."""


class Causes:
    """Give it every event; causes may stand in partitions that are read later."""

    def __init__(self, findings: Findings) -> None:
        self._events: set[int] = set()
        self._open: dict[str, dict[str, Any]] = {}
        """Causes that were not met yet, and the first event that names each."""
        self._findings = findings

    def take(self, event: Event) -> None:
        """The next event."""
        meta = event.meta
        self._events.add(hash(meta["event_id"]))
        self._open.pop(meta["event_id"], None)
        if meta["actor"].startswith(SAGA) and hash(cause := meta["causation_id"]) not in self._events:
            self._open.setdefault(cause, event.place)

    def judge(self) -> None:
        """All events are known by now."""
        for cause, place in self._open.items():
            says = f"the saga that caused it names {cause!r} as its cause, and no such event is on the tape"
            self._findings.add("never-written", says, **place)
