"""Reading from positions of our own: nothing is skipped, doubled or waited for longer than needed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from deploy.local.kafka import LocalKafka
from infra.kafka import codes
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, END, Reader, ReadFailed
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.sender import Sender

pytestmark = pytest.mark.kafka


@pytest.fixture
async def reader(kafka: LocalKafka) -> AsyncIterator[Reader]:
    reader = Reader(kafka.bootstrap)
    yield reader
    await reader.close()


@pytest.fixture
async def sender(kafka: LocalKafka) -> AsyncIterator[Sender]:
    sender = Sender(kafka.bootstrap)
    yield sender
    await sender.close()


def records(count: int) -> list[Outgoing]:
    return [Outgoing(b"key", b"%d" % n) for n in range(count)]


async def taken(reader: Reader, count: int) -> list[Arrived]:
    found: list[Arrived] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await reader.take(count - len(found), 200)
    return found


async def test_a_take_gives_what_is_there_and_does_not_wait_for_more(
    reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    await sender.send_all(topic, records(3), partition=0)
    await reader.assign({(topic, 0): BEGINNING})
    assert [each.offset for each in await taken(reader, 3)] == [0, 1, 2]
    waiting = asyncio.create_task(reader.take(1_000, 5_000))
    await asyncio.sleep(0.3)  # The reader is at the end, waiting for a fetch.
    began = time.monotonic()
    await sender.send(topic, b"key", b"late")
    assert [each.value for each in await waiting] == [b"late"]
    assert time.monotonic() - began < 1


async def test_an_empty_take_returns_when_its_wait_is_over(reader: Reader, fresh_topic: Callable[..., str]) -> None:
    await reader.assign({(fresh_topic(1), 0): BEGINNING})
    began = time.monotonic()
    assert await reader.take(10, 300) == []
    assert 0.25 < time.monotonic() - began < 2


async def test_a_take_never_gives_more_than_its_limit(
    reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    await sender.send_all(topic, records(25), partition=0)
    await reader.assign({(topic, 0): BEGINNING})
    values: list[bytes] = []
    async with asyncio.timeout(10):
        while len(values) < 25:
            batch = await reader.take(10, 200)
            assert len(batch) <= 10
            values += [each.value for each in batch]
    assert values == [b"%d" % n for n in range(25)]


async def test_what_a_cancelled_take_had_read_comes_with_the_next(
    reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    await reader.assign({(topic, 0): BEGINNING})
    waiting = asyncio.create_task(reader.take(10, 5_000))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await sender.send(topic, b"key", b"kept")
    assert [each.value for each in await taken(reader, 1)] == [b"kept"]


async def test_the_position_passes_markers_when_the_end_is_reached(
    reader: Reader, kafka: LocalKafka, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    writer, heir = Protocol2Writer(kafka.bootstrap, topic, 0), Protocol2Writer(kafka.bootstrap, topic, 0)
    await writer.take_over()
    await writer.append(records(2))
    await writer.send(records(3))  # It will be aborted: five offsets that no reader sees.
    await heir.take_over()
    await reader.assign({(topic, 0): BEGINNING})
    assert len(await taken(reader, 2)) == 2
    assert await reader.ends(topic) == {0: 7}
    async with asyncio.timeout(5):
        while reader.position()[topic, 0] < 7:
            assert await reader.take(10, 50) == []
    await writer.close()
    await heir.close()


async def test_the_two_ends_differ_while_a_transaction_is_open(
    reader: Reader, kafka: LocalKafka, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    writer = Protocol2Writer(kafka.bootstrap, topic, 0)
    await writer.take_over()
    await writer.send(records(3))
    assert await reader.ends(topic) == {0: 0}
    assert await reader.ends(topic, read_committed=False) == {0: 3}
    assert await reader.begins(topic) == {0: 0}
    await writer.close()


async def test_a_seek_goes_back_and_forth(reader: Reader, sender: Sender, fresh_topic: Callable[..., str]) -> None:
    topic = fresh_topic(1)
    await sender.send_all(topic, records(10), partition=0)
    await reader.assign({(topic, 0): 5})
    assert [each.offset for each in await taken(reader, 5)] == [5, 6, 7, 8, 9]
    await reader.seek((topic, 0), 2)
    assert [each.offset for each in await taken(reader, 8)] == [2, 3, 4, 5, 6, 7, 8, 9]


async def test_from_the_end_only_what_comes_later_is_read(
    reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    await sender.send(topic, b"key", b"old")
    await reader.assign({(topic, 0): END})
    async with asyncio.timeout(5):
        while (topic, 0) not in reader.position():
            assert await reader.take(10, 50) == []
    await sender.send(topic, b"key", b"new")
    assert [each.value for each in await taken(reader, 1)] == [b"new"]


async def test_a_paused_partition_waits_while_another_is_read(
    reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(2)
    await sender.send_all(topic, records(3), partition=0)
    await sender.send_all(topic, records(3), partition=1)
    await reader.assign({(topic, 0): BEGINNING, (topic, 1): BEGINNING})
    await reader.pause([(topic, 0)])
    assert {each.partition for each in await taken(reader, 3)} == {1}
    assert await reader.take(10, 200) == []
    await reader.resume([(topic, 0)])
    assert [(each.partition, each.offset) for each in await taken(reader, 3)] == [(0, 0), (0, 1), (0, 2)]


async def test_a_position_that_is_not_on_the_log_is_loud(reader: Reader, fresh_topic: Callable[..., str]) -> None:
    topic = fresh_topic(1)
    await reader.assign({(topic, 0): 1_000})
    with pytest.raises(ReadFailed, match=rf"{topic}\[0\].*position"):
        await taken(reader, 1)


async def test_the_ends_of_a_topic_that_is_not_there_are_refused_by_name(reader: Reader) -> None:
    with pytest.raises(ReadFailed, match="no-such-topic"):
        await reader.ends("no-such-topic")


async def test_headers_come_with_a_record_unless_they_are_left_out(
    kafka: LocalKafka, reader: Reader, sender: Sender, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    await sender.send(topic, b"key", b"value", {"command-id": b"c-1"})
    without = Reader(kafka.bootstrap, with_headers=False)
    for each in (reader, without):
        await each.assign({(topic, 0): BEGINNING})
    (with_them,), (bare,) = await taken(reader, 1), await taken(without, 1)
    await without.close()
    assert with_them.headers == {"command-id": b"c-1"}
    assert (bare.key, bare.value, bare.headers) == (b"key", b"value", {})


async def test_ends_are_asked_again_of_a_leader_that_was_elected_anew(
    reader: Reader, fresh_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = fresh_topic(2)
    assert await reader.ends(topic) == {0: 0, 1: 0}
    admin, fenced = reader._admin, [KafkaError(codes.FENCED_LEADER_EPOCH), KafkaError(codes.UNKNOWN_LEADER_EPOCH)]
    assert admin is not None

    def moved(*asked: Any, **how: Any) -> Any:
        if fenced:
            raise KafkaException(fenced.pop())
        return admin.list_offsets(*asked, **how)

    monkeypatch.setattr(reader, "_admin", SimpleNamespace(list_offsets=moved, list_topics=admin.list_topics))
    assert await reader.ends(topic) == {0: 0, 1: 0}
    assert not fenced
