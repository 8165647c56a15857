"""The tape as operators look at it: the last record of each partition, one record with its neighbour, a live tail.

Reads topics and nothing else. Every function takes a reader of its own and gives plain values; `cli.py` prints them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from domain.kernel.messages import Command, Event, Observed, Recorded
from infra.avro.codec import Codec, Undecodable
from infra.kafka.chain import ChainBroken, Link, follow
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived, Partition
from infra.settings import POLL_WAIT_MS

LOOK_BACK = 256
"""Offsets looked back for a partition's last record: transaction markers take offsets too, one a batch."""
TAIL_MAX = 1_000
"""Records taken together while following."""


class Reads(Protocol):
    """Takes records of partitions in order: `Reader`, or what stands in for it."""

    async def begins(self, topic: str) -> dict[int, int]:
        """The oldest offset each partition still has."""
        ...

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset after the last record of each partition."""
        ...

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read exactly these partitions, each from an offset."""
        ...

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        """What is there, at most so many."""
        ...

    def position(self) -> dict[Partition, int]:
        """Everything before these offsets was taken."""
        ...


class PositionRefused(ValueError):
    """The text is no tape position."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A record as a person reads it."""

    position: str
    type: str
    key: str
    headers: dict[str, str]
    meta: dict[str, Any]
    payload: dict[str, Any]
    problem: str = ""


def position(text: str) -> tuple[str, int, int]:
    """Topic, partition and offset of `orders.events:2:1234`."""
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not (topic and partition.isdigit() and offset.isdigit()):
        raise PositionRefused(
            f"{text!r} is no tape position: write topic:partition:offset, such as orders.events:2:1234"
        )
    return topic, int(partition), int(offset)


async def last(reader: Reader, topic: str) -> dict[int, Arrived]:
    """The last record of each partition that has one within reach of its end."""
    ends, begins = await reader.ends(topic), await reader.begins(topic)
    starts = {
        (topic, number): max(begins[number], end - LOOK_BACK) for number, end in ends.items() if end > begins[number]
    }
    found: dict[int, Arrived] = {}
    async for arrived in until(reader, starts, {place: ends[place[1]] for place in starts}):
        found[arrived.partition] = arrived
    return found


async def count(reader: Reader, codec: Codec, topic: str) -> dict[str, int]:
    """How many records of each type a topic holds, read from its beginning to its end."""
    ends, begins = await reader.ends(topic), await reader.begins(topic)
    starts = {(topic, number): begins[number] for number, end in ends.items() if end > begins[number]}
    found: dict[str, int] = {}
    async for arrived in until(reader, starts, {place: ends[place[1]] for place in starts}):
        name = seen(codec, arrived).type
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


async def inspect(reader: Reader, codec: Codec, place: tuple[str, int, int]) -> Seen:
    """One record, and whether it follows from the record before it."""
    topic, partition, offset = place
    begins, ends = await reader.begins(topic), await reader.ends(topic)
    if partition not in ends:
        raise PositionRefused(f"{topic} has no partition {partition}; it has {min(ends)} to {max(ends)}")
    begin, end = begins[partition], ends[partition]
    if offset >= end:
        raise PositionRefused(f"{topic}:{partition}:{offset} is past the end of the tape, which is {end}")
    if offset < begin:
        raise PositionRefused(f"{topic}:{partition}:{offset} is not on the tape any more, which begins at {begin}")
    before: Arrived | None = None
    starts = {(topic, partition): max(begin, offset - LOOK_BACK)}
    async for arrived in until(reader, starts, {(topic, partition): end}):
        if arrived.offset > offset:
            break
        if arrived.offset == offset:
            shown = seen(codec, arrived)
            return msgspec.structs.replace(shown, problem=shown.problem or _break(codec, before, arrived))
        before = arrived
    last = "nothing" if before is None else f"a record at {before.offset}"
    raise PositionRefused(
        f"{topic}:{partition}:{offset} holds no record but the end of a transaction; before it {last}"
    )


async def tail(reader: Reader, codec: Codec, topics: Sequence[str], stop_after: int | None) -> AsyncIterator[Seen]:
    """Records as they come, from now on, at most so many."""
    await reader.assign(
        {(topic, number): end for topic in topics for number, end in (await reader.ends(topic)).items()}
    )
    given = 0
    while stop_after is None or given < stop_after:
        for arrived in await reader.take(TAIL_MAX, POLL_WAIT_MS):
            yield seen(codec, arrived)
            given += 1
            if stop_after is not None and given >= stop_after:
                return


def seen(codec: Codec, arrived: Arrived) -> Seen:
    """A record as a person reads it; one that cannot be read says why."""
    problem, name = "", ""
    meta: dict[str, Any] = {}
    payload: dict[str, Any] = {}
    try:
        name, meta, payload = _decoded(codec, arrived)
    except Undecodable as error:
        problem = str(error)
    return Seen(
        position=f"{arrived.topic}:{arrived.partition}:{arrived.offset}",
        type=name,
        key=arrived.key.decode(errors="replace"),
        headers={key: _text(value) for key, value in arrived.headers.items()},
        meta=meta,
        payload=payload,
        problem=problem,
    )


def _decoded(codec: Codec, arrived: Arrived) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if arrived.topic.endswith(".events"):
        recorded: Recorded[Event] = codec.decode_event(arrived.value)
        meta = {name: _plain(getattr(recorded, name)) for name in recorded.__struct_fields__ if name != "event"}
        return type(recorded.event).__name__, meta, _fields(recorded.event)
    if arrived.topic.endswith((".commands", ".commands.dead")):
        issued = codec.decode_command(arrived.value)
        meta = {name: getattr(issued, name) for name in issued.__struct_fields__ if name != "command"}
        return type(issued.command).__name__, meta, _fields(issued.command)
    observed = codec.decode_observed(arrived.value, Observed)
    return type(observed).__name__, {}, _fields(observed)


def _fields(message: Event | Command | Observed) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(message)
    return fields


def _break(codec: Codec, before: Arrived | None, arrived: Arrived) -> str:
    """What is wrong between two neighbours of an events topic; empty when nothing is."""
    if not arrived.topic.endswith(".events"):
        return ""
    link: Link | None = Link() if codec.decode_event(arrived.value).sequence == 0 else None
    try:
        if before is not None:
            link = follow(None, codec.decode_event(before.value), before.value, place=arrived)
        follow(link, codec.decode_event(arrived.value), arrived.value, place=arrived)
    except (ChainBroken, Undecodable) as error:
        return f"the record before it cannot be read: {error}" if isinstance(error, Undecodable) else str(error)
    return ""


async def until(
    reader: Reads, starts: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]
) -> AsyncIterator[Arrived]:
    """The records of these places from there to here."""
    if not starts:
        return
    await reader.assign(starts)
    while any(reader.position().get(place, starts[place]) < end for place, end in ends.items()):
        for arrived in await reader.take(TAIL_MAX, POLL_WAIT_MS):
            if arrived.offset < ends[arrived.topic, arrived.partition]:
                yield arrived


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()
