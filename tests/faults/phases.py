"""Evidence of a run -> in which phase of its transaction each command was when the decider was killed.

From outside nobody sees a transaction begin. Afterwards the tape tells: a command has its event from an owner before
the kill or from the one after it, and what a killed owner produced and did not end lies aborted between the two.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.checker.evidence import Folder, Record, lines

ORDERS = "orders.events"
ANSWERED, ENDED, PRODUCED, BEFORE = "after the answer", "before the answer", "before the end", "before the produce"
PHASES = (BEFORE, PRODUCED, ENDED, ANSWERED)
"""Where in its way a command was, in the order of the way."""


FLYING, KILLED_NS, KILLED_MS = "flying", "killed_ns", "killed_ms"
PRIVATE = (FLYING, KILLED_NS, KILLED_MS)
"""What a fault that kills a decider says of itself: ids of commands and when each was answered, and its instant."""


class Writes:
    """Which commands have records in a partition, whether they count, and when their owner changed."""

    def __init__(self, root: Path) -> None:
        folder = Folder(root)
        self._committed = dict(_commands(folder, "committed"))
        self._produced: dict[str, list[int]] = {}
        for command, at_ms in _commands(folder, "uncommitted"):
            self._produced.setdefault(command, []).append(at_ms)

    def phase(self, command: str, told_ns: int, killed_ns: int, killed_ms: int) -> str:
        """The phase of one command at the kill."""
        if 0 < told_ns <= killed_ns:
            return ANSWERED
        if self._committed.get(command, killed_ms + 1) <= killed_ms:
            return ENDED
        return PRODUCED if any(at_ms <= killed_ms for at_ms in self._produced.get(command, ())) else BEFORE


def tell(writes: Writes, what: Mapping[str, Any]) -> dict[str, Any]:
    """What a fault said of itself, with its commands counted by phase in the place of their ids."""
    told = dict(what)
    flying, killed_ns, killed_ms = told.pop(FLYING, ()), told.pop(KILLED_NS, 0), told.pop(KILLED_MS, 0)
    found = Counter(writes.phase(command, told_ns, killed_ns, killed_ms) for command, told_ns in flying)
    return told | {"phases": {phase: found[phase] for phase in PHASES if found[phase]}}


def _commands(folder: Folder, level: str) -> Iterator[tuple[str, int]]:
    for topic, _, path in folder.partitions(ORDERS, level):
        if topic == ORDERS:
            for record in lines(path, Record):
                headers = msgspec.json.decode(record.headers, type=dict[str, bytes])
                yield headers.get("command-id", b"").decode(), record.at_ms
