"""<context>.commands -> <context>.events, one partition of it: what its owner knows, and how a batch is decided.

Everything here is exact and repeatable: `decide` stages events and states, nothing of it counts until `keep` is called
for a batch that ended clearly; `streams/replay.py` brings the same knowledge back from the tape.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from immutables import Map

from domain.kernel.decider import Decider
from domain.kernel.ids import Micros, derived, event_id
from domain.kernel.messages import Command, Event, Issued, OwnershipTaken, Recorded
from domain.kernel.stream import Familiarity, Stream, advanced
from infra.avro.codec import Codec, Undecodable
from infra.clock import Clock
from infra.kafka.chain import Link
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.writer import size_of
from infra.settings import BATCH_COMMANDS_MAX, EVENTS_BYTES_MAX, KNOWN_COMMANDS_MAX

OWNER_TENANT = "tapeline"
"""Tenant of the owner streams, which belong to the installation and to no customer."""


class Deciding(msgspec.Struct, frozen=True):
    """A context that decides: its decider and the commands it takes."""

    context: str
    decider: Decider[Any, Any, Any]
    commands: tuple[type, ...]


class Dead(msgspec.Struct, frozen=True):
    """A command that can never be decided, and why."""

    arrived: Arrived
    cause: str
    detail: str
    correlation_id: str = ""
    """Of the command, where it can be read."""


class Knowledge(msgspec.Struct, frozen=True):
    """Everything an owner knows of its partition: the end of its log and every aggregate in it."""

    link: Link = Link()
    command_position: int = -1
    recorded_at: Micros = Micros(0)
    streams: Map[str, Stream[Any]] = Map()


class Batch(msgspec.Struct, frozen=True):
    """Decided and not yet on the tape: the records, what will be known then, what goes to the dead letters."""

    records: tuple[Outgoing, ...]
    knowledge: Knowledge
    events: tuple[Event, ...]
    dead: tuple[Dead, ...]
    taken: int


class OwnedPartition:
    """The decisions of one partition, for whichever context's decider is given."""

    def __init__(self, deciding: "Deciding", number: int, codec: Codec, clock: Clock) -> None:
        self.context = deciding.context
        self.number = number
        self.topic = f"{deciding.context}.events"
        self.source = f"/{self.topic}/{number}".encode()
        self._decider = deciding.decider
        self._commands = deciding.commands
        self._codec = codec
        self._clock = clock
        self.knowledge = Knowledge()

    def ownership(self, owner: str, term: int) -> Batch:
        """The first record of a reign, to be appended before anything is decided."""
        event = OwnershipTaken(partition=self.number, owner=owner)
        issued = Issued(
            command=Command(at=self._clock(), actor=f"owner:{owner}"),
            command_id=derived("term", self.topic, self.number, term),
            tenant=OWNER_TENANT,
            stream_id=f"owner/{self.number}",
            causation_id="",
            correlation_id="",
        )
        draft = _Draft(self, msgspec.structs.replace(self.knowledge, link=_in_term(self.knowledge.link, term)))
        draft.record(issued, event, bytes(32), self.knowledge.command_position, {})
        return draft.batch((), 0)

    def decide(self, pending: Sequence[Arrived]) -> Batch:
        """Decide these commands in order, as many as one batch takes. Changes nothing: see `keep`."""
        draft = _Draft(self, self.knowledge)
        dead: list[Dead] = []
        taken = 0
        for arrived in pending:
            if len(draft.records) >= BATCH_COMMANDS_MAX or draft.size >= EVENTS_BYTES_MAX:
                break
            taken += 1
            try:
                issued = self._read(arrived)
            except Undecodable as poison:
                dead.append(Dead(arrived, poison.kind, str(poison)))
                continue
            stream = draft.stream(issued.stream_id)
            if stream.tenant and issued.tenant != stream.tenant:
                detail = f"stream {issued.stream_id} is not of {issued.tenant!r}"
                dead.append(Dead(arrived, "WRONG_TENANT", detail, issued.correlation_id))
                continue
            match stream.familiarity(issued.command_id, issued.command.at):
                case Familiarity.KNOWN:
                    continue
                case Familiarity.STALE:
                    detail = f"command {issued.command_id} is older than the ids remembered"
                    dead.append(Dead(arrived, "STALE", detail, issued.correlation_id))
                    continue
                case Familiarity.NEW:
                    try:
                        event = self._decider.decide(stream.state, issued.command)
                        draft.record(issued, event, self._codec.digest(issued), arrived.offset, arrived.headers)
                    except OverflowError as beyond:  # What follows from it can stand in no event.
                        dead.append(Dead(arrived, "OVERFLOW", str(beyond), issued.correlation_id))
        return draft.batch(tuple(dead), taken)

    def _read(self, arrived: Arrived) -> Issued[Command]:
        issued = self._codec.decode_command(arrived.value)
        if arrived.key != issued.stream_id.encode():
            raise Undecodable("WRONG_KEY", f"key {arrived.key!r} is not the stream {issued.stream_id!r}")
        if not isinstance(issued.command, self._commands):
            raise Undecodable("WRONG_TYPE", f"{type(issued.command).__name__} is no command of {self.context}")
        return issued

    def keep(self, batch: Batch) -> None:
        """The batch is on the tape: what it staged is what is known now."""
        self.knowledge = batch.knowledge

    def event(self, arrived: Arrived) -> Recorded[Any]:
        """The event in a record of the tape; raises Undecodable."""
        return self._codec.decode_event(arrived.value)

    def evolve(self, state: Any, event: Event) -> Any:
        """The state of an aggregate after this event."""
        return state if isinstance(event, OwnershipTaken) else self._decider.evolve(state, event)

    def evolved(self, streams: Map[str, Stream[Any]], recorded: Recorded[Any]) -> Map[str, Stream[Any]]:
        """All aggregates after this event."""
        stream = streams.get(recorded.stream_id) or self.initial()
        state = self.evolve(stream.state, recorded.event)
        moved = advanced(stream, state, recorded.tenant, recorded.command_id, recorded.at, KNOWN_COMMANDS_MAX)
        return streams.set(recorded.stream_id, moved)

    def initial(self) -> Stream[Any]:
        """An aggregate nobody has spoken of yet."""
        return Stream(self._decider.initial)

    def now(self) -> Micros:
        """The host's time."""
        return self._clock()

    def encode(self, recorded: Recorded[Any]) -> bytes:
        """The record value of an event."""
        return self._codec.encode_event(recorded)


