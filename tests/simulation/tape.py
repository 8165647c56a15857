"""What the brokers of one cluster keep: partitions with transactions, their coordinator, and the groups' offsets.

The semantics are those of Kafka 4 with the second transaction protocol: epochs rise with every transaction, whoever
has an old one is refused, an end is accepted a moment before its marker is written, and readers see nothing behind the
first open transaction. `on_accept`, `on_commit` and `on_append` tell the auditor when an end is accepted, and of all
that becomes visible.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from enum import Enum, auto

import msgspec

from infra.kafka import codes
from infra.kafka.records import Arrived, Outgoing, Partition

INVALID_TXN_STATE = 48
OUT_OF_ORDER_SEQUENCE = 45
EPOCH_MAX = 32_766
"""Kafka gives a new producer id before the epoch overflows."""


class Outcome(Enum):
    """What became of a transaction."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


class Transaction(msgspec.Struct, eq=False):
    """One batch in one partition, by one producer under one epoch."""

    place: Partition
    producer: tuple[int, int]
    began: int
    first: int
    count: int
    outcome: Outcome = Outcome.OPEN

    @property
    def span(self) -> slice:
        """Its offsets, less that of its marker."""
        return slice(self.first, self.first + self.count)


class PartitionLog:
    """One partition: a slot an offset, a marker takes one too."""

    def __init__(self, place: Partition) -> None:
        self.place = place
        self.slots: list[Arrived | None] = []
        self.open: list[Transaction] = []
        self.stable = 0
        """The last stable offset."""
        self.waiting: dict[Callable[[], None], None] = {}
        """Readers at the end, in the order in which they came."""

    def append(self, records: Sequence[Outgoing]) -> int:
        """The offset of the first of these."""
        first = len(self.slots)
        topic, number = self.place
        for offset, record in enumerate(records, first):
            self.slots.append(Arrived(topic, number, offset, record.key, record.value, record.headers))
        return first

    def settle(self) -> list[Arrived]:
        """Move the stable end to the first open transaction, wake who waited for it; what is visible since now."""
        before, self.stable = self.stable, min((each.first for each in self.open), default=len(self.slots))
        waiting, self.waiting = self.waiting, {}
        for wake in waiting:
            wake()
        return [record for record in self.slots[before : self.stable] if record is not None]

    def visible(self, begin: int, limit: int) -> tuple[list[Arrived], int]:
        """What a read_committed reader finds from an offset on, at most so many, and where it goes on."""
        found: list[Arrived] = []
        at = begin
        while at < self.stable and len(found) < limit:
            record = self.slots[at]
            if record is not None:
                found.append(record)
            at += 1
        return found, at


class _Id:
    """What the coordinator knows of a transactional id."""

    def __init__(self, producer_id: int) -> None:
        self.producer_id = producer_id
        self.epoch = -1
        self.transaction: Transaction | None = None
        self.is_ending = False


