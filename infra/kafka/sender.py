"""Commands, feeds and dead letters -> topics: idempotent, acknowledged by every replica, answered with the offset.

Delivery reports come in on one poll thread and cross to the loop in batches, one hop for all that arrived together.
"""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence

from aiokafka.partitioner import murmur2
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.kafka import codes
from infra.kafka.private_thread import PrivateThread
from infra.kafka.records import Outgoing
from infra.settings import SEND_TIMEOUT_MS

LINGER_MS = 0.5  # Lets the records of one turn of the loop share a request; a lone record pays half a millisecond.
QUEUE_KIB_MAX = 65_536  # Records not yet acknowledged; beyond it senders wait.
QUEUE_FULL_SECONDS = 0.005  # How long a sender sleeps when the queue is full; a batch leaves it in about that time.
POLL_SECONDS = 0.1  # How soon a close is noticed; reports wake the thread at once.

_NOT_WRITTEN = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    codes.PURGED_UNSENT,
    codes.NO_SUCH_TOPIC,
    codes.NO_SUCH_PARTITION,
}


class SendFailed(Exception):
    """A record was not acknowledged. With `outcome_unknown` it may be there all the same: repeat under the same id."""

    def __init__(self, message: str, *, outcome_unknown: bool) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


def murmur2_partition(key: bytes, partitions: int) -> int:
    """The partition Java's clients, librdkafka's murmur2_random and aiokafka choose for this key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class Sender:
    """One idempotent producer, shared by everything in its loop."""

    def __init__(self, bootstrap: str, name: str = "sender") -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": name,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "linger.ms": LINGER_MS,
                "message.timeout.ms": SEND_TIMEOUT_MS,
                "message.max.bytes": 8 * 1024 * 1024,  # The largest record a declared topic takes.
                "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
                "socket.nagle.disable": True,
            },
            logger=codes.LOG,
        )
        self._reports: list[tuple[asyncio.Future[int], KafkaError | None, int, str]] = []
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"{name}-reports", daemon=True)
        self._poller.start()

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> int:
        """Write one record and give its offset; without a partition the key chooses it."""
        return await (await self._hand_over(topic, key, value, headers or {}, partition))

    async def send_all(self, topic: str, records: Sequence[Outgoing], partition: int | None = None) -> list[int]:
        """Write these in order and give their offsets. Raises for the first that failed, when all were answered."""
        waiting = [await self._hand_over(topic, each.key, each.value, each.headers, partition) for each in records]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        offsets: list[int] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            offsets.append(answer)
        return offsets

    async def close(self) -> None:
        """Wait for what is under way, at most as long as a record may take, then stop the thread."""
        self._closing.set()
        closer = PrivateThread("sender-close")
        await closer.call(self._poller.join)
        closer.stop()

    async def _hand_over(
        self, topic: str, key: bytes, value: bytes, headers: Mapping[str, bytes], partition: int | None
    ) -> "asyncio.Future[int]":
        answer: asyncio.Future[int] = self._loop.create_future()

        def report(error: KafkaError | None, message: Message) -> None:
            self._reports.append((answer, error, message.offset() or 0, topic))

        until = time.monotonic() + SEND_TIMEOUT_MS / 1000
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key or None,
                    -1 if partition is None else partition,
                    on_delivery=report,
                    headers=list(headers.items()),
                )
            except BufferError as full:
                if time.monotonic() > until:
                    raise SendFailed(
                        f"{topic}: the queue stayed full for {SEND_TIMEOUT_MS} ms; send less or look at the broker",
                        outcome_unknown=False,
                    ) from full
                await asyncio.sleep(QUEUE_FULL_SECONDS)
            except KafkaException as refused:
                raise _failure(topic, refused.args[0], outcome_unknown=False) from refused
            else:
                return answer

    def _poll(self) -> None:
        """On the poll thread, the only one that touches the reports: `poll` runs their callbacks in it."""
        while len(self._producer) or not self._closing.is_set():
            self._producer.poll(POLL_SECONDS)
            if self._reports:
                reports, self._reports = self._reports, []
                try:
                    self._loop.call_soon_threadsafe(self._answer, reports)
                except RuntimeError:  # The loop is closed: nobody waits for the answers any more.
                    return

    @staticmethod
    def _answer(reports: list[tuple[asyncio.Future[int], KafkaError | None, int, str]]) -> None:
        for answer, error, offset, topic in reports:
            if answer.done():
                continue
            if error is None:
                answer.set_result(offset)
            else:
                answer.set_exception(_failure(topic, error, outcome_unknown=error.code() not in _NOT_WRITTEN))


def _failure(topic: str, error: KafkaError, *, outcome_unknown: bool) -> SendFailed:
    remedy = "outcome unknown, repeat under the same id" if outcome_unknown else "nothing was written"
    fatal = "; this producer is finished, start the process again" if error.fatal() else ""
    return SendFailed(f"{topic}: {error.name()}: {error.str()}; {remedy}{fatal}", outcome_unknown=outcome_unknown)
