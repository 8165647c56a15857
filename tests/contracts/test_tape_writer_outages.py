"""The contract of the tape's writer when the broker goes away under it: an end is never silently good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aiokafka.protocol.produce import ProduceRequest

from deploy.local.kafka import LocalKafka, Profile
from infra.kafka import fence
from infra.kafka.cluster import Cluster
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


@pytest.fixture(params=ARMS)
async def mortal_tape(request: pytest.FixtureRequest, mortal_kafka: LocalKafka) -> AsyncIterator[KafkaTape]:
    topic = f"mortal-{uuid4().hex[:8]}"
    await asyncio.to_thread(declare, mortal_kafka.bootstrap, [TopicSpec(name=topic, partitions=2)])
    tape = KafkaTape(ARMS[request.param], mortal_kafka.bootstrap, topic)
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
    mortal_kafka: LocalKafka, mortal_tape: KafkaTape
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


async def test_a_restart_between_two_batches_is_unclear_too(mortal_kafka: LocalKafka, mortal_tape: KafkaTape) -> None:
    """The marker of the batch before may be lost with the broker; the next one must not go behind such a gap."""
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"before."))
    await asyncio.to_thread(mortal_kafka.stop)
    mortal_kafka.start()
    with pytest.raises(UnclearEnd):
        await writer.append(numbered(1, b"unsure."))
    await writer.take_over()
    assert values(await mortal_tape.visible()) in ([b"before.0"], [])


async def test_a_killed_broker_makes_an_open_transaction_unclear(
    mortal_kafka: LocalKafka, mortal_tape: KafkaTape
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
    mortal_kafka: LocalKafka, mortal_tape: KafkaTape
) -> None:
    topic = mortal_tape.topic
    cluster = Cluster(mortal_kafka.bootstrap, "careless")
    producer_id, epoch = await fence.fence(cluster, transactional_ids(topic, PARTITION)[0])
    batch = record_batch([Outgoing(b"account", b"hanging")], producer_id, epoch)
    partitions = [(PARTITION, batch)]
    request = ProduceRequest(transactional_ids(topic, PARTITION)[0], ALL_REPLICAS, 1_000, [(topic, partitions)])
    await cluster.ask_leader(topic, PARTITION, request)
    await cluster.close()
    assert await mortal_tape.ends() == (0, 1)
    writer = mortal_tape.writer()
    await writer.take_over()
    await writer.append(numbered(1, b"next."))
    await settled(mortal_tape)
    assert values(await mortal_tape.visible()) == [b"next.0"]
