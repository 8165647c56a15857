"""Topics -> a folder of Parquet files, for DuckDB and its kind: one for each topic, message, partition and range.

Everything is read from the beginning of the tape, so that the chain of every event partition is checked up to the last
row that is written, and each file's footer holds the hash of the last record that went into its range. A range begins
and ends where its name says, whoever asks and whenever: the same range gives the same bytes. One partition is read at a
time, and no more rows are held than `ROWS_HELD_MAX`.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.kernel.messages import Observed, Recorded
from gateways.operations import tape
from infra import parquet
from infra.avro.codec import Codec
from infra.kafka.chain import Link, follow
from infra.kafka.records import Arrived
from infra.parquet import Shape

ROWS_HELD_MAX = 20_000
"""Rows in memory before they are written as row groups: some tens of megabytes."""
PART = "part.parquet"
EVENTS = ".events"


class RangeRefused(ValueError):
    """The range cannot be cut like that; the text says how."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """How the tape is cut: by so many records, or by day of recording when `rows` is 0; and which ranges are wanted."""

    rows: int
    begin: str = ""
    until: str = ""

    def range_of(self, number: int, recorded_at: int) -> str:
        """The name of the range that a record belongs to: names sort as the tape does."""
        if self.rows:
            return f"{number // self.rows * self.rows:012}"
        return f"{datetime.fromtimestamp(recorded_at // 1_000_000, UTC):%Y-%m-%d}"

    def wants(self, name: str) -> bool:
        """The range is one of those that were asked for."""
        return (not self.begin or name >= self.begin) and (not self.until or name < self.until)

    @property
    def key(self) -> str:
        """What the range is called in a path."""
        return "first" if self.rows else "day"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: records read and chain checked, rows and files written, and the hash of the last record read."""

    topic: str
    partition: int
    records: int
    rows: int
    files: int
    last_hash: str


def cut(*, by_day: bool, rows: int, begin: str, until: str) -> Cut:
    """The cut that was asked for. Raises RangeRefused: only whole ranges have bytes that stay the same."""
    if by_day:
        return Cut(rows=0, begin=_day(begin), until=_day(until))
    if rows < 1:
        raise RangeRefused(f"--rows {rows}: a range has at least one record")
    return Cut(rows=rows, begin=_first(begin, rows), until=_first(until, rows))


async def export(  # noqa: PLR0913  what, from where, cut how, whose, to where, and who is told
    reader: tape.Reads,
    codec: Codec,
    topics: Iterable[str],
    wanted: Cut,
    folder: Path,
    *,
    tenant: str = "",
    progress: Callable[[str, int, int], None] = lambda _topic, _done, _all: None,
) -> AsyncIterator[Exported]:
    """Write the topics, partition by partition. Raises ChainBroken and Undecodable; what was finished before stays."""
    for topic in topics:
        if not topic.endswith(EVENTS) and not wanted.rows:
            raise RangeRefused(f"{topic} is a feed, whose records have no day of recording: cut it by sequence")
        begins, ends = await reader.begins(topic), await reader.ends(topic)
        done, every = 0, sum(end - begins[number] for number, end in ends.items())
        for number, end in sorted(ends.items()):
            walk = _Walk(codec, wanted, folder, (topic, number), tenant)
            try:
                if end > begins[number]:
                    place = (topic, number)
                    async for arrived in tape.until(reader, {place: begins[number]}, {place: end}):
                        walk.take(arrived)
                        progress(topic, done + arrived.offset - begins[number], every)
                walk.finish()
            finally:
                walk.drop()
            done += end - begins[number]
            progress(topic, done, every)
            yield walk.told()


class _Walk:
    """One partition on its way into files; only the files of one range are open."""

    def __init__(self, codec: Codec, wanted: Cut, folder: Path, place: tuple[str, int], tenant: str) -> None:
        self._codec = codec
        self._cut = wanted
        self._tenant = tenant
        self._topic, self._partition = place
        self._root = folder / f"topic={self._topic}"
        self._is_events = self._topic.endswith(EVENTS)
        self._link = Link()
        self._range = ""
        self._first = self._last = -1
        self._shapes: dict[type, Shape] = {}
        self._files: dict[type, parquet.File] = {}
        self._held: dict[type, list[dict[str, Any]]] = {}
        self._count = self._records = self._rows = self._written = 0

    def take(self, arrived: Arrived) -> None:
        """The next record, checked, and kept when its range and its tenant are wanted."""
        self._records += 1
        if self._is_events:
            self._take_event(arrived)
        else:
            said = self._codec.decode_observed(arrived.value, Observed)
            self._reach(arrived.offset, self._cut.range_of(arrived.offset, 0))
            if self._is_wanted(getattr(said, "tenant", self._tenant)):
                shape = self._shape(type(said))
                self._hold(type(said), parquet.feed_row(shape, said, arrived.offset))

    def _take_event(self, arrived: Arrived) -> None:
        recorded: Recorded[Any] = self._codec.decode_event(arrived.value)
        self._reach(recorded.sequence, self._cut.range_of(recorded.sequence, recorded.recorded_at))
        self._link = follow(self._link, recorded, arrived.value, place=arrived)
        if self._is_wanted(recorded.tenant):
            self._hold(type(recorded.event), parquet.event_row(self._shape(type(recorded.event)), recorded))

    def finish(self) -> None:
        """Close the range under way; its footer says what it was made from."""
        self._flush()
        told = {"tapeline.first": str(self._first), "tapeline.last": str(self._last)}
        if self._is_events:
            told["tapeline.hash"] = self._link.hash.hex()
        for file in self._files.values():
            file.finish(told)
            self._written += 1
        self._files.clear()

    def drop(self) -> None:
        """Leave nothing half-made."""
        for file in self._files.values():
            file.drop()
        self._files.clear()

    def told(self) -> Exported:
        """What became of the partition."""
        return Exported(
            topic=self._topic,
            partition=self._partition,
            records=self._records,
            rows=self._rows,
            files=self._written,
            last_hash=self._link.hash.hex() if self._is_events else "",
        )

    def _reach(self, number: int, name: str) -> None:
        if name != self._range:
            self.finish()
            self._range, self._first = name, number
        self._last = number

    def _is_wanted(self, whose: str) -> bool:
        return self._cut.wants(self._range) and self._tenant in ("", whose)

    def _shape(self, message: type) -> Shape:
        if message not in self._shapes:
            self._shapes[message] = parquet.shape_of(message, is_event=self._is_events)
        return self._shapes[message]

    def _hold(self, message: type, row: dict[str, Any]) -> None:
        self._held.setdefault(message, []).append(row)
        self._rows += 1
        self._count += 1
        if self._count >= ROWS_HELD_MAX:
            self._flush()

    def _flush(self) -> None:
        """The rows that are held become row groups; when that is follows from the range's own rows alone."""
        for message, rows in self._held.items():
            if message not in self._files:
                self._files[message] = parquet.File(self._path(message), self._shape(message).schema)
            self._files[message].write(rows)
        self._held.clear()
        self._count = 0

    def _path(self, message: type) -> Path:
        of_type = self._root / f"message={message.__name__}" / f"tape_partition={self._partition}"
        return of_type / f"{self._cut.key}={self._range}" / PART


def _first(text: str, rows: int) -> str:
    if not text:
        return ""
    if not text.isdecimal() or int(text) % rows:
        raise RangeRefused(f"{text!r} is not where a range of {rows} records begins: give a multiple of {rows}")
    return f"{int(text):012}"


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise RangeRefused(f"{text!r} is no day: write it as 2012-03-05") from error
