"""The contract of the tape's writer when the broker goes away under it: an end is never silently good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aiokafka.protocol.produce import ProduceRequest

from deploy.local.kafka import LocalKafka, Profile
from infra.kafka import fence
from infra.kafka.cluster import Cluster
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.protocol2_wire import ALL_REPLICAS, record_batch
from infra.kafka.records import Outgoing
from infra.kafka.topics import TopicSpec, declare
from infra.kafka.writer import TapeWriter, UnclearEnd, transactional_ids
from tests.contracts.test_tape_writer import ARMS, PARTITION, KafkaTape, numbered, settled, values

pytestmark = pytest.mark.kafka
ROUNDS = 3


@pytest.fixture(scope="module")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that these tests may stop, and that lets a transaction be opened behind its coordinator's back."""
    properties = {"transaction.partition.verification.enable": "false"}
    broker = LocalKafka(tmp_path_factory.mktemp("mortal-kafka"), profile=Profile.TEST, properties=properties)
    broker.start()
    yield broker
    broker.stop()


class MortalTape(KafkaTape):
    """A tape on that broker."""

    async def open_behind_the_coordinator(self) -> None:
        """A record of an id of ours that its coordinator knows nothing of: an old Produce that nobody verifies."""
        name = transactional_ids(self.topic, PARTITION)[0]
        cluster = Cluster(self.bootstrap, name)
        producer_id, epoch = await fence.fence(cluster, name)
        batch = record_batch([Outgoing(b"account", b"hanging")], producer_id, epoch)
        await cluster.ask_leader(
            self.topic, PARTITION, ProduceRequest(name, ALL_REPLICAS, 1_000, [(self.topic, [(PARTITION, batch)])])
        )
        await cluster.close()


@pytest.fixture(params=ARMS)
async def mortal_tape(request: pytest.FixtureRequest, mortal_kafka: LocalKafka) -> AsyncIterator[MortalTape]:
    topic = f"mortal-{uuid4().hex[:8]}"
    await asyncio.to_thread(declare, mortal_kafka.bootstrap, [TopicSpec(name=topic, partitions=2)])
    tape = MortalTape(ARMS[request.param], mortal_kafka.bootstrap, topic)
    yield tape
    await tape.close()


async def until_unclear(writer: TapeWriter) -> int:
    """Append until the broker is gone: an orderly stop still answers what came before it. How many were told clear."""
    clear = 0
    async with asyncio.timeout(30):
        while True:
            try:
                await writer.append(numbered(1, b"%d." % clear))
            except UnclearEnd:
                return clear
            clear += 1


async def test_an_owner_rides_through_restarts_without_a_loss_or_a_double(
    mortal_kafka: LocalKafka, mortal_tape: MortalTape
) -> None:
    writer = mortal_tape.writer()
    await writer.take_over()
    known: list[bytes] = []
    for _ in range(ROUNDS):
        stopping = asyncio.create_task(asyncio.to_thread(mortal_kafka.stop))
        told = await until_unclear(writer)
        with pytest.raises(AssertionError, match="take_over"):
            await writer.append(numbered(1, b"illegal."))
        await stopping
        mortal_kafka.start()
        await writer.take_over()
        seen = values(await mortal_tape.visible())
        attempts = [b"%d.0" % n for n in range(told + 1)]
        assert seen[: len(known)] == known
        assert seen[len(known) :] == attempts[: len(seen) - len(known)], "what is there is a prefix of what was sent"
        known = seen
    await writer.append(numbered(1, b"after."))
    await settled(mortal_tape)
    assert values(await mortal_tape.visible()) == [*known, b"after.0"]


async def test_a_restart_between_two_batches_leaves_no_gap(mortal_kafka: LocalKafka, mortal_tape: MortalTape) -> None:
    """The marker of the batch before may be lost with the broker; the next one must not go behind such a gap."""
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"before."))
    await asyncio.to_thread(mortal_kafka.stop)
    mortal_kafka.start()
    with contextlib.suppress(UnclearEnd):
        await writer.append(numbered(1, b"next."))
    await writer.take_over()
    seen = values(await mortal_tape.visible())
    assert seen == [b"before.0", b"next.0"][: len(seen)]


async def test_nothing_is_written_behind_a_batch_whose_marker_was_lost(
    mortal_kafka: LocalKafka, mortal_tape: MortalTape
) -> None:
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"before."))
    await settled(mortal_tape)
    await mortal_tape.open_behind_the_coordinator()
    await asyncio.to_thread(mortal_kafka.kill)
    mortal_kafka.start()
    with pytest.raises(UnclearEnd):
        await writer.append(numbered(1, b"illegal."))
    await writer.take_over()
    await writer.append(numbered(1, b"after."))
    await settled(mortal_tape)
    assert values(await mortal_tape.visible()) == [b"before.0", b"after.0"]


async def test_a_killed_broker_makes_an_open_transaction_unclear(
    mortal_kafka: LocalKafka, mortal_tape: MortalTape
) -> None:
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"kept."))
    await settled(mortal_tape)
    await writer.send(numbered(1, b"open."))
    await asyncio.to_thread(mortal_kafka.kill)
    with pytest.raises(UnclearEnd):
        await writer.end()
    mortal_kafka.start()
    await writer.take_over()
    await writer.append(numbered(1, b"after."))
    await settled(mortal_tape)
    assert values(await mortal_tape.visible()) == [b"kept.0", b"after.0"]


async def test_a_take_over_aborts_a_transaction_its_coordinator_knows_nothing_of(
    mortal_kafka: LocalKafka, mortal_tape: MortalTape
) -> None:
    await mortal_tape.open_behind_the_coordinator()
    assert await mortal_tape.ends() == (0, 1)
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"next."))
    await settled(mortal_tape)
    assert values(await mortal_tape.visible()) == [b"next.0"]


async def test_a_broker_that_hung_up_on_an_idle_owner_costs_it_nothing(mortal_kafka: LocalKafka) -> None:
    topic = f"idle-{uuid4().hex[:8]}"
    await asyncio.to_thread(declare, mortal_kafka.bootstrap, [TopicSpec(name=topic, partitions=2)])
    tape = KafkaTape(Protocol2Writer, mortal_kafka.bootstrap, topic)
    writer = Protocol2Writer(mortal_kafka.bootstrap, topic, PARTITION)
    await writer.take_over()
    await writer.append(numbered(1, b"before."))
    for connection in writer._cluster._connections.values():
        connection.close()
    await writer.append(numbered(1, b"after."))
    await settled(tape)
    assert values(await tape.visible()) == [b"before.0", b"after.0"]
    await writer.close()
    await tape.close()
