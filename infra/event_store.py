"""One partition of the tape behind the eventsourcing library's persistence contract: recorder, mapper, factory.

It reads a stream as it was (the Repository of the library, with a projector function), and lets its own test cases
judge our writers. The decider host does not go through it: it owns many streams and many commands a batch. Only the
contract is used; see ARCHITECTURE.md for what is not and why.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Mapper,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    TrackingRecorder,
)

from domain.kernel.messages import Event, Recorded
from infra.avro.codec import Codec
from infra.avro.contracts import name_of
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.writer import TapeWriter, UnclearEnd
from infra.settings import POLL_WAIT_MS

T = TypeVar("T")
READ_MAX = 1_000
"""Records read together."""


class AvroMapper(Mapper[str]):
    """Events in their envelope to stored events and back; `state` is the record value as it stands on the tape."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """The stored form of an event in its envelope."""
        recorded: Recorded[Event] = domain_event
        state = self._codec.encode_event(recorded)
        return StoredEvent(recorded.stream_id, recorded.version, name_of(type(recorded.event)), state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The event in its envelope."""
        return self._codec.decode_event(stored_event.state)


class KafkaRecorder(AggregateRecorder):
    """Streams of one partition. Blocking, as the contract is: the writer and the reader live on a loop of their own."""

    def __init__(self, bootstrap: str, topic: str, partition: int, writer: TapeWriter | None = None) -> None:
        self._bootstrap = bootstrap
        self._topic, self._partition = topic, partition
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"{topic}-recorder", daemon=True)
        self._thread.start()
        self._streams: dict[str, list[StoredEvent]] = {}
        self._next = 0
        self._writer = writer or Protocol2Writer(bootstrap, topic, partition)
        self._wait(self._take_over())

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Append all or nothing; IntegrityError when a version is not the next of its stream.

        Offsets are not known before delivery, so that no notification ids are given.
        """
        heads: dict[str, int] = {}
        for event in stored_events:
            stream = str(event.originator_id)
            known = self._streams.get(stream)
            head = heads.get(stream, known[-1].originator_version if known else None)
            if head is not None and event.originator_version != head + 1:
                raise IntegrityError(f"stream {stream}: version {event.originator_version} follows {head}")
            heads[stream] = event.originator_version
        if stored_events:
            self._wait(self._append(stored_events))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of a stream between two versions."""
        found = [
            StoredEvent(originator_id, event.originator_version, event.topic, event.state)
            for event in self._streams.get(str(originator_id), ())
            if (gt is None or event.originator_version > gt) and (lte is None or event.originator_version <= lte)
        ]
        if desc:
            found.reverse()
        return found if limit is None else found[:limit]

    def close(self) -> None:
        """Let the writer and its loop go."""
        self._wait(self._writer.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _append(self, events: Sequence[StoredEvent]) -> None:
        """An unclear end is read back: either everything stands or nothing does, and then it is appended again."""
        records = [_outgoing(event) for event in events]
        try:
            await self._writer.append(records)
        except UnclearEnd:
            await self._take_over()
            first = events[0]
            if any(first.originator_version == kept.originator_version for kept in self._of(first)):
                return
            await self._writer.append(records)
        self._index(events)

    async def _take_over(self) -> None:
        await self._writer.take_over()
        reader = Reader(self._bootstrap, f"{self._topic}-recorder")
        place = (self._topic, self._partition)
        try:
            end = (await reader.ends(self._topic))[self._partition]
            begin = max(self._next, (await reader.begins(self._topic))[self._partition])
            await reader.assign({place: begin})
            while reader.position().get(place, begin) < end:
                self._index(map(_stored, await reader.take(READ_MAX, POLL_WAIT_MS)))
            self._next = end
        finally:
            await reader.close()

    def _of(self, event: StoredEvent) -> list[StoredEvent]:
        return self._streams.get(str(event.originator_id), [])

    def _index(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            known = self._streams.setdefault(str(event.originator_id), [])
            if not known or known[-1].originator_version < event.originator_version:
                known.append(event)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class KafkaFactory(InfrastructureFactory[TrackingRecorder]):
    """Made from text alone: KAFKA, KAFKA_TOPIC and KAFKA_PARTITION. Topics are declared beforehand."""

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """The recorder of the partition that the environment names."""
        partition = int(self.env.get("KAFKA_PARTITION", "0") or "0")
        topic = self.env.get("KAFKA_TOPIC", f"library.{purpose}") or ""
        return KafkaRecorder(self.env.get("KAFKA", "") or "", topic, partition)

    def application_recorder(self) -> ApplicationRecorder:
        """Refused: it asks for one dense order over everything, which a tape of many partitions does not have."""
        raise ProgrammingError(_ONE_ORDER)

    def process_recorder(self) -> ProcessRecorder:
        """Refused, see `application_recorder`."""
        raise ProgrammingError(_ONE_ORDER)

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        """Refused: projections keep their offsets beside their rows."""
        raise ProgrammingError("projections keep their positions in Postgres: see projections/projector.py")


_ONE_ORDER = "the tape has an order per partition, not one over all: follow its topics instead"


def _outgoing(event: StoredEvent) -> Outgoing:
    headers = {"version": str(event.originator_version).encode(), "topic": event.topic.encode()}
    return Outgoing(str(event.originator_id).encode(), event.state, headers)


def _stored(arrived: Arrived) -> StoredEvent:
    headers = arrived.headers
    return StoredEvent(arrived.key.decode(), int(headers["version"]), headers["topic"].decode(), arrived.value)
