"""What may be committed: everything before the first run that was delivered and that some agent has not done."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.types import TP

from infra.avro.codec import Codec
from infra.faust.inbox import Inbox, Run
from infra.faust.topics import attached
from infra.faust.transport import RunConsumer
from infra.faust.worker import build
from infra.settings import Settings
from tests.infra.faust.counting import agent_of

PLACE = TP("r.orders.events", 0)
INBOX_RECORDS = 100


def record(offset: int) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(PLACE.topic, PLACE.partition, offset, 0, 0, b"key", b"value", None, 3, 5, ())


class Partition:
    """One partition as the consumer sees it, without a broker, followed by agents of these names."""

    def __init__(self, consumer: RunConsumer, agents: tuple[str, ...]) -> None:
        self.consumer = consumer
        self.inboxes = [consumer.inbox(name, [PLACE.topic], INBOX_RECORDS) for name in agents]
        consumer._active_partitions = {PLACE}

    def delivered(self, *offsets: int) -> "Partition":
        """As one fetch brings them: named by the client's own class."""
        place = TopicPartition(PLACE.topic, PLACE.partition)
        changes = self.consumer._deliver({place: [record(offset) for offset in offsets]}, {PLACE})
        assert changes == {}
        return self

    async def taken(self, inbox: Inbox) -> list[Run]:
        return await asyncio.wait_for(inbox.take(INBOX_RECORDS), 1)

    async def done(self) -> "Partition":
        for inbox in self.inboxes:
            inbox.done(await self.taken(inbox))
        return self

    def committed(self) -> int | None:
        """What a tick of the commit would send, taken as sent."""
        offset: int | None = self.consumer._filter_committable_offsets([PLACE]).get(PLACE)
        if offset is not None:
            self.consumer._committed_offset[PLACE] = offset
        return offset


@pytest.fixture
async def consumer(codec: Codec, tmp_path: Path) -> AsyncIterator[RunConsumer]:
    agents = attached([lambda app: app.add(agent_of("r"))], "r")
    made: Any = build(Settings(state_dir=tmp_path), codec, agents, lambda _: None).consumer
    yield made
    made._thread.thread_loop.close()


@pytest.fixture
async def partition(consumer: RunConsumer) -> Partition:
    return Partition(consumer, ("one",))


async def test_markers_and_aborted_runs_are_no_gaps(partition: Partition) -> None:
    await partition.delivered(0, 1, 5, 2_000_000).done()
    assert partition.committed() == 2_000_001


async def test_a_run_in_work_is_not_committed_past(partition: Partition) -> None:
    partition.delivered(0, 2)
    first = await partition.taken(partition.inboxes[0])
    partition.delivered(4)
    second = await partition.taken(partition.inboxes[0])
    partition.inboxes[0].done(second)
    assert partition.committed() is None
    partition.inboxes[0].done(first)
    assert partition.committed() == 5
    assert partition.committed() is None


async def test_a_run_is_not_committed_before_every_agent_has_done_it(consumer: RunConsumer) -> None:
    partition = Partition(consumer, ("one", "two"))
    one, two = partition.delivered(3, 4).inboxes
    one.done(await partition.taken(one))
    assert partition.committed() is None
    assert consumer.undone(PLACE.topic) == 2
    two.done(await partition.taken(two))
    assert partition.committed() == 5
    assert consumer.undone(PLACE.topic) == 0


async def test_a_run_that_was_delivered_twice_around_a_seek_does_not_hold_up_the_commit(partition: Partition) -> None:
    await partition.delivered(7, 8).done()
    assert partition.committed() == 9
    await partition.delivered(7, 8).delivered(9).done()
    assert partition.committed() == 10
    assert partition.consumer.undone(PLACE.topic) == 0


async def test_a_second_delivery_before_the_first_is_committed_is_settled_with_it(partition: Partition) -> None:
    await partition.delivered(7, 8).delivered(7, 8).done()
    assert partition.committed() == 9
    assert partition.committed() is None
    assert partition.consumer.undone(PLACE.topic) == 0


