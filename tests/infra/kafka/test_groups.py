"""Offsets of a group with a note beside each: kept by the cluster, found by the next process."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.groups import Groups

pytestmark = pytest.mark.kafka


async def test_another_process_finds_offset_and_note(kafka: LocalKafka, fresh_topic: Callable[..., str]) -> None:
    topic, group = fresh_topic(3), f"saga-{uuid4().hex[:8]}"
    first, second = Groups(kafka.bootstrap), Groups(kafka.bootstrap)
    await first.commit(group, {(topic, 0): (7, "sequence 3"), (topic, 2): (9, "")})
    await first.commit(group, {(topic, 0): (8, "sequence 4")})
    places = [(topic, partition) for partition in range(3)]
    assert await second.committed(group, places) == {(topic, 0): (8, "sequence 4"), (topic, 2): (9, "")}
    await first.close()
    await second.close()


async def test_groups_are_apart(kafka: LocalKafka, fresh_topic: Callable[..., str]) -> None:
    topic, groups = fresh_topic(1), Groups(kafka.bootstrap)
    await groups.commit(f"one-{topic}", {(topic, 0): (7, "")})
    assert await groups.committed(f"two-{topic}", [(topic, 0)]) == {}
    await groups.close()
