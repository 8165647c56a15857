"""Faust's Kafka driver with its holes closed: what is read, when it counts as done, how it is written.

`install` puts these classes in the place of Faust's own, for the exact versions in requirements.lock; a test holds the
hash of each function that is replaced or relied on. What each of them is for:

* A consumer of a transactional tape must not see aborted records: Faust offers that for its exactly-once mode only.
* Faust counts offsets one by one and commits past one transaction marker a tick; it loses its way when a topic begins
  with a gap. Here what was delivered of a partition stands in a queue: what is done at its head can be committed.
* Faust makes four tasks and five objects for every message. Here what a fetch brought of a source goes to the agents
  as it is; only changelogs, which Faust itself reads when it recovers a table, still go Faust's way.
* Resuming a flow that already flows empties every queue, and what was in them never comes again. Here it does nothing.
* The producer of changelogs repeats a record it is unsure of: only idempotence keeps that from doubling or reordering.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

from infra.faust.inbox import Inbox, Run
from infra.kafka.records import Outgoing

YIELD_EVERY_CHANGES = 100  # Other tasks get their turn while a table is recovered: heartbeats and probes.
FETCH_SECONDS_MAX = 1.0
FETCH_WAIT_MS_MAX = 100
"""How long a broker may keep a fetch that finds nothing. There is one fetch at a time: while it waits for a partition
at rest, those that were just emptied are not asked for, and with Faust's 1,500 an event could be as late as that."""


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only, and does not let a partition at rest hold up the others."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Both are read at its start; Faust has no setting for them.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX  # noqa: SLF001
        return consumer


class RunConsumer(driver.Consumer):
    """Hands each agent runs of records, and commits up to the first run that was delivered and is not done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inboxes: dict[str, Inbox] = {}
        self._followers: defaultdict[str, list[Inbox]] = defaultdict(list)
        self._delivered: defaultdict[Any, deque[Run]] = defaultdict(deque)

    def inbox(self, name: str, topics: Iterable[str], records_max: int) -> Inbox:
        """Where the agent of this name finds the records of these topics; made when first asked for."""
        found = self._inboxes.get(name)
        if found is None:
            found = self._inboxes[name] = Inbox(records_max)
            for topic in topics:
                self._followers[topic].append(found)
        return found

    def undone(self, topic: str) -> int:
        """Records of a topic that were delivered and are not done yet."""
        return sum(
            len(run.records)
            for place, runs in self._delivered.items()
            if place.topic == topic
            for run in runs
            if run.waiting
        )

    async def wait_empty(self) -> None:
        """Before partitions leave us: drop what is not begun, finish what is, and commit, so that nobody repeats it."""
        for inbox in self._inboxes.values():
            inbox.clear()
        for inbox in self._inboxes.values():
            await inbox.idle()
        await self.maybe_wait_for_commit_to_finish()  # One under way would pass for ours, without what was just done.
        await self.commit_and_end_transactions()
        self._delivered.clear()

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        return (tp for tp in list(self._delivered) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        """Around a seek a run may be delivered twice; its second end is below what was committed, and not sent."""
        delivered, newest = self._delivered[tp], -1
        while delivered and not delivered[0].waiting:
            newest = max(newest, delivered.popleft().after)
        return None if newest < 0 else newest

    async def _drain_messages(self, fetcher: Any) -> None:
        stopping: tuple[type[BaseException], ...] = (*self.consumer_stopped_errors, asyncio.CancelledError)
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001
                for inbox in self._inboxes.values():
                    await inbox.room()
                fetched, active = await self._wait_next_records(FETCH_SECONDS_MAX)
                if self.should_stop or fetched is None:
                    continue
                if not self.flow_active:
                    await self._read_again()
                    continue
                changes = self._deliver(fetched, active or set())
                if changes:
                    await self._recover(changes)
        except stopping:
            if not self.transport.app.should_stop:
                raise

    def _deliver(self, fetched: Mapping[Any, list[Any]], active: set[Any]) -> dict[Any, list[Any]]:
        """Runs of sources to their agents; gives the changes of tables. Nothing can come between two of them.

        A partition may have ceased to be active while the fetch was under way; it is read again from what is committed.
        """
        changes = {}
        for place, records in fetched.items():
            if not records or (place not in active and place not in self._buffered_partitions):
                continue
            followers = self._followers.get(place.topic)
            if followers is None:
                changes[place] = records
                continue
            run = Run(place, records, len(followers))
            self._delivered[place].append(run)
            for inbox in followers:
                inbox.put(run)
            # Faust complains of a stream at rest by this clock, which its own streams would set.
            self.app.monitor.stream_inbound_time[place] = monotonic()
        return changes

    async def _recover(self, changes: Mapping[Any, list[Any]]) -> None:
        """Changes of tables go Faust's way, one by one."""
        generation, read_offset = self.app.consumer_generation_id, self._read_offset
        for number, (tp, record) in enumerate(self.scheduler.iterate(changes)):
            if number % YIELD_EVERY_CHANGES == 0:
                await asyncio.sleep(0)
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            read = read_offset[tp]
            if read is not None and record.offset < read:
                continue
            message = self._to_message(tp, record)
            if self._flows(tp):
                await self.callback(message)
            else:
                await self.wait_first(self.callback(message), self.suspend_flow.wait())
            read_offset[tp] = record.offset

    def _flows(self, tp: Any) -> bool:
        """Handing a message over cannot block, so nothing needs to be able to interrupt it: four tasks less."""
        conductor: Any = self.app.topics
        return (
            self.app.flow_control.is_active()
            and not self.suspend_flow.is_set()
            and not any(channel.queue.full() for channel in conductor._tp_index.get(tp, ()))  # noqa: SLF001
        )

    async def _read_again(self) -> None:
        """The flow was stopped while a fetch was under way: what it brought is dropped, as Faust does it."""
        try:
            await self.perform_seek()
        except Exception as failure:  # noqa: BLE001  # Recovery seeks again, at its end, and fails if it cannot.
            self.log.warning("the partitions could not be read again from what is committed: %r", failure)


class IdempotentProducer(driver.Producer):
    """Acknowledged by all replicas, each record once and in order."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"enable_idempotence": True, "acks": "all"}

    async def write(self, topic: str, partition: int, records: Sequence[Outgoing]) -> int:
        """Write these in order and give the offset of the last, when all are acknowledged.

        They travel as whole record batches with one future each. A future, a buffer and a callback for every record, as
        Faust has them, cost 70 us for each state that was kept, which was 25 of the 104 us of an event.
        """
        producer = self._ensure_producer()
        waiting: list[Any] = []
        batch = producer.create_batch()
        for record in records:
            if not _append(batch, record):
                waiting.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                _append(batch, record)  # An empty one takes a record of any size.
        batch.close()  # A batch that is not closed waits for more.
        count: int = batch.record_count()
        waiting.append(await producer.send_batch(batch, topic, partition=partition))
        written = await asyncio.gather(*waiting)
        begins: int = written[-1].offset
        return begins + count - 1


def _append(batch: Any, record: Outgoing) -> bool:
    headers = list(record.headers.items())
    written: object = batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
    return written is not None


_resume = FlowControlEvent.resume


def _resume_once(self: FlowControlEvent) -> None:
    if not self.is_active():
        _resume(self)


def install() -> None:
    """Before the app is made: the driver's classes are looked up when its transport is."""
    driver.Transport.Consumer = RunConsumer
    driver.Transport.Producer = IdempotentProducer
    FlowControlEvent.resume = _resume_once  # type: ignore[method-assign]