async def test_what_a_seek_reads_again_comes_behind_what_was_delivered_before_it(partition: Partition) -> None:
    partition.delivered(7, 8).delivered(9).delivered(7, 8).delivered(9)
    taken = await partition.taken(partition.inboxes[0])
    assert [each.offset for run in taken for each in run.records] == [7, 8, 9, 7, 8, 9]


async def test_nothing_that_comes_while_partitions_are_sought_is_lost(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def seek_to_committed() -> dict[TP, int]:
        partition.delivered(9)
        return {PLACE: 7}

    monkeypatch.setattr(partition.consumer, "seek_to_committed", seek_to_committed)
    partition.delivered(7, 8)
    await partition.consumer.perform_seek()
    taken = await partition.taken(partition.inboxes[0])
    assert [each.offset for run in taken for each in run.records] == [7, 8, 9]
    partition.inboxes[0].done(taken)
    assert partition.committed() == 10


async def test_a_partition_that_is_no_longer_active_is_not_delivered(partition: Partition) -> None:
    partition.consumer._active_partitions.clear()
    partition.consumer._deliver({PLACE: [record(1)]}, partition.consumer._active_partitions)
    assert partition.consumer.undone(PLACE.topic) == 0


async def test_what_recovers_a_table_is_not_taken_for_a_source(partition: Partition) -> None:
    changelog = TP("r-r.counting-changelog", 0)
    changes = partition.consumer._deliver({changelog: [record(1)], PLACE: [record(2)]}, {changelog, PLACE})
    assert list(changes) == [changelog]
    assert partition.consumer.undone(PLACE.topic) == 1


async def test_before_partitions_leave_what_is_begun_is_finished_and_the_rest_is_dropped(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, (inbox,) = partition.consumer, partition.inboxes
    commits: list[int | None] = []

    async def commit() -> None:
        commits.append(partition.committed())

    monkeypatch.setattr(consumer, "commit_and_end_transactions", commit)
    partition.delivered(0, 1)
    begun = await partition.taken(inbox)
    partition.delivered(2)
    leaving = asyncio.ensure_future(consumer.wait_empty())
    await asyncio.sleep(0)
    assert not leaving.done(), "the agent is still at work"
    inbox.done(begun)
    await asyncio.wait_for(leaving, 1)
    assert commits == [2]
    assert consumer.undone(PLACE.topic) == 0
    partition.delivered(2)
    (again,) = await partition.taken(inbox)
    assert [each.offset for each in again.records] == [2], "what was dropped comes once, read again"


async def test_a_commit_under_way_does_not_pass_for_the_last_one(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, sent, answered = partition.consumer, [], asyncio.Event()

    async def send(offsets: dict[TP, int], **_: Any) -> bool:
        sent.append(offsets[PLACE])
        await answered.wait()
        consumer._committed_offset.update(offsets)
        return True

    monkeypatch.setattr(consumer, "_commit_offsets", send)
    await partition.delivered(0).done()
    tick = asyncio.ensure_future(consumer.commit())
    await asyncio.sleep(0)
    await partition.delivered(1).done()
    leaving = asyncio.ensure_future(consumer.wait_empty())
    await asyncio.sleep(0)
    answered.set()
    await asyncio.wait_for(asyncio.gather(tick, leaving), 1)
    assert sent == [1, 2]


async def test_resuming_a_flow_that_flows_keeps_what_is_queued(consumer: RunConsumer) -> None:
    app = consumer.app
    queue = app.FlowControlQueue(maxsize=5, clear_on_resume=True)
    app.flow_control.resume()
    queue.put_nowait("event")
    app.flow_control.resume()
    assert queue.qsize() == 1
    app.flow_control.suspend()
    app.flow_control.resume()
    assert queue.qsize() == 0, "after a pause the queue is old, and Faust reads again"
