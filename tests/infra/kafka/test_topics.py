"""Declaring topics: what is missing is made, what differs is refused by name, nothing is changed in silence."""

import asyncio
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.reader import Reader
from infra.kafka.topics import TRANSACTIONS, TopicDrift, TopicSpec, _admin, _states, declare, topic_report

pytestmark = pytest.mark.kafka


@pytest.fixture
def spec() -> TopicSpec:
    return TopicSpec(name=f"declared-{uuid4().hex[:8]}", partitions=3, retention_ms=604_800_000)


async def test_a_declared_topic_has_leaders_at_once(kafka: LocalKafka, spec: TopicSpec) -> None:
    await asyncio.to_thread(declare, kafka.bootstrap, [spec])
    reader = Reader(kafka.bootstrap)
    assert await reader.ends(spec.name) == {0: 0, 1: 0, 2: 0}
    await reader.close()


def test_declaring_again_changes_nothing(kafka: LocalKafka, spec: TopicSpec) -> None:
    declare(kafka.bootstrap, [spec])
    declare(kafka.bootstrap, [spec])
    state = next(each for each in topic_report(kafka.bootstrap) if each.name == spec.name)
    assert (state.partitions, state.replication) == (3, 1)
    assert state.config["flush.messages"] == "1"
    assert state.config["retention.ms"] == "604800000"


@pytest.mark.parametrize(
    ("changed", "key", "found", "remedy"),
    [
        ({"partitions": 4}, "partitions", "3", "topic epoch"),
        ({"cleanup": "compact"}, "cleanup.policy", "delete", "kafka-configs.sh"),
        ({"retention_ms": -1}, "retention.ms", "604800000", "kafka-configs.sh"),
        ({"flush_each": False}, "flush.messages", "1", "kafka-configs.sh"),
        ({"max_message_bytes": 1_000_000}, "max.message.bytes", "8388608", "kafka-configs.sh"),
    ],
)
def test_drift_is_refused_by_topic_key_and_remedy(
    kafka: LocalKafka, spec: TopicSpec, changed: dict[str, object], key: str, found: str, remedy: str
) -> None:
    declare(kafka.bootstrap, [spec])
    fields = {name: getattr(spec, name) for name in spec.__struct_fields__}
    with pytest.raises(TopicDrift, match=remedy) as drift:
        declare(kafka.bootstrap, [TopicSpec(**(fields | changed))])
    assert (drift.value.topic, drift.value.key, drift.value.found) == (spec.name, key, found)


def test_another_number_of_replicas_is_drift(kafka: LocalKafka, spec: TopicSpec) -> None:
    declare(kafka.bootstrap, [spec])
    with pytest.raises(TopicDrift, match="replication is 1, declared 3"):
        declare(kafka.bootstrap, [spec], replication=3)


def test_a_power_cut_leaves_no_coordinator_behind_the_partitions_that_it_ends(
    kafka: LocalKafka, spec: TopicSpec
) -> None:
    """Else it comes back with an old epoch, and the transactional id is in the middle of an abort for ever."""
    declare(kafka.bootstrap, [spec])
    (state,) = _states(_admin(kafka.bootstrap), [TRANSACTIONS])
    assert state.config["flush.messages"] == "1"
