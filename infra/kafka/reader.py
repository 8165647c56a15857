"""Topics -> records in order, read_committed, from positions the caller keeps. It joins no group, commits nothing."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import cast

import msgspec
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Message, TopicPartition

# Exported at run time; the stubs do not say so.
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from infra.kafka import codes
from infra.kafka.private_thread import PrivateThread
from infra.kafka.records import Arrived, Partition

BEGINNING = -2
END = -1
EARLIEST, LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
FETCH_WAIT_MS_MAX = 100  # How long a broker holds a fetch that finds nothing; a new record answers it at once.
PREFETCH_KIB_MAX = 16_384  # Per reader; bounds memory during a catch-up and still keeps the drain at full speed.
LEADERLESS_SECONDS = 0.1  # Between two questions to a partition without a leader; an election takes about that.
LOOKUP_SECONDS_MAX = 15.0  # Longer than the election of a leader; after it the caller is told.


class ReadFailed(Exception):
    """Reading cannot go on; the message names the partition and the remedy."""


class Reader:
    """Reads the partitions it was assigned. One reader per loop: its calls follow each other."""

    def __init__(self, bootstrap: str, name: str = "reader", *, with_headers: bool = True) -> None:
        """Whoever lives by what events say leaves their headers out: they repeat it, for 2 us a record."""
        self._bootstrap = bootstrap
        self._name = name
        self._with_headers = with_headers
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": name,
                "group.id": f"{name}-joins-no-group",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # A position that is not on the log is a fault, never a reason to jump.
                "enable.partition.eof": True,  # Says where the end is, past transaction markers no record shows.
                "fetch.wait.max.ms": FETCH_WAIT_MS_MAX,
                "fetch.min.bytes": 1,
                "fetch.queue.backoff.ms": 1,
                "fetch.error.backoff.ms": 10,
                "queued.max.messages.kbytes": PREFETCH_KIB_MAX,
                "socket.nagle.disable": True,
                "check.crcs": True,
            },
            logger=codes.LOG,
        )
        self._admin: AdminClient | None = None
        self._partitions: dict[str, tuple[int, ...]] = {}  # Chosen once for each topic: asked for once.
        self._thread = PrivateThread(f"{name}-read")
        self._positions: dict[Partition, int] = {}
        self._under_way: asyncio.Future[_Taken] | None = None

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        """What is there, at most `limit`; waits for the first only. A cancelled take keeps its records for the next."""
        if self._under_way is None:
            self._under_way = self._thread.call(self._take, limit, wait_ms)
        try:
            taken = await asyncio.shield(self._under_way)
        except ReadFailed:
            self._under_way = None
            raise
        self._under_way = None
        for record in taken.records:
            self._positions[record.topic, record.partition] = record.offset + 1
        for partition, end in taken.ends.items():
            self._positions[partition] = max(end, self._positions.get(partition, 0))
        return taken.records

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read exactly these partitions, each from an offset, BEGINNING or END."""
        await self._drop_taken()
        self._positions.clear()
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in starts.items()]
        await self._thread.call(self._assign, places)

    async def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading an assigned partition from another place."""
        await self._drop_taken()
        self._positions.pop(partition, None)
        await self._thread.call(self._consumer.seek, TopicPartition(*partition, offset))

    async def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these partitions until they are resumed (back-pressure)."""
        await self._thread.call(self._consumer.pause, [TopicPartition(*each) for each in partitions])

    async def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these partitions again, from where they were paused."""
        await self._thread.call(self._consumer.resume, [TopicPartition(*each) for each in partitions])

    def position(self) -> dict[Partition, int]:
        """Everything before these offsets was taken; at the end it includes the markers of transactions."""
        return dict(self._positions)

    async def ends(self, topic: str, *, read_committed: bool = True) -> dict[int, int]:
        """The offset after the last record of each partition: last stable offset, or with False the high watermark."""
        return await self._thread.call(self._offsets, topic, LATEST, read_committed)

    async def begins(self, topic: str) -> dict[int, int]:
        """The oldest offset each partition still has."""
        return await self._thread.call(self._offsets, topic, EARLIEST, True)

    async def close(self) -> None:
        """Leave the partitions and let the client go."""
        await self._drop_taken()
        await self._thread.call(self._consumer.close)
        self._thread.stop()

    async def _drop_taken(self) -> None:
        if self._under_way is not None:
            taken, self._under_way = self._under_way, None
            await asyncio.wait([taken])
            if not taken.cancelled():
                taken.exception()  # Seen: what failed was of a place that is left.

    def _assign(self, places: list[TopicPartition]) -> None:
        """Leaders are asked for first: librdkafka looks for one it does not know only every half second."""
        for topic in {place.topic for place in places}:
            self._consumer.list_topics(topic, LOOKUP_SECONDS_MAX)
        self._consumer.assign(places)

    def _take(self, limit: int, wait_ms: int) -> "_Taken":
        """`poll` waits for one, `consume` empties what came with it: `consume` alone would wait to fill its number."""
        until = time.monotonic() + wait_ms / 1000
        taken = _Taken(records=[], ends={})
        while not taken.records:
            first = self._consumer.poll(max(0.0, until - time.monotonic()))
            if first is not None:
                _sort(first, taken, self._with_headers)
                for message in self._consumer.consume(limit - 1, 0) if limit > 1 else ():
                    _sort(message, taken, self._with_headers)
            if time.monotonic() >= until:
                break
        return taken

    def _offsets(self, topic: str, spec: OffsetSpec, read_committed: bool) -> dict[int, int]:
        if self._admin is None:
            self._admin = AdminClient(
                {"bootstrap.servers": self._bootstrap, "client.id": self._name, "log_level": 4}, logger=codes.LOG
            )
        level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
        admin = self._admin

        def asked() -> dict[int, int]:
            # Forgotten until this has succeeded: who was elected anew refuses what was known of it, and only asking for
            # the topic teaches the client better.
            partitions = self._partitions.pop(topic, ()) or tuple(
                admin.list_topics(topic, LOOKUP_SECONDS_MAX).topics[topic].partitions
            )
            answers = admin.list_offsets(
                {TopicPartition(topic, partition): spec for partition in partitions},
                isolation_level=level,
                request_timeout=LOOKUP_SECONDS_MAX,
            )
            found = {place.partition: answer.result(LOOKUP_SECONDS_MAX).offset for place, answer in answers.items()}
            self._partitions[topic] = partitions
            return found

        try:
            offsets = _UNTIL_LED(asked)
        except KafkaException as failure:
            raise ReadFailed(f"{topic}: its offsets were not told: {failure}. Is the topic declared?") from failure
        if not offsets:
            raise ReadFailed(f"{topic}: the cluster does not know this topic. Declare it first.")
        return offsets


def _is_passing(failure: BaseException) -> bool:
    return isinstance(failure, KafkaException) and failure.args[0].code() in codes.LEADERLESS


# A topic that was declared a moment ago, or whose broker has just come back, has no leader to ask for a while.
_UNTIL_LED = Retrying(
    retry=retry_if_exception(_is_passing),
    stop=stop_after_delay(LOOKUP_SECONDS_MAX),
    wait=wait_fixed(LEADERLESS_SECONDS),
    reraise=True,
)


class _Taken(msgspec.Struct):
    """What one take found: records, and the ends that were reached, past the markers of transactions."""

    records: list[Arrived]
    ends: dict[Partition, int]


def _sort(message: Message, taken: _Taken, with_headers: bool) -> None:
    """A record, the end of a partition, trouble that librdkafka repairs by itself, or a failure."""
    error = message.error()
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    if error is None:
        taken.records.append(
            Arrived(
                topic=topic,
                partition=partition,
                offset=offset,
                key=message.key() or b"",
                value=message.value() or b"",
                headers=_headers(message) if with_headers else {},
            )
        )
    elif error.code() == codes.END_REACHED:
        taken.ends[topic, partition] = offset
    elif error.fatal() or not error.retriable():
        raise ReadFailed(
            f"{topic}[{partition}]: {error.name()}: {error.str()}. "
            "Check that the topic is declared and the position is still on its log, then start this process again."
        )


def _headers(message: Message) -> dict[str, bytes]:
    found = cast("list[tuple[str, bytes | None]] | None", message.headers())  # Always pairs, whatever the stub says.
    return {name: value or b"" for name, value in found} if found else {}
