"""<context>.snapshots: the aggregates that changed and a marker, so that a take-over need not fold the whole log.

Written by a transactional writer of the partition's own, so that a fenced owner cannot put an old state over a newer
one. Never needed for correctness: states of another shape are ignored and the log is folded from the start.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from immutables import Map

from domain.kernel.ids import Micros
from domain.kernel.snapshots import SnapshotUnreadable, decode, encode, state_schema
from domain.kernel.stream import Stream
from infra import telemetry
from infra.kafka.chain import Link
from infra.kafka.reader import Reader
from infra.kafka.records import Outgoing
from infra.kafka.writer import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, TapeWriter, size_of
from infra.settings import POLL_WAIT_MS
from streams.partition import Knowledge

MARKER_KEY = b"\x00marker"
log = telemetry.logger("snapshots")


class Marker(msgspec.Struct, frozen=True):
    """What a complete snapshot stands for: the log up to this link, and where reading begins that must meet it."""

    shape: str
    link: Link
    command_position: int
    recorded_at: int
    events_offset: int


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """One aggregate in a snapshot."""

    shape: str
    tenant: str
    version: int
    dropped_at: int
    known: list[tuple[int, bytes, int]]
    state: bytes


def shape_of(initial: msgspec.Struct) -> str:
    """A name for the shape of this context's state."""
    return state_schema(type(initial))


async def write(
    writer: TapeWriter, knowledge: Knowledge, changed: Iterable[str], initial: msgspec.Struct, events_offset: int
) -> None:
    """Append the changed aggregates, then the marker that makes them count."""
    shape = shape_of(initial)
    records = [Outgoing(name.encode(), _encoded(knowledge.streams[name], shape)) for name in sorted(changed)]
    marker = Marker(shape, knowledge.link, knowledge.command_position, knowledge.recorded_at, events_offset)
    records.append(Outgoing(MARKER_KEY, msgspec.msgpack.encode(marker)))
    for batch in _batches(records):
        await writer.append(batch)


async def read(reader: Reader, topic: str, partition: int, initial: msgspec.Struct) -> tuple[Knowledge, int] | None:
    """The newest snapshot and the offset at which reading begins; None when there is none of this shape."""
    end = (await reader.ends(topic))[partition]
    begin = (await reader.begins(topic))[partition]
    if end <= begin:
        return None
    await reader.assign({(topic, partition): begin})
    newest: dict[bytes, bytes] = {}
    while reader.position().get((topic, partition), begin) < end:
        for arrived in await reader.take(BATCH_RECORDS_MAX, POLL_WAIT_MS):
            newest[arrived.key] = arrived.value
    try:
        return _restored(newest, initial)
    except (SnapshotUnreadable, msgspec.DecodeError) as error:
        log.warning("a snapshot cannot be read and is not needed", topic=topic, partition=partition, why=str(error))
        return None


def _restored(newest: dict[bytes, bytes], initial: msgspec.Struct) -> tuple[Knowledge, int] | None:
    shape = shape_of(initial)
    written = newest.pop(MARKER_KEY, None)
    if written is None:
        return None
    marker = msgspec.msgpack.decode(written, type=Marker)
    if marker.shape != shape:
        return None
    streams: dict[str, Stream[Any]] = {}
    for key, value in newest.items():
        kept = msgspec.msgpack.decode(value, type=_Kept)
        if kept.shape != shape:
            return None
        streams[key.decode()] = _decoded(kept, type(initial))
    knowledge = Knowledge(marker.link, marker.command_position, Micros(marker.recorded_at), Map(streams))
    return knowledge, marker.events_offset


def _encoded(stream: Stream[Any], shape: str) -> bytes:
    known = [(slot, digest, int(stream.known[digest])) for slot, digest in stream.slots.items()]
    return msgspec.msgpack.encode(
        _Kept(shape, stream.tenant, stream.version, stream.dropped_at, known, encode(stream.state))
    )


def _decoded(kept: _Kept, state: type) -> Stream[Any]:
    return Stream(
        decode(kept.state, state),
        kept.tenant,
        kept.version,
        Map({digest: Micros(at) for _, digest, at in kept.known}),
        Map({slot: digest for slot, digest, _ in kept.known}),
        Micros(kept.dropped_at),
    )


def _batches(records: list[Outgoing]) -> Iterable[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for record in records:
        if batch and (size + size_of(record) > BATCH_BYTES_MAX or len(batch) >= BATCH_RECORDS_MAX):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += size_of(record)
    yield batch
