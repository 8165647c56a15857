"""Faust's Kafka driver with its holes closed: what is read, when it counts as done, how it is written.

`install` puts these classes in the place of Faust's own, for the exact versions in requirements.lock; a test holds the
hash of each function that is replaced or relied on. What each of them is for:

* A consumer of a transactional tape must not see aborted records: Faust offers that for its exactly-once mode only.
* Faust counts offsets one by one and commits past one transaction marker a tick; it loses its way when a topic begins
  with a gap. Here the delivered offsets of a partition stand in a queue: what is done at its head can be committed.
* Faust makes four tasks for every message. Here it is handed over directly wherever that cannot block.
* Resuming a flow that already flows empties every queue, and what was in them never comes again. Here it does nothing.
* The producer of changelogs repeats a record it is unsure of: only idempotence keeps that from doubling or reordering.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from mode.utils.queues import FlowControlEvent

UNSENT_MAX = 5_000  # Changelog records that wait for the producer: a batch puts a thousand, Faust's own limit is 100.
YIELD_EVERY_MESSAGES = 100  # Other tasks get their turn: heartbeats, probes, the commit.
FETCH_SECONDS_MAX = 1.0


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # Read at its start; Faust has no setting for it.
        return consumer


class OrderedConsumer(driver.Consumer):
    """Commits up to the first record that was delivered and is not done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: defaultdict[Any, deque[int]] = defaultdict(deque)

    def undone(self, topic: str) -> int:
        """Records of a topic that were delivered and are not committed yet."""
        return sum(len(offsets) for tp, offsets in self._delivered.items() if tp.topic == topic)

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """What was delivered before a seek will be delivered again."""
        self._delivered.clear()
        await super().perform_seek()

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Commit while the partitions are still ours: the next owner then repeats nothing."""
        await self.commit()
        await super().on_partitions_revoked(revoked)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        return (tp for tp in list(self._delivered) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        """Around a seek a record may be delivered twice; its second end is not counted once the first is committed."""
        delivered, done, committed = self._delivered[tp], self._acked_index[tp], self._committed_offset[tp] or 0
        newest = -1
        while delivered and (delivered[0] in done or delivered[0] < committed):
            offset = delivered.popleft()
            done.discard(offset)
            newest = max(newest, offset)
        self._acked[tp].clear()  # Faust's own list of the same offsets.
        return None if newest < 0 else newest + 1

    async def _drain_messages(self, fetcher: Any) -> None:
        stopping: tuple[type[BaseException], ...] = (*self.consumer_stopped_errors, asyncio.CancelledError)
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001
                messages = self.getmany(timeout=FETCH_SECONDS_MAX)
                await self.sleep(0)
                if not self.should_stop:
                    await self._deliver(messages)
        except stopping:
            if not self.transport.app.should_stop:
                raise

    async def _deliver(self, messages: Any) -> None:
        read_offset, acks_enabled_for = self._read_offset, self.app.topics.acks_enabled_for
        count = 0
        async for tp, message in messages:
            count += 1
            if count % YIELD_EVERY_MESSAGES == 0:
                await asyncio.sleep(0)
            read = read_offset[tp]
            if read is not None and message.offset < read:
                continue
            if self._commit_every is not None and self._n_acked >= self._commit_every:
                self._n_acked = 0
                await self.commit()
            if acks_enabled_for(message.topic):
                self._delivered[tp].append(message.offset)
            if self._flows(tp):
                await self.callback(message)
            else:
                await self.wait_first(self.callback(message), self.suspend_flow.wait())
            read_offset[tp] = message.offset

    def _flows(self, tp: Any) -> bool:
        """Handing a message over cannot block, so nothing needs to be able to interrupt it."""
        buffer = self.app.producer.buffer
        conductor: Any = self.app.topics
        return (
            self.app.flow_control.is_active()
            and not self.suspend_flow.is_set()
            and buffer.size <= buffer.max_messages
            and not any(channel.queue.full() for channel in conductor._tp_index.get(tp, ()))  # noqa: SLF001
        )


class IdempotentProducer(driver.Producer):
    """Acknowledged by all replicas, each record once and in order."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"enable_idempotence": True, "acks": "all"}


_resume = FlowControlEvent.resume


def _resume_once(self: FlowControlEvent) -> None:
    if not self.is_active():
        _resume(self)


def install() -> None:
    """Before the app is made: the driver's classes are looked up when its transport is."""
    driver.Transport.Consumer = OrderedConsumer
    driver.Transport.Producer = IdempotentProducer
    FlowControlEvent.resume = _resume_once  # type: ignore[method-assign]
    ProducerBuffer.max_messages = UNSENT_MAX
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)  # It tells of every full buffer, twice.
