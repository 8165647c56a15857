"""Decided events -> one partition of the tape, by whoever owns it: the port, and the laws that hold for every arm."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from infra.kafka.records import Outgoing
from infra.settings import BATCH_COMMANDS_MAX

IDS_PER_PARTITION = 3  # One id waits for its own markers; with two there is a tail, a fourth gains nothing.
TRANSACTION_TIMEOUT_MS = 10_000  # An owner that died and is not followed blocks read_committed readers this long.
BATCH_RECORDS_MAX = 2 * BATCH_COMMANDS_MAX  # A full batch of a host and what goes with it: a term, a snapshot's marker.
BATCH_BYTES_MAX = 8 * 1024 * 1024 - 4_096  # One record batch must fit a declared topic's max.message.bytes.


class UnclearEnd(Exception):
    """Nobody knows whether the transaction is on the tape. Take over, read back, decide again what is missing."""


class Fenced(Exception):
    """A later owner took the transactional ids of this partition. This process must stop writing: end it."""


class TapeWriter(Protocol):
    """Appends whole batches to ONE partition of a topic of events or snapshots, each batch one transaction.

    The laws, whatever client is underneath:

    1. `take_over` comes first. It fences every transactional id of the partition, then waits until the last stable
       offset is the end: what is there from then on is the whole truth, and can be read back.
    2. The ids are used in turn and nothing overlaps: a batch is sent when the one before it has ended. Fencing and
       writing begin with the first id, so that of two who take over at once only one gets its first batch in.
    3. No end is ever retried, by us or by a client on our behalf. An error, a time-out, a lost connection, a
       cancelled call: `UnclearEnd`. After it only `take_over` is legal; anything else is an AssertionError.
    4. An accepted end alone is no evidence: both answers, for the records and for the end, must be good. And even
       then the owner believes only what it reads back: a broker that stops in order may accept an end and never
       write its marker. So after a connection lost between two batches `send` first looks whether the last one stands.
    5. `Fenced` is final. A later owner is at work; nothing of the refused batch is visible, or ever will be.
    """

    @property
    def topic(self) -> str:
        """The topic this writer appends to."""

    @property
    def partition(self) -> int:
        """The number of its one partition."""

    @property
    def begun_at(self) -> int:
        """Where the last batch that was sent begins; -1 before the first of this reign."""

    async def take_over(self) -> None:
        """Become the only owner. Raises UnclearEnd when the cluster did not answer in time: take over again."""

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Open a transaction and write its one batch; nobody sees it yet."""

    async def end(self) -> None:
        """Commit what was sent. Returns only when the end is clear."""

    async def append(self, records: Sequence[Outgoing]) -> None:
        """`send`, then `end`."""

    async def close(self) -> None:
        """Let the connections go. An open transaction is left to the next owner's fence."""


def transactional_ids(topic: str, partition: int) -> tuple[str, ...]:
    """Every id that may ever write to this partition; a take-over fences them all."""
    return tuple(f"{topic}-{partition}-{number}" for number in range(IDS_PER_PARTITION))


class _State(Enum):
    STRANGER = auto()  # Not the owner yet, or no longer sure of what is on the tape.
    OWNER = auto()
    SENT = auto()
    FENCED = auto()
    CLOSED = auto()


class LawfulWriter(ABC):
    """What every arm has in common: an arm fences, sends, ends and raises; what is legal next is judged here."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._ids = transactional_ids(topic, partition)
        self._turn = 0
        self._begun_at = -1
        self._state = _State.STRANGER

    @property
    def topic(self) -> str:
        """The topic this writer appends to."""
        return self._topic

    @property
    def partition(self) -> int:
        """The number of its one partition."""
        return self._partition

    @property
    def begun_at(self) -> int:
        """Where the last batch that was sent begins; -1 before the first of this reign."""
        return self._begun_at

    async def take_over(self) -> None:
        """Law 1; after UnclearEnd the only way on."""
        if self._state is _State.FENCED:
            raise Fenced(f"{self._name()}: a later owner is at work; end this process")
        assert self._state is not _State.CLOSED, f"{self._name()}: take_over after close; make a new writer"
        self._state = _State.STRANGER
        await self._take_over()
        self._turn = IDS_PER_PARTITION - 1  # The first id is next: it decides between two who took over at once.
        self._begun_at = -1
        self._state = _State.OWNER

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Laws 2 and 3: the next id in turn, and nothing is known until `end` was clear."""
        self._expect(_State.OWNER, "send")
        check_batch(records)
        self._state = _State.STRANGER  # Whatever ends this call early, a cancellation too, leaves the outcome unknown.
        self._turn = (self._turn + 1) % IDS_PER_PARTITION
        try:
            self._begun_at = await self._send(self._ids[self._turn], records)
        except Fenced:
            self._state = _State.FENCED
            raise
        self._state = _State.SENT

    async def end(self) -> None:
        """Laws 3 and 4."""
        self._expect(_State.SENT, "end")
        self._state = _State.STRANGER
        try:
            await self._end(self._ids[self._turn])
        except Fenced:
            self._state = _State.FENCED
            raise
        self._state = _State.OWNER

    async def append(self, records: Sequence[Outgoing]) -> None:
        """One batch, whole, in one transaction."""
        await self.send(records)
        await self.end()

    async def close(self) -> None:
        """Idempotent; an open transaction is left to the next owner's fence."""
        if self._state is not _State.CLOSED:
            self._state = _State.CLOSED
            await self._close()

    @abstractmethod
    async def _take_over(self) -> None:
        """Fence all ids, wait until the last stable offset is the end, be ready to send."""

    @abstractmethod
    async def _send(self, transactional_id: str, records: Sequence[Outgoing]) -> int:
        """Write the batch; gives the offset of its first record."""

    @abstractmethod
    async def _end(self, transactional_id: str) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    def _expect(self, state: _State, call: str) -> None:
        if self._state is _State.FENCED:
            raise Fenced(f"{self._name()}: a later owner is at work; end this process")
        assert self._state is state, f"{self._name()}: {call} while {self._state.name}; take_over() comes first"

    def _name(self) -> str:
        return f"{self._topic}[{self._partition}]"


def check_batch(records: Sequence[Outgoing]) -> None:
    """Whether the tape takes this batch whole. Hosts cut their batches below it: a failure is a fault of ours."""
    size = sum(map(size_of, records))
    assert 0 < len(records) <= BATCH_RECORDS_MAX, f"a batch has 1 to {BATCH_RECORDS_MAX} records, not {len(records)}"
    assert size <= BATCH_BYTES_MAX, f"a batch of {size} bytes is over {BATCH_BYTES_MAX}: cut it before it is sent"


def size_of(record: Outgoing) -> int:
    """An upper bound of what the record takes in a batch: its bytes, and its lengths and offsets as varints."""
    headers = sum(map(len, record.headers.values())) + 4 * sum(map(len, record.headers)) + 10 * len(record.headers)
    return len(record.key) + len(record.value) + headers + 40
