"""Idempotent sending: offsets for answers, one order, one partitioner, and failures that say what is known."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.kafka import LocalKafka
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.sender import Sender, SendFailed, murmur2_partition

pytestmark = pytest.mark.kafka
KEYS = [f"account-{n:04}-{'x' * (n % 11)}".encode() for n in range(400)]


@pytest.fixture
async def sender(kafka: LocalKafka) -> AsyncIterator[Sender]:
    sender = Sender(kafka.bootstrap)
    yield sender
    await sender.close()


async def all_of(kafka: LocalKafka, topic: str, count: int, partitions: int) -> list[Arrived]:
    reader = Reader(kafka.bootstrap)
    await reader.assign({(topic, partition): BEGINNING for partition in range(partitions)})
    found: list[Arrived] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await reader.take(1_000, 200)
    await reader.close()
    return found


async def test_records_keep_their_order_keys_and_headers(
    kafka: LocalKafka, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    headers = {"command-id": b"c-1", "digest": bytes(32)}
    assert await sender.send(topic, b"account", b"first", headers) == 0
    assert await sender.send_all(topic, [Outgoing(b"", b"%d" % n) for n in range(100)]) == list(range(1, 101))
    first, *others = await all_of(kafka, topic, 101, 1)
    assert (first.key, first.value, first.headers) == (b"account", b"first", headers)
    assert [each.value for each in others] == [b"%d" % n for n in range(100)]
    assert others[0].key == b""


async def test_every_client_puts_a_key_into_the_same_partition(
    kafka: LocalKafka, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    ours, theirs = fresh_topic(4), fresh_topic(4)
    await sender.send_all(ours, [Outgoing(key, b"") for key in KEYS])
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    for answer in [await producer.send(theirs, b"", key=key) for key in KEYS]:
        await answer
    await producer.stop()
    by_key = {each.key: each.partition for each in await all_of(kafka, ours, len(KEYS), 4)}
    assert by_key == {each.key: each.partition for each in await all_of(kafka, theirs, len(KEYS), 4)}
    assert by_key == {key: murmur2_partition(key, 4) for key in KEYS}
    assert set(by_key.values()) == {0, 1, 2, 3}


def test_the_partitioner_is_javas() -> None:
    """Values of `Utils.murmur2` as Kafka's own test has them, made positive and reduced."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, hashed in known.items():
        assert murmur2_partition(key, 1_000) == (hashed & 0x7FFFFFFF) % 1_000


async def test_a_record_over_the_limit_is_surely_not_written(sender: Sender, fresh_topic: Callable[..., str]) -> None:
    with pytest.raises(SendFailed, match="nothing was written") as failure:
        await sender.send(fresh_topic(1, max_message_bytes=10_000), b"", b"x" * 20_000)
    assert not failure.value.outcome_unknown


async def test_a_topic_that_is_not_there_is_named(sender: Sender) -> None:
    with pytest.raises(SendFailed, match="no-such-topic"):
        await sender.send("no-such-topic", b"", b"value")


async def test_no_answer_from_any_broker_is_an_unknown_outcome() -> None:
    sender = Sender("127.0.0.1:1")
    with pytest.raises(SendFailed, match="repeat under the same id") as failure:
        await sender.send("anything", b"", b"value", partition=0)
    assert failure.value.outcome_unknown
    await sender.close()


async def test_closing_waits_for_what_is_under_way(kafka: LocalKafka, fresh_topic: Callable[..., str]) -> None:
    topic, sender = fresh_topic(1), Sender(kafka.bootstrap)
    sending = asyncio.create_task(sender.send_all(topic, [Outgoing(b"", b"%d" % n) for n in range(500)]))
    await asyncio.sleep(0)
    await sender.close()
    assert await sending == list(range(500))
