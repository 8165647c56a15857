"""Dumped tables against naive rows: every read model is the fold of the tape at its own position, bit for bit.

`Table` keeps the rows that the tape makes of one table, up to the sequences that the read model had reached when it was
dumped; `compare` names each row that is missing, that nobody made, or that has another value in some column.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tests.faults.checker.evidence import Folder, Position, lines
from tests.faults.checker.tape import OWNERSHIP, Event, Tape
from tests.faults.checker.verdict import Findings

Row = dict[str, Any]
Key = tuple[Any, ...]
Fold = Callable[[dict[Key, Row], Event], Iterable[Key]]
"""Changes rows in place, and says which of them it touched."""
STAMP = ("topic", "partition", "sequence")


class Table:
    """One table: its read model, its topics, its key, and the fold that makes its rows."""

    def __init__(self, name: str, model: str, topics: tuple[str, ...], key: tuple[str, ...], fold: Fold) -> None:
        self.name = name
        self.model = model
        self.key = key
        self.rows: dict[Key, Row] = {}
        self._topics = topics
        self._fold = fold
        self._reached: dict[tuple[str, int], int] = {}
        self.path_is_there = False

    def begin(self, positions: Iterable[Position]) -> None:
        """How far the dumped rows reflect each partition."""
        self._reached = {(p.topic, p.partition): p.sequence for p in positions if p.name == self.model}

    def take(self, event: Event) -> None:
        """The next event of any topic; what the dump does not reflect is passed over."""
        if event.topic not in self._topics or event.meta["sequence"] > self._reached.get(event[:2], -1):
            return
        if event.kind == OWNERSHIP and self.name != "journal":
            return
        for key in self._fold(self.rows, event):
            row = self.rows[key]
            row["topic"], row["partition"], row["sequence"] = event.topic, event.partition, event.meta["sequence"]

    def compare(self, folder: Folder, findings: Findings) -> None:
        """Hold the dump against the rows."""
        path = folder.table(self.name)
        if path is None:
            findings.not_judged.append(f"projection: {self.name} was not dumped")
            return
        # The stamp of a row that two topics feed depends on which of them was read last.
        ignored = STAMP if len(self._topics) > 1 and self.key[:3] != STAMP else ()
        left = dict(self.rows)
        for row in lines(path, dict[str, Any]):
            findings.judged["rows"] += 1
            key = tuple(row[name] for name in self.key)
            expected = left.pop(key, None)
            place = _place(row, self.name)
            if expected is None:
                findings.add("projection", f"{self.name}: the tape makes no such row", evidence={"row": row}, **place)
                continue
            differing = {
                name: {"tape": expected.get(name), "row": row.get(name)}
                for name in {*expected, *row}
                if name not in ignored and expected.get(name) != row.get(name)
            }
            if differing:
                says = f"{self.name}: {', '.join(sorted(differing))} of {key}"
                findings.add("projection", says, evidence=differing, **place)
        for key, row in left.items():
            findings.add("projection", f"{self.name}: row {key} is missing", **_place(row, self.name))


def behind(folder: Folder, tape: Tape, positions: list[Position], findings: Findings) -> None:
    """In a quiet run every read model has all that is due; none is ever ahead of the tape."""
    for position in positions:
        partition = tape.partition(position.topic, position.partition)
        if partition is None:
            continue
        due = bisect_left(partition.offsets, folder.due_end(position.topic, position.partition)) - 1
        if not due <= position.sequence <= partition.sequence:
            says = f"{position.name} reflects {position.sequence}, the tape has {due} to {partition.sequence}"
            findings.add("liveness", says, topic=position.topic, partition=position.partition)


def tenants(folder: Folder, tape: Tape, findings: Findings) -> None:
    """Rows of a read model stand under the tenant whose account they are of."""
    owners = {name: s.tenant for p in tape.partitions() for name, s in ((s.name, s) for s in p.streams.values())}
    for path in sorted((folder.root / "tables").glob("*.ndjson")):
        for row in lines(path, dict[str, Any]):
            account = row.get("account_id") or row.get("stream_id")
            tenant = row.get("tenant")
            if tenant is not None and account in owners and owners[account] != tenant:
                says = f"{path.stem}: a row of {tenant!r} for the account of {owners[account]!r}"
                findings.add("tenant", says, **_place(row, path.stem))


def _place(row: Row, table: str) -> dict[str, Any]:
    known = {name: row[name] for name in STAMP if isinstance(row.get(name), str | int)}
    return {**known, "account": row.get("account_id") or row.get("stream_id")}


def plain(value: bytes) -> str:
    """Bytes as a dump has them."""
    return str(msgspec.to_builtins(value))
