"""Decided events -> the tape through confluent-kafka: the second arm of the port, a guard around a client that retries.

librdkafka repeats a lost EndTxn in silence, and a late copy of it then acts on the NEXT transaction. With its
back-off at one second no repeated end was ever answered before 854 ms: whatever is slower than the guard is unclear.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.kafka import codes, fence
from infra.kafka.cluster import Cluster
from infra.kafka.private_thread import PrivateThread
from infra.kafka.records import Outgoing
from infra.kafka.writer import BATCH_BYTES_MAX, TRANSACTION_TIMEOUT_MS, Fenced, LawfulWriter, UnclearEnd

GUARD_MS = 700  # Below the shortest repeated end (854 ms at this back-off), above a healthy slow one under load.
RETRY_BACKOFF_MS = 1_000  # So long that no repeated end is answered inside the guard.
INIT_SECONDS_MAX = 20.0  # Covers the restart of a broker.
LINGER_MS = 50  # Never waited for: `flush` sends at once. It keeps the records of a batch together until then.


class GuardedWriter(LawfulWriter):
    """Three producers in turn, thrown away together when anything is unclear."""

    def __init__(self, bootstrap: str, topic: str, partition: int) -> None:
        super().__init__(topic, partition)
        self._bootstrap = bootstrap
        self._cluster = Cluster(bootstrap, f"{topic}-{partition}-fence")
        self._threads = {each: PrivateThread(each) for each in self._ids}
        self._producers: dict[str, Producer] = {}
        self._is_cut = False

    async def _take_over(self) -> None:
        """The fence by hand ends what was open in milliseconds; only then may librdkafka take its half seconds."""
        self._discard()
        await fence.take(self._cluster, self._topic, self._partition, self._ids)
        first, *others = self._ids
        try:
            self._producers[first] = await self._start(first)  # As the fence does: the first id decides.
            starting = {each: self._start(each) for each in others}
            self._producers |= {each: await producer for each, producer in starting.items()}
        except KafkaException as failure:
            raise UnclearEnd(f"{self._name()}: a new producer did not start: {failure}; take over again") from failure
        # Every new producer has fenced once more: what a rival ended in between must stand before it is read back.
        await fence.go_on(self._cluster, self._topic, self._partition, self._ids)
        self._is_cut = False

    async def _send(self, transactional_id: str, records: Sequence[Outgoing]) -> int:
        producer = self._producers[transactional_id]
        await self._threads[transactional_id].call(producer.poll, 0)  # Serves `_noticed`.
        if self._is_cut:
            await fence.go_on(self._cluster, self._topic, self._partition, self._ids)
            self._is_cut = False
        offsets: list[int] = []
        await self._threads[transactional_id].call(self._guarded, lambda: self._produce(producer, records, offsets))
        return min(offsets)

    async def _end(self, transactional_id: str) -> None:
        producer = self._producers[transactional_id]
        await self._threads[transactional_id].call(self._guarded, lambda: producer.commit_transaction(GUARD_MS / 1000))

    async def _close(self) -> None:
        self._discard()
        await self._cluster.close()
        for thread in self._threads.values():
            thread.stop()

    def _discard(self) -> None:
        """A producer blocks its destroyer until it gave up what it was doing: that is for its own thread."""
        for each in list(self._producers):
            self._threads[each].call(_destroy, [self._producers.pop(each)])

    def _start(self, transactional_id: str) -> "asyncio.Future[Producer]":
        return self._threads[transactional_id].call(self._new_producer, transactional_id)

    def _new_producer(self, transactional_id: str) -> Producer:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "client.id": transactional_id,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "acks": "all",
                "retry.backoff.ms": RETRY_BACKOFF_MS,
                "retry.backoff.max.ms": RETRY_BACKOFF_MS,
                "socket.nagle.disable": True,
                "linger.ms": LINGER_MS,
                "batch.size": BATCH_BYTES_MAX,
                "batch.num.messages": 10_000,
                "message.max.bytes": BATCH_BYTES_MAX,
                "error_cb": self._noticed,
            },
            logger=codes.LOG,
        )
        producer.init_transactions(INIT_SECONDS_MAX)
        return producer

    def _noticed(self, error: KafkaError) -> None:
        """librdkafka connects again in silence; a batch behind one whose marker got lost must not be sent."""
        self._is_cut = self._is_cut or error.code() in codes.CUT

    def _produce(self, producer: Producer, records: Sequence[Outgoing], offsets: list[int]) -> None:
        refused: list[KafkaError] = []

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                refused.append(error)
            else:
                offsets.append(message.offset() or 0)

        producer.begin_transaction()
        for record in records:
            producer.produce(
                self._topic,
                record.value,
                record.key,
                self._partition,
                on_delivery=report,
                headers=list(record.headers.items()),
            )
        left = producer.flush(GUARD_MS / 1000)
        if refused:
            raise KafkaException(refused[0])
        if left:
            raise UnclearEnd(
                f"{self._name()}: {left} of {len(records)} records unanswered after {GUARD_MS} ms; take over"
            )

    def _guarded(self, step: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            step()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in codes.FENCED:
                raise Fenced(f"{self._name()}: {error.str()}; a later owner is at work, end this process") from failure
            raise UnclearEnd(f"{self._name()}: {error.name()}: {error.str()}; take over") from failure
        took_ms = (time.monotonic() - began) * 1000
        if took_ms > GUARD_MS:
            raise UnclearEnd(f"{self._name()}: took {took_ms:.0f} ms, the guard is {GUARD_MS} ms; take over")


def _destroy(last_reference: list[Producer]) -> None:
    last_reference.pop().purge()
