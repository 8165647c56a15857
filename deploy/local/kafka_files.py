"""A folder and its ports -> what one KRaft broker must be told: server.properties and log4j2.properties."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

INTERNAL_PARTITIONS = 8
"""Partitions of the two internal topics: enough to spread, few enough to open quickly (the default is 50)."""
RECORD_BYTES_MAX = 4_194_304
"""Largest batch of records: a batch of a thousand events is one."""


class Ports(NamedTuple):
    """Where a broker listens; a ghost listener tells clients to come back to another port than its own."""

    client: int
    controller: int
    ghost_listen: int | None = None
    ghost_advertised: int | None = None


def write(folder: Path, ports: Ports, extra: Mapping[str, str]) -> Path:
    """Write both files; the broker is started with the path returned."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(LOGGING)
    path = folder / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in (properties(folder, ports) | dict(extra)).items()))
    return path


def properties(folder: Path, ports: Ports) -> dict[str, str]:
    """One broker that is its own controller, on this machine, durable as far as one disk can be."""
    return _listeners(ports) | {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{ports.controller}",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        "message.max.bytes": str(RECORD_BYTES_MAX),
        "replica.fetch.max.bytes": str(RECORD_BYTES_MAX),
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": str(INTERNAL_PARTITIONS),
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": str(INTERNAL_PARTITIONS),
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # Nobody else is there to wait for.
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker is refused until its old session ends: nine seconds by default.
        "broker.session.timeout.ms": "1500",
        "broker.heartbeat.interval.ms": "300",
        # A dead owner's transaction stalls every reader until this scan finds it.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # The default of 128 MB would fill half of a small heap.
        "log.cleaner.dedupe.buffer.size": "16777216",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
    }


def _listeners(ports: Ports) -> dict[str, str]:
    """Everything on the loopback; no listener of a developer's broker is for others."""
    listeners = [f"CLIENT://127.0.0.1:{ports.client}", f"CONTROLLER://127.0.0.1:{ports.controller}"]
    advertised = [f"CLIENT://127.0.0.1:{ports.client}", f"CONTROLLER://127.0.0.1:{ports.controller}"]
    protocols = ["CLIENT:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
    if ports.ghost_listen is not None and ports.ghost_advertised is not None:
        listeners.append(f"GHOST://127.0.0.1:{ports.ghost_listen}")
        advertised.append(f"GHOST://127.0.0.1:{ports.ghost_advertised}")
        protocols.append("GHOST:PLAINTEXT")
    return {
        "listeners": ",".join(listeners),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": ",".join(protocols),
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
    }


LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
"""
"""Warnings and the line that says the broker started: the stack's logs are read by people."""
