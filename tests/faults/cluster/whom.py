"""Who leads, controls and coordinates right now: asked by raw requests, so that no client's memory stands between.

The controller is asked for by DescribeQuorum: Metadata names any broker in its place.
"""

import struct
from collections.abc import Iterable

from confluent_kafka.admin import AdminClient

from deploy.local import kafka_probe
from infra.kafka import codes
from tests.faults.cluster.brokers import Trio

GROUP, TRANSACTION = 0, 1
DESCRIBE_QUORUM = 55
LOOKUP_SECONDS_MAX = 10
METADATA_LOG = b"__cluster_metadata"


class Unknown(Exception):
    """Nobody has that part at the moment."""


def leader(trio: Trio, topic: str, partition: int) -> int:
    """The broker that leads this partition."""
    admin = AdminClient({"bootstrap.servers": trio.bootstrap, "log_level": 4}, logger=codes.LOG)
    found = int(admin.list_topics(topic, LOOKUP_SECONDS_MAX).topics[topic].partitions[partition].leader)
    if found < 1:
        raise Unknown(f"{topic}[{partition}] has no leader")
    return found


def coordinator(trio: Trio, kind: int, key: str) -> int:
    """The broker that coordinates this group or transactional id."""
    body = struct.pack(">h", len(key)) + key.encode() + struct.pack(">b", kind)
    for port in _ports(trio):
        try:
            answer = kafka_probe.ask(port, kafka_probe.FIND_COORDINATOR, 1, body)
        except OSError:
            continue
        error, length = struct.unpack_from(">hh", answer, 4)
        if error == codes.NONE:
            return int(struct.unpack_from(">i", answer, 8 + max(length, 0))[0])
    raise Unknown(f"{key} has no coordinator")


def controller(trio: Trio) -> int:
    """The broker whose controller is the active one."""
    topic = bytes((len(METADATA_LOG) + 1,)) + METADATA_LOG + b"\x02" + struct.pack(">i", 0) + b"\x00\x00"
    body = b"\x00" + b"\x02" + topic + b"\x00"  # No tags in the header; then one topic with one partition.
    for port in _ports(trio):
        try:
            answer = kafka_probe.ask(port, DESCRIBE_QUORUM, 0, body)
        except OSError:
            continue
        # A tag byte, the error, one topic with its name, one partition: its number, its error, and who leads.
        at = 1 + 2 + 1 + 1 + len(METADATA_LOG) + 1 + 4
        error, found = struct.unpack_from(">hi", answer, at)
        if error == codes.NONE and found > 0:
            return int(found)
    raise Unknown("there is no controller")


def _ports(trio: Trio) -> Iterable[int]:
    return (member.port for member in trio.members if member.is_alive)