class _Draft:
    """A batch while it is made: each event sees the state that the one before it left."""

    def __init__(self, partition: OwnedPartition, knowledge: Knowledge) -> None:
        self._partition = partition
        self._link = knowledge.link
        self._position = knowledge.command_position
        self._recorded_at = knowledge.recorded_at
        self._streams = knowledge.streams
        self.records: list[Outgoing] = []
        self._events: list[Event] = []
        self.size = 0

    def stream(self, stream_id: str) -> Stream[Any]:
        return self._streams.get(stream_id) or self._partition.initial()

    def record(
        self, issued: Issued[Command], event: Event, digest: bytes, position: int, headers: dict[str, bytes]
    ) -> None:
        partition = self._partition
        sequence = self._link.sequence + 1
        self._recorded_at = max(self._recorded_at, partition.now())
        recorded = Recorded(
            event=event,
            event_id=event_id(partition.topic, partition.number, sequence),
            tenant=issued.tenant,
            stream_id=issued.stream_id,
            version=self.stream(issued.stream_id).version + 1,
            sequence=sequence,
            previous=self._link.hash,
            term=self._link.term,
            command_position=position,
            command_id=issued.command_id,
            digest=digest,
            causation_id=issued.causation_id,
            correlation_id=issued.correlation_id,
            actor=issued.command.actor,
            at=issued.command.at,
            recorded_at=self._recorded_at,
        )
        value = partition.encode(recorded)
        outgoing = Outgoing(issued.stream_id.encode(), value, _headers(recorded, partition, headers))
        self.records.append(outgoing)
        self._events.append(event)
        self.size += size_of(outgoing)
        self._streams = partition.evolved(self._streams, recorded)
        self._link = Link(sequence, hashlib.sha256(value).digest(), self._link.term)
        self._position = position

    def batch(self, dead: tuple[Dead, ...], taken: int) -> Batch:
        knowledge = Knowledge(self._link, self._position, self._recorded_at, self._streams)
        return Batch(tuple(self.records), knowledge, tuple(self._events), dead, taken)


def _in_term(link: Link, term: int) -> Link:
    return Link(link.sequence, link.hash, term)


def _headers(recorded: Recorded[Any], partition: OwnedPartition, headers: dict[str, bytes]) -> dict[str, bytes]:
    """What tools and gateways match before they decode anything: the command, and CloudEvents' attributes."""
    made = {
        "command-id": recorded.command_id.encode(),
        "digest": recorded.digest,
        "ce_specversion": b"1.0",
        "ce_id": recorded.event_id.encode(),
        "ce_type": _encoded(type(recorded.event).__name__),
        "ce_source": partition.source,
    }
    if "traceparent" in headers:
        made["traceparent"] = headers["traceparent"]
    return made


@cache  # One entry for each class of event.
def _encoded(name: str) -> bytes:
    return name.encode()
