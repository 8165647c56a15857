"""<context>.events, one partition of it -> what its owner knows: the same knowledge that deciding left behind.

Many events are folded at once. Each aggregate is held in a form that changes while they are, and becomes what a decider
sees when the last one was read: 16 us an event, where a new value of everything after each event took 21.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from domain.kernel.stream import Stream, grown
from infra.kafka.chain import ChainBroken, follow
from infra.kafka.records import Arrived
from infra.settings import KNOWN_COMMANDS_MAX
from streams.partition import Knowledge, OwnedPartition


class MemoryAhead(Exception):
    """What was decided after a clear end is not on the tape: only a new start, from the tape alone, is safe."""


class Replay:
    """The reading back of one partition, from anywhere before what is known to the end of its log."""

    def __init__(self, partition: OwnedPartition) -> None:
        known = partition.knowledge
        self._partition = partition
        self._known = known
        self._link = known.link
        self._position = known.command_position
        self._recorded_at = known.recorded_at
        self._folding: dict[str, _Folding] = {}
        self.sequence: int | None = None
        """Of the last record that was read, whether it was known before or not; None before the first."""
        self.offset = -1
        """Of the same record."""

    def read(self, records: Sequence[Arrived]) -> None:
        """Fold what is new of the next records. Raises Undecodable, ChainBroken and MemoryAhead."""
        for arrived in records:
            recorded = self._partition.event(arrived)
            if recorded.sequence > self._link.sequence:
                self._fold(arrived, recorded)
            elif recorded.sequence == self._link.sequence and _hash(arrived.value) != self._link.hash:
                raise ChainBroken(f"{arrived}: sequence {recorded.sequence} is not what was decided; start again")
            # What is read must be dense by itself: memory that bridges a hole of the tape would hide it from us alone.
            if self.sequence is not None and recorded.sequence != self.sequence + 1:
                told = f"sequence {recorded.sequence} follows {self.sequence} on the tape"
                raise MemoryAhead(f"{arrived}: {told}; start again")
            self.sequence, self.offset = recorded.sequence, arrived.offset

    def settle(self) -> set[str]:
        """Everything was read: the partition knows it from here on. Gives the names of the aggregates that changed."""
        with self._known.streams.mutate() as streams:
            for name, folding in self._folding.items():
                streams[name] = folding.stream()
            self._partition.knowledge = Knowledge(self._link, self._position, self._recorded_at, streams.finish())
        return set(self._folding)

    def _fold(self, arrived: Arrived, recorded: Recorded[Any]) -> None:
        self._link = follow(self._link, recorded, arrived.value, place=arrived)
        self._position = max(self._position, recorded.command_position)
        self._recorded_at = recorded.recorded_at
        folding = self._folding.get(recorded.stream_id)
        if folding is None:
            stream = self._known.streams.get(recorded.stream_id) or self._partition.initial()
            folding = _Folding(stream, stream.state, stream.version, stream.tenant, stream.dropped_at)
        if recorded.version <= folding.version:
            return  # A snapshot that is newer than the log's end at its marker: it is further already.
        if recorded.version > folding.version + 1:
            told = f"version {recorded.version} of {recorded.stream_id} follows {folding.version}"
            raise ChainBroken(f"{arrived}: {told}; what is known of the aggregate is not of this tape")
        self._folding[recorded.stream_id] = folding
        folding.state = self._partition.evolve(folding.state, recorded.event)
        folding.version += 1
        folding.tenant = folding.tenant or recorded.tenant
        if len(folding.newest) == KNOWN_COMMANDS_MAX:
            folding.dropped_at = max(folding.dropped_at, folding.newest[0][1])
        folding.newest.append((recorded.command_id, recorded.at))


class _Folding(msgspec.Struct, gc=False):
    """One aggregate while its events are folded."""

    begun: Stream[Any]
    state: Any
    version: int
    tenant: str
    dropped_at: Micros
    newest: deque[tuple[str, Micros]] = msgspec.field(default_factory=lambda: deque(maxlen=KNOWN_COMMANDS_MAX))

    def stream(self) -> Stream[Any]:
        return grown(
            self.begun, self.state, self.tenant, self.version, self.newest, self.dropped_at, KNOWN_COMMANDS_MAX
        )


def _hash(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
