"""What a read model is: tables, where their rows come from, and a pure fold. Each one is a value in a file of its own.

A `Folded` table holds one row per key, made by `fold(row | None, message) -> row | None`. An `Appended` table holds
rows that are written once. Every row says which place of the tape it reflects; the host stamps that, folds need not.
Topics are read side by side, and no order holds between them: a row that is fed by several topics keeps what each of
them says in fields of its own, or in sums.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from domain.kernel.messages import Observed, OwnershipTaken, Recorded

Key: TypeAlias = tuple[str, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a read model, and the tape position of the last message that changed it."""

    topic: str = ""
    partition: int = -1
    sequence: int = -1


R = TypeVar("R", bound=Row)


class OnTape(msgspec.Struct, frozen=True, kw_only=True):
    """A message where it stands: an event in its envelope, or what a feed said."""

    topic: str
    partition: int
    offset: int
    sequence: int
    value: bytes
    message: Any

    def __str__(self) -> str:
        """Its place, for people."""
        return f"{self.topic}[{self.partition}] offset {self.offset}"


Touch: TypeAlias = tuple[Key, Any, OnTape]
"""A row, the part of a message that touches it, and where the message stands."""


def whole(message: Any) -> Iterable[Any]:
    """A message as it is, in one part."""
    return (message,)


class Folded(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """One row per key. `keys_of` names the rows that a message touches; the columns of a key are text.

    A message that tells something new of many rows is split first; `keys_of` and `fold` then see its parts.
    """

    name: str
    row: type[R]
    key: tuple[str, ...]
    keys_of: Callable[[Any], Iterable[Key]]
    fold: Callable[[R | None, Any], R | None]
    split: Callable[[Any], Iterable[Any]] = whole


class Appended(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """Rows that are written once and stay."""

    name: str
    row: type[R]
    rows_of: Callable[[OnTape], Iterable[R]]


Table: TypeAlias = Folded[Any] | Appended[Any]


class OneOfAll(msgspec.Struct, frozen=True):
    """A feed that stands whole in every partition: this one is read."""

    topic: str
    message: type[Observed]
    partition: int = 0


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """One read model: raise `version` when its fold or its tables change, and rebuild it."""

    name: str
    version: int
    ddl: str
    tables: tuple[Table, ...]
    events: tuple[str, ...] = ()
    feeds: tuple[OneOfAll, ...] = ()

    @property
    def shape(self) -> str:
        """A hash of the tables as they are declared."""
        return hashlib.sha256(self.ddl.encode()).hexdigest()

    def places(self, partitions: int) -> list[tuple[str, int]]:
        """Every partition that the read model reads."""
        of_events = [(topic, partition) for topic in self.events for partition in range(partitions)]
        return of_events + [(feed.topic, feed.partition) for feed in self.feeds]


def columns(table: Table) -> tuple[str, ...]:
    """The columns of a table: the fields of its row."""
    return tuple(table.row.__struct_fields__)


def touches(table: Folded[R], records: Iterable[OnTape]) -> list[Touch]:
    """Which rows these messages touch, and with what, in order."""
    return [
        (key, part, record)
        for record in records
        if not _is_ownership(record)
        for part in table.split(record.message)
        for key in table.keys_of(part)
    ]


def fold_touches(table: Folded[R], rows: Mapping[Key, R], touched: Iterable[Touch]) -> dict[Key, R]:
    """The rows that changed, as they are after these messages: the last state of each, once."""
    changed: dict[Key, tuple[R, OnTape]] = {}
    for key, part, record in touched:
        before = changed[key][0] if key in changed else rows.get(key)
        after = table.fold(before, part)
        if after is not None and after is not before:
            changed[key] = (after, record)
    return {key: _stamped(row, record) for key, (row, record) in changed.items()}


def fold_batch(table: Folded[R], rows: Mapping[Key, R], records: Iterable[OnTape]) -> dict[Key, R]:
    """The rows that these messages change."""
    return fold_touches(table, rows, touches(table, records))


def append_batch(table: Appended[R], records: Sequence[OnTape]) -> list[R]:
    """The rows that these messages add."""
    return [_stamped(row, record) for record in records for row in table.rows_of(record)]


def _stamped(row: R, record: OnTape) -> R:
    return msgspec.structs.replace(row, topic=record.topic, partition=record.partition, sequence=record.sequence)


def _is_ownership(record: OnTape) -> bool:
    """That a process took over a partition is no fact of any row."""
    return isinstance(record.message, Recorded) and isinstance(record.message.event, OwnershipTaken)
