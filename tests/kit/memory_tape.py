"""A tape in memory that behaves as Kafka's does: transactions, markers, fencing, and faults on demand."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal

import msgspec

from infra.kafka.records import Arrived, Outgoing, Partition
from infra.kafka.writer import Fenced, LawfulWriter, UnclearEnd


class _Outcome(Enum):
    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


class _Transaction(msgspec.Struct, eq=False):
    place: Partition
    outcome: _Outcome = _Outcome.OPEN


class _Slot(msgspec.Struct):
    """One offset of a partition: a record, or a marker that no reader sees."""

    transaction: _Transaction
    record: Outgoing | None


class MemoryLog:
    """What the brokers of a cluster know; tapes on the same log contend as processes do."""

    def __init__(self) -> None:
        self._slots: dict[Partition, list[_Slot]] = defaultdict(list)
        self._epochs: dict[str, int] = defaultdict(int)
        self._open: dict[str, _Transaction] = {}
        self._lost: tuple[Literal["send", "end"], bool] | None = None

    def lose_next(self, step: Literal["send", "end"], *, applied: bool) -> None:
        """The next step of this kind gets no answer; the log did it all the same, or did not."""
        self._lost = (step, applied)

    def visible(self, topic: str, partition: int) -> list[Arrived]:
        """What a read_committed reader sees."""
        slots = self._slots[topic, partition][: self.stable_end(topic, partition)]
        return [
            Arrived(topic, partition, offset, slot.record.key, slot.record.value, dict(slot.record.headers))
            for offset, slot in enumerate(slots)
            if slot.record is not None and slot.transaction.outcome is _Outcome.COMMITTED
        ]

    def stable_end(self, topic: str, partition: int) -> int:
        """The last stable offset: before the first open transaction."""
        slots = self._slots[topic, partition]
        is_open = (at for at, slot in enumerate(slots) if slot.transaction.outcome is _Outcome.OPEN)
        return next(is_open, len(slots))

    def end(self, topic: str, partition: int) -> int:
        """The high watermark."""
        return len(self._slots[topic, partition])

    def fence(self, transactional_id: str) -> int:
        """Raise the epoch and abort what is open."""
        self._close(transactional_id, _Outcome.ABORTED)
        return self._epochs[transactional_id]

    def write(self, place: Partition, transactional_id: str, epoch: int, records: Sequence[Outgoing]) -> int:
        """Open a transaction and write its batch; gives where it begins."""
        self._check(transactional_id, epoch)
        is_lost, is_applied = self._fate("send")
        begun_at = len(self._slots[place])
        if is_applied:
            transaction = self._open.setdefault(transactional_id, _Transaction(place))
            self._slots[place].extend(_Slot(transaction, record) for record in records)
        if is_lost:
            raise UnclearEnd("no answer to the records; take over")
        return begun_at

    def commit(self, transactional_id: str, epoch: int) -> int:
        """End the transaction; the next one goes under the epoch that is returned."""
        self._check(transactional_id, epoch)
        is_lost, is_applied = self._fate("end")
        if is_applied:
            self._close(transactional_id, _Outcome.COMMITTED)
        if is_lost:
            raise UnclearEnd("no answer to the end; take over")
        return self._epochs[transactional_id]

    def _fate(self, step: Literal["send", "end"]) -> tuple[bool, bool]:
        if self._lost is None or self._lost[0] != step:
            return False, True
        (_, is_applied), self._lost = self._lost, None
        return True, is_applied

    def _check(self, transactional_id: str, epoch: int) -> None:
        if epoch != self._epochs[transactional_id]:
            raise Fenced(f"{transactional_id}: epoch {epoch}, now {self._epochs[transactional_id]}; end this process")

    def _close(self, transactional_id: str, outcome: _Outcome) -> None:
        self._epochs[transactional_id] += 1
        transaction = self._open.pop(transactional_id, None)
        if transaction is not None:
            transaction.outcome = outcome
            self._slots[transaction.place].append(_Slot(transaction, None))


class MemoryTape(LawfulWriter):
    """The writer's port over such a log."""

    def __init__(self, log: MemoryLog, topic: str, partition: int) -> None:
        super().__init__(topic, partition)
        self._log = log
        self._epochs: dict[str, int] = {}

    async def _take_over(self) -> None:
        self._epochs = {each: self._log.fence(each) for each in self._ids}

    async def _send(self, transactional_id: str, records: Sequence[Outgoing]) -> int:
        await asyncio.sleep(0)  # As over a network: others run, and a cancellation may come between.
        return self._log.write((self.topic, self.partition), transactional_id, self._epochs[transactional_id], records)

    async def _end(self, transactional_id: str) -> None:
        await asyncio.sleep(0)
        self._epochs[transactional_id] = self._log.commit(transactional_id, self._epochs[transactional_id])

    async def _close(self) -> None:
        self._epochs.clear()