class Tape:
    """All topics of one cluster."""

    def __init__(self, now_us: Callable[[], int], later: Callable[[int, Callable[[], None]], None]) -> None:
        self.partitions: dict[str, int] = {}
        self.logs: dict[Partition, PartitionLog] = {}
        self.offsets: dict[str, dict[Partition, tuple[int, str]]] = defaultdict(dict)
        self.on_commit: Callable[[Partition, list[Arrived]], None] = lambda _place, _records: None
        self.on_accept: Callable[[Partition, list[Arrived]], None] = lambda _place, _records: None
        self.on_append: Callable[[Arrived], None] = lambda _record: None
        self.marker_us: Callable[[Partition], int] = lambda _place: 0
        """How long the marker of an accepted end takes."""
        self.lost_markers: set[Transaction] = set()
        self.trace = hashlib.sha256()
        self.story: list[str] | None = None
        """What happened, in words, for whoever replays a history."""
        self._ids: dict[str, _Id] = {}
        self._now_us = now_us
        self._later = later

    def declare(self, topic: str, partitions: int) -> None:
        """A topic with so many empty partitions."""
        self.partitions[topic] = partitions
        for number in range(partitions):
            self.logs[topic, number] = PartitionLog((topic, number))

    def note(self, what: str) -> None:
        """One step of the history: what is the same in two runs of a seed."""
        line = f"{self._now_us()} {what}"
        self.trace.update(line.encode())
        if self.story is not None:
            self.story.append(line)

    def append(self, place: Partition, record: Outgoing) -> int:
        """A record outside any transaction; its offset."""
        log = self.logs[place]
        offset = log.append([record])
        self.note(f"append {place[0]}[{place[1]}]@{offset} {hashlib.sha256(record.value).hexdigest()[:12]}")
        self.on_append(log.slots[offset])  # type: ignore[arg-type]  # a record, just written
        log.settle()
        return offset

    def fence(self, transactional_id: str) -> tuple[int, int, int]:
        """InitProducerId: error code, producer id and epoch. What is open is aborted first."""
        known = self._ids.setdefault(transactional_id, _Id(1_000 + len(self._ids)))
        if known.is_ending:
            return codes.CONCURRENT_TRANSACTIONS, -1, -1
        if known.transaction is not None:
            self._next_epoch(known)
            self._end(known, Outcome.ABORTED)
            return codes.CONCURRENT_TRANSACTIONS, -1, -1
        self._next_epoch(known)
        self.note(f"fence {transactional_id} {known.epoch}")
        return codes.NONE, known.producer_id, known.epoch

    def produce(
        self, transactional_id: str, place: Partition, producer: tuple[int, int], records: Sequence[Outgoing]
    ) -> tuple[int, int]:
        """One batch of a transaction, which it opens: error code and base offset. Its sequence is 0 in its epoch."""
        known = self._ids.get(transactional_id)
        if known is None or producer != (known.producer_id, known.epoch):
            return codes.INVALID_PRODUCER_EPOCH, -1
        if known.is_ending:
            return codes.CONCURRENT_TRANSACTIONS, -1
        if known.transaction is not None:
            # The same batch again: the broker knows its sequence, and answers as it did.
            is_same = known.transaction.count == len(records)
            return (codes.NONE, known.transaction.first) if is_same else (OUT_OF_ORDER_SEQUENCE, -1)
        log = self.logs[place]
        first = log.append(records)
        known.transaction = Transaction(place, producer, self._now_us(), first, len(records))
        log.open.append(known.transaction)
        log.settle()
        self.note(f"produce {place[0]}[{place[1]}]@{first} {len(records)} by {transactional_id} {producer[1]}")
        return codes.NONE, first

    def commit(self, transactional_id: str, producer: tuple[int, int]) -> tuple[int, int, int]:
        """EndTxn: error code, producer id and the next epoch; the marker comes a moment later."""
        known = self._ids.get(transactional_id)
        if known is None or producer != (known.producer_id, known.epoch):
            return codes.INVALID_PRODUCER_EPOCH, -1, -1
        if known.is_ending or known.transaction is None:
            return INVALID_TXN_STATE, -1, -1
        self._next_epoch(known)
        place, span = known.transaction.place, known.transaction.span
        self.on_accept(place, [record for record in self.logs[place].slots[span] if record is not None])
        self._end(known, Outcome.COMMITTED)
        return codes.NONE, known.producer_id, known.epoch

    def expire(self, age_us: int) -> None:
        """The coordinator aborts what stayed open too long."""
        for known in self._ids.values():
            transaction = known.transaction
            if transaction is not None and not known.is_ending and self._now_us() - transaction.began > age_us:
                self._next_epoch(known)
                self._end(known, Outcome.ABORTED)

    def lose_markers(self) -> int:
        """The brokers stop in order with ends half done: they count as done and their markers are never written."""
        count = 0
        for name, known in self._ids.items():
            if known.is_ending and known.transaction is not None:
                self.lost_markers.add(known.transaction)
                known.transaction, known.is_ending = None, False
                self.note(f"lost marker of {name}")
                count += 1
        return count

    def hanging(self, place: Partition) -> list[Transaction]:
        """What the partition itself holds open."""
        return list(self.logs[place].open)

    def abort_hanging(self, place: Partition, producer: tuple[int, int]) -> None:
        """WriteTxnMarkers by hand."""
        for transaction in list(self.logs[place].open):
            if transaction.producer == producer:
                self._mark(transaction, Outcome.ABORTED)

    def _next_epoch(self, known: _Id) -> None:
        known.epoch += 1
        if known.epoch > EPOCH_MAX:
            known.producer_id, known.epoch = known.producer_id + 100_000, 0

    def _end(self, known: _Id, outcome: Outcome) -> None:
        transaction = known.transaction
        assert transaction is not None
        known.is_ending = True

        def mark() -> None:
            if transaction in self.lost_markers:
                return
            known.transaction, known.is_ending = None, False
            self._mark(transaction, outcome)

        self._later(self.marker_us(transaction.place), mark)

    def _mark(self, transaction: Transaction, outcome: Outcome) -> None:
        log = self.logs[transaction.place]
        if transaction not in log.open:
            return  # Somebody ended it by hand.
        transaction.outcome = outcome
        log.open.remove(transaction)
        log.slots.append(None)
        topic, number = transaction.place
        self.note(f"{outcome.name} {topic}[{number}]@{transaction.first} {transaction.count}")
        if outcome is Outcome.ABORTED:
            log.slots[transaction.span] = [None] * transaction.count
        records = log.settle()
        for record in records:
            self.trace.update(record.value)
        if records:
            self.on_commit(transaction.place, records)
