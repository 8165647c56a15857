"""A request that everybody believed dead arrives late, inside a later transaction of its id: nothing may come of it.

Each trial steals one request, goes the way of the laws (take over, read back, decide again what is missing), brings the
stolen id's turn round, and lets the ghost loose inside its open transaction. At the end the tape must hold exactly what
its owner was told or read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from deploy.local.kafka import LocalKafka
from infra.kafka.cluster import READ_COMMITTED, READ_UNCOMMITTED, Cluster
from infra.kafka.guarded import GuardedWriter
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Outgoing
from infra.kafka.writer import IDS_PER_PARTITION, TapeWriter, UnclearEnd
from tests.faults.ghosts.proxy import END_TXN, PRODUCE, GhostProxy

pytestmark = pytest.mark.kafka

TRIALS = 10
ARMS: dict[str, type[Protocol2Writer | GuardedWriter]] = {"own": Protocol2Writer, "guarded": GuardedWriter}
KINDS = {"produce": PRODUCE, "end": END_TXN}
REFUSALS = {47, 48, 90}
"""INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, PRODUCER_FENCED."""


async def visible(bootstrap: str, topic: str) -> list[str]:
    """What read_committed sees once nothing is open, asked past the proxy."""
    cluster = Cluster(bootstrap, "test")
    async with asyncio.timeout(15):
        while True:
            stable = await cluster.end_of(topic, 0, READ_COMMITTED)
            if stable == await cluster.end_of(topic, 0, READ_UNCOMMITTED):
                break
            await asyncio.sleep(0.005)
        reader = Reader(bootstrap)
        await reader.assign({(topic, 0): BEGINNING})
        seen: list[str] = []
        while reader.position().get((topic, 0), 0) < stable:
            seen += [record.value.decode() for record in await reader.take(1_000, 200)]
    await reader.close()
    await cluster.close()
    return seen


class Owner:
    """An owner that keeps the laws: it believes what it reads, and decides again what it does not find."""

    def __init__(self, writer: TapeWriter, read: Callable[[], Any]) -> None:
        self._writer = writer
        self._read = read
        self.told: list[str] = []

    async def write(self, value: str) -> None:
        try:
            await self._writer.append([Outgoing(b"account", value.encode())])
        except UnclearEnd:
            await self.recover(value)
        else:
            self.told.append(value)

    async def recover(self, value: str) -> None:
        await self._writer.take_over()
        if value not in await self._read():
            await self._writer.append([Outgoing(b"account", value.encode())])
        self.told.append(value)

    async def write_around(self, value: str, meanwhile: Callable[[], Awaitable[int | None]]) -> int | None:
        """One transaction, with something happening between its records and its end; what that gave."""
        await self._writer.send([Outgoing(b"account", value.encode())])
        given = await meanwhile()
        try:
            await self._writer.end()
        except UnclearEnd:
            await self.recover(value)
        else:
            self.told.append(value)
        return given


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arm", ARMS)
async def test_no_ghost_loses_doubles_or_invents_an_event(
    arm: str, kind: str, kafka: LocalKafka, fresh_topic: Callable[..., str], proxy: GhostProxy
) -> None:
    topic = fresh_topic(1)
    writer = ARMS[arm](proxy.bootstrap, topic, 0)
    owner = Owner(writer, lambda: visible(kafka.bootstrap, topic))
    await writer.take_over()
    answers: list[int | None] = []
    for trial in range(TRIALS):
        theft = proxy.steal_next(KINDS[kind])
        stolen_turn = (writer._turn + 1) % IDS_PER_PARTITION
        await owner.write(f"{trial}.stolen")
        assert theft.is_taken()
        while (writer._turn + 1) % IDS_PER_PARTITION != stolen_turn:
            await owner.write(f"{trial}.between.{writer._turn}")

        answers.append(await owner.write_around(f"{trial}.haunted", theft.release))
    await writer.close()
    assert await visible(kafka.bootstrap, topic) == owner.told
    assert set(answers) <= REFUSALS, f"the broker accepted a ghost: {answers}"


async def test_the_textbook_loop_shows_an_event_that_it_never_committed(
    kafka: LocalKafka, fresh_topic: Callable[..., str], proxy: GhostProxy
) -> None:
    """The control: the same ghost against a client that retries an end in silence, so that the test above can fail."""
    topic = fresh_topic(1)
    producer = Producer({"bootstrap.servers": proxy.bootstrap, "transactional.id": topic, "linger.ms": 0})
    await asyncio.to_thread(producer.init_transactions, 30)

    def write(value: str) -> None:
        producer.begin_transaction()
        producer.produce(topic, value.encode(), partition=0)
        producer.flush(10)

    theft = proxy.steal_next(END_TXN)
    await asyncio.to_thread(write, "first")
    await asyncio.to_thread(producer.commit_transaction, 30)
    assert theft.is_taken(), "the commit was told clear although its request was stolen"
    assert await visible(kafka.bootstrap, topic) == ["first"]
    await asyncio.to_thread(write, "second")
    assert await theft.release() == 0
    with pytest.raises(KafkaException):
        await asyncio.to_thread(producer.abort_transaction, 30)
    assert await visible(kafka.bootstrap, topic) == ["first", "second"]
