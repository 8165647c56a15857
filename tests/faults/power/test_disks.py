"""F16: a bit of a partition's file flips, and no reader is given what it made."""

import asyncio
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, Reader, ReadFailed
from infra.kafka.records import Outgoing
from infra.kafka.topics import TopicSpec, declare

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

READ_SECONDS_MAX = 60.0


async def test_a_flipped_bit_of_a_file_is_never_served(kafka: LocalKafka) -> None:
    """The checksum of the batch fails in the client that reads it; what stands before it is still given."""
    topic = f"flipped-{uuid4().hex[:8]}"
    await asyncio.to_thread(declare, kafka.bootstrap, [TopicSpec(name=topic, partitions=1)])
    writer = Protocol2Writer(kafka.bootstrap, topic, 0)
    await writer.take_over()
    for value in (b"first", b"second", b"third"):
        await writer.append([Outgoing(b"k", value)])
    await writer.close()
    assert await _read(kafka.bootstrap, topic) == [b"first", b"second", b"third"]
    (log,) = (kafka.folder / "data" / f"{topic}-0").glob("*.log")
    at = log.read_bytes().index(b"second")
    with log.open("r+b") as file:
        file.seek(at)
        file.write(bytes([b"second"[0] ^ 1]))
    with pytest.raises((ReadFailed, TimeoutError)) as refused:
        await _read(kafka.bootstrap, topic)
    assert not isinstance(refused.value, TimeoutError), "the reader waits in silence at a batch that is broken"


async def _read(bootstrap: str, topic: str) -> list[bytes]:
    reader = Reader(bootstrap, "flipped")
    try:
        (end,) = (await reader.ends(topic)).values()
        await reader.assign({(topic, 0): BEGINNING})
        found: list[bytes] = []
        async with asyncio.timeout(READ_SECONDS_MAX):
            while reader.position().get((topic, 0), 0) < end:
                found += [each.value for each in await reader.take(1_000, 100)]
        return found
    finally:
        await reader.close()
