"""Declared topics -> the cluster: what is missing is created, what differs is refused. Blocking: before any loop."""

import time
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException

# Exported at run time; the stubs do not say so.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from infra.kafka import codes

FOREVER_MS = -1  # What Kafka calls retention without an end.
WAIT_SECONDS_MAX = 30.0  # A cold broker elects its first leaders in a few seconds; beyond this it is broken.
LEADER_POLL_SECONDS = 0.02
FLUSH_NEVER = 2**63 - 1  # Kafka's own default of flush.messages: leave it to the operating system.


TRANSACTIONS = "__transaction_state"
"""Where the coordinators of transactions write what they did, before they do it."""


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be. `flush_each` forces every batch to disk before it is acknowledged."""

    name: str
    partitions: int
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = FOREVER_MS
    flush_each: bool = True
    max_message_bytes: int = 8 * 1024 * 1024

    def config(self) -> dict[str, str]:
        """In Kafka's words, what is declared and compared."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "flush.messages": str(1 if self.flush_each else FLUSH_NEVER),
            "max.message.bytes": str(self.max_message_bytes),
        }


class TopicDrift(Exception):
    """A topic is there but is not what was declared."""

    def __init__(self, topic: str, key: str, found: str, declared: str) -> None:
        super().__init__(
            f"topic {topic}: {key} is {found}, declared {declared}. {_REMEDIES.get(key, _ALTER).format(key=key)}"
        )
        self.topic = topic
        self.key = key
        self.found = found
        self.declared = declared


_ALTER = "Set {key} with kafka-configs.sh --alter, or change the declaration."
_REMEDIES = {
    "partitions": "Keys would move between partitions: begin a new topic epoch and replay, or declare what is there.",
    "replication": "Move the replicas with kafka-reassign-partitions.sh, or change the declaration.",
}


class TopicState(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as the cluster has it."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def declare(bootstrap: str, specs: Iterable[TopicSpec], replication: int = 1) -> None:
    """Create the missing topics, compare the others, return when every partition has a leader."""
    wanted = list(specs)
    admin = _admin(bootstrap)
    if replication == 1:
        _flush_transactions(admin)
    there = set(admin.list_topics(timeout=WAIT_SECONDS_MAX).topics)
    _create(admin, [spec for spec in wanted if spec.name not in there], replication)
    _wait_for_leaders(admin, wanted)
    found = {state.name: state for state in _states(admin, [spec.name for spec in wanted])}
    for spec in wanted:
        _compare(spec, found[spec.name], replication)


def topic_report(bootstrap: str) -> list[TopicState]:
    """Every topic of the cluster but Kafka's own, by name."""
    admin = _admin(bootstrap)
    names = [name for name in admin.list_topics(timeout=WAIT_SECONDS_MAX).topics if not name.startswith("__")]
    return sorted(_states(admin, names), key=lambda state: state.name)


def _admin(bootstrap: str) -> AdminClient:
    """Without its notices: it reports every queue it leaves behind."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 4}, logger=codes.LOG)


def _flush_transactions(admin: AdminClient) -> None:
    """Where one disk holds everything, what coordinators write is flushed too; the price is 1.5 to 2 ms a transaction.

    After a power cut a coordinator that is behind its partitions aborts an old transaction under an epoch that they
    refuse. The transactional id is never free again, and whoever takes its partition over waits for ever: 3 of 10 power
    cuts ended so without it, 0 of 10 with it, same seed.
    """
    if TRANSACTIONS not in admin.list_topics(timeout=WAIT_SECONDS_MAX).topics:
        return  # No owner has ever written here: the first one makes it, and the next declaration finds it.
    entry = ConfigEntry("flush.messages", "1", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, TRANSACTIONS, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(WAIT_SECONDS_MAX)


def _create(admin: AdminClient, specs: Sequence[TopicSpec], replication: int) -> None:
    if not specs:
        return
    topics = [
        NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=replication, config=spec.config())
        for spec in specs
    ]
    for future in admin.create_topics(topics, operation_timeout=WAIT_SECONDS_MAX).values():
        try:
            future.result(WAIT_SECONDS_MAX)
        except KafkaException as failure:
            if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # Another process declared it first.
                raise


def _wait_for_leaders(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    """A topic answers its creator before its partitions have leaders; whoever writes then is refused."""
    until = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        topics = admin.list_topics(timeout=WAIT_SECONDS_MAX).topics
        waiting = [
            spec.name
            for spec in specs
            if spec.name not in topics
            or not topics[spec.name].partitions
            or any(each.leader < 0 for each in topics[spec.name].partitions.values())
        ]
        if not waiting:
            return
        if time.monotonic() > until:
            raise TimeoutError(
                f"no leader for {', '.join(waiting)} after {WAIT_SECONDS_MAX:.0f} s: look at the broker's log"
            )
        time.sleep(LEADER_POLL_SECONDS)


def _states(admin: AdminClient, names: Sequence[str]) -> list[TopicState]:
    if not names:
        return []
    topics = admin.list_topics(timeout=WAIT_SECONDS_MAX).topics
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    return [
        TopicState(
            name=resource.name,
            partitions=len(topics[resource.name].partitions),
            replication=min(len(each.replicas) for each in topics[resource.name].partitions.values()),
            config={key: str(entry.value) for key, entry in future.result(WAIT_SECONDS_MAX).items()},
        )
        for resource, future in described.items()
    ]


def _compare(spec: TopicSpec, found: TopicState, replication: int) -> None:
    if found.partitions != spec.partitions:
        raise TopicDrift(spec.name, "partitions", str(found.partitions), str(spec.partitions))
    if found.replication != replication:
        raise TopicDrift(spec.name, "replication", str(found.replication), str(replication))
    for key, declared in spec.config().items():
        if found.config[key] != declared:
            raise TopicDrift(spec.name, key, found.config[key], declared)
