"""What may be committed: everything before the first record that was delivered and is not done."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from faust.types import TP, ConsumerMessage

from infra.avro.codec import Codec
from infra.faust.topics import attached
from infra.faust.transport import OrderedConsumer
from infra.faust.worker import build
from infra.settings import Settings
from tests.infra.faust.counting import agent_of

PLACE = TP("r.orders.events", 0)


class Partition:
    """One partition as the consumer sees it, without a broker."""

    def __init__(self, consumer: OrderedConsumer) -> None:
        self.consumer = consumer

    def delivered(self, *offsets: int) -> "Partition":
        self.consumer._delivered[PLACE].extend(offsets)
        return self

    def done(self, *offsets: int) -> "Partition":
        for offset in offsets:
            message = ConsumerMessage(PLACE.topic, PLACE.partition, offset, 0.0, 0, [], b"", b"", None, tp=PLACE)
            self.consumer.ack(message)
        return self

    def committed(self) -> int | None:
        """What a tick of the commit would send, taken as sent."""
        offset = self.consumer._filter_committable_offsets([PLACE]).get(PLACE)
        if offset is not None:
            self.consumer._committed_offset[PLACE] = offset
        return offset


@pytest.fixture
async def partition(codec: Codec, tmp_path: Path) -> AsyncIterator[Partition]:
    agents = attached([lambda app: app.add(agent_of("r"))], "r")
    app = build(Settings(state_dir=tmp_path), codec, agents, lambda _: None)
    app.topics.acking_topics.add(PLACE.topic)
    consumer = app.consumer
    assert isinstance(consumer, OrderedConsumer)
    yield Partition(consumer)
    consumer._thread.thread_loop.close()


def test_markers_and_aborted_runs_are_no_gaps(partition: Partition) -> None:
    assert partition.delivered(0, 1, 5, 2_000_000).done(0, 1, 5, 2_000_000).committed() == 2_000_001


def test_a_record_in_work_is_not_committed_past(partition: Partition) -> None:
    partition.delivered(0, 2, 4).done(0, 4)
    assert partition.committed() == 1
    assert partition.committed() is None
    assert partition.done(2).committed() == 5


def test_a_record_that_was_delivered_twice_around_a_seek_does_not_hold_up_the_commit(partition: Partition) -> None:
    partition.delivered(7, 8).done(7, 8)
    assert partition.committed() == 9
    partition.delivered(7, 8, 9).done(7, 8, 9)
    assert partition.committed() == 10
    assert partition.consumer.undone(PLACE.topic) == 0


def test_a_second_delivery_before_the_first_is_committed_is_settled_with_it(partition: Partition) -> None:
    partition.delivered(7, 8, 7, 8).done(7, 8, 7, 8)
    assert partition.committed() == 9
    assert partition.committed() is None
    assert partition.consumer.undone(PLACE.topic) == 0


async def test_resuming_a_flow_that_flows_keeps_what_is_queued(partition: Partition) -> None:
    app = partition.consumer.app
    queue = app.FlowControlQueue(maxsize=5, clear_on_resume=True)
    app.flow_control.resume()
    queue.put_nowait("event")
    app.flow_control.resume()
    assert queue.qsize() == 1
    app.flow_control.suspend()
    app.flow_control.resume()
    assert queue.qsize() == 0, "after a pause the queue is old, and Faust reads again"
