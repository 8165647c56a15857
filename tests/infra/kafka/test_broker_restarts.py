"""The clients that are no writers, across a broker that is killed and started again: they go on, nobody ends of it."""

import asyncio
from collections.abc import Iterator

import pytest

from deploy.local.kafka import LocalKafka, Profile
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader
from infra.kafka.topics import TopicSpec, declare

pytestmark = pytest.mark.kafka

TOPICS = [f"restarted-{number}" for number in range(40)]
PARTITIONS = 4
ROUNDS = 2


@pytest.fixture(scope="module")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    broker = LocalKafka(tmp_path_factory.mktemp("mortal-kafka"), profile=Profile.TEST).start()
    declare(broker.bootstrap, [TopicSpec(name=topic, partitions=PARTITIONS) for topic in TOPICS])
    yield broker
    broker.stop()


async def restart(broker: LocalKafka) -> None:
    """Here, in the main thread: the broker ends with the thread that started it."""
    broker.kill()
    broker.launch()
    await asyncio.sleep(0)


async def until_ready(broker: LocalKafka) -> None:
    async with asyncio.timeout(60):
        while not broker.is_ready():
            await asyncio.sleep(0.02)


async def test_ends_are_told_by_a_broker_that_learns_its_leader_epochs_late(mortal_kafka: LocalKafka) -> None:
    reader = Reader(mortal_kafka.bootstrap)
    for _ in range(ROUNDS):
        for topic in TOPICS:
            await reader.ends(topic)
        await restart(mortal_kafka)
        for topic in TOPICS[:8] * ROUNDS:
            assert list(await reader.ends(topic)) == list(range(PARTITIONS))
        await until_ready(mortal_kafka)
    await reader.close()


async def test_commits_wait_for_their_coordinator_to_come_back(mortal_kafka: LocalKafka) -> None:
    groups, stop, commits = Groups(mortal_kafka.bootstrap), asyncio.Event(), 0

    async def commit() -> None:
        nonlocal commits
        while not stop.is_set():
            await groups.commit("patient", {(TOPICS[0], 0): (commits, "")})
            commits += 1

    committing = asyncio.create_task(commit())
    for _ in range(ROUNDS):
        before = commits
        async with asyncio.timeout(60):
            while commits < before + 10 and not committing.done():
                await asyncio.sleep(0.02)
        await restart(mortal_kafka)
        await until_ready(mortal_kafka)
    stop.set()
    await committing
    assert await groups.committed("patient", [(TOPICS[0], 0)]) == {(TOPICS[0], 0): (commits - 1, "")}
    await groups.close()
