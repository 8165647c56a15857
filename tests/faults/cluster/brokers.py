"""Three brokers that are their own controllers on this machine: started as one cluster, killed and started one by one.

Topics have three replicas, and nothing is acknowledged by fewer than two. Everything is on the loopback.
"""

import base64
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from deploy.local import children, java, kafka_probe
from deploy.local.kafka import LocalKafka, Profile
from infra.kafka import codes

COUNT = 3
READY_SECONDS_MAX = 120.0
"""Longest start of three on a busy machine."""
WHOLE_SECONDS_MAX = 120.0
"""Longest way of a broker that was killed back into every set of replicas in sync."""
LOOK_SECONDS = 0.1
PROPERTIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # One machine plays three: a heartbeat that comes late for want of a processor is no death.
    "broker.session.timeout.ms": "3000",
    # A follower that was killed shall be missed soon, and taken back as soon as it has caught up.
    "replica.lag.time.max.ms": "3000",
}


class Member(LocalKafka):
    """One of the three: as any local broker, but with the cluster's id and the others as its voters."""

    def __init__(self, folder: Path, number: int, cluster_id: str) -> None:
        super().__init__(folder, profile=Profile.TEST)
        self.number = number
        self._cluster_id = cluster_id

    @property
    def voter(self) -> str:
        """As the others name it."""
        return f"{self.number}@127.0.0.1:{self._ports.controller}"

    def join(self, voters: str) -> None:
        """Before the first start: who else there is."""
        self._extra |= PROPERTIES | {"node.id": str(self.number), "controller.quorum.voters": voters}

    def is_ready(self) -> bool:
        """It answers by itself; coordinators may be anywhere."""
        pid = self.pid
        return pid is not None and kafka_probe.brokers(self.port) > 0 and children.owns(pid, self.port)

    def _format(self, config: Path, machine: java.Java, libraries: tuple[Path, ...], archive: list[str]) -> None:
        argv = [*self._java(machine, libraries, archive), "kafka.tools.StorageTool", "format"]
        argv += [f"--cluster-id={self._cluster_id}", "--config", str(config)]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise children.NotReady(f"{self.folder} could not be formatted: {ran.stdout}{ran.stderr}")


class Trio:
    """The cluster."""

    def __init__(self, folder: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.members = [Member(folder / f"broker-{number}", number, cluster_id) for number in range(1, COUNT + 1)]
        voters = ",".join(member.voter for member in self.members)
        for member in self.members:
            member.join(voters)

    @property
    def bootstrap(self) -> str:
        """What clients are given: all three."""
        return ",".join(member.bootstrap for member in self.members)

    def member(self, number: int) -> Member:
        """By the id that Kafka knows it by."""
        return self.members[number - 1]

    def start(self) -> None:
        """All at once: one alone is no quorum."""
        for member in self.members:
            member.launch()
        end = time.monotonic() + READY_SECONDS_MAX
        while self._known() < COUNT:
            if time.monotonic() > end:
                raise children.NotReady(f"three brokers are not one cluster. {children.tail(self.members[0].log)}")
            time.sleep(LOOK_SECONDS)
        self._warm()

    def revive(self, *members: Member) -> None:
        """Start these again, and return when every replica of every partition is in sync."""
        for member in members:
            member.launch()
        self.until_whole()

    def until_whole(self) -> float:
        """Seconds until nothing is missing anywhere.

        One alone shows what was true when it lost the others: each must say for itself that it sees all three.
        """
        begun = time.monotonic()
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 4}, logger=codes.LOG)
        while time.monotonic() < begun + WHOLE_SECONDS_MAX:
            if self._known() < COUNT:
                time.sleep(LOOK_SECONDS)
                continue
            try:
                told = admin.list_topics(timeout=5)
            except Exception:  # noqa: BLE001  (whatever a client says of brokers that are not there yet)
                continue
            partitions = [each for topic in told.topics.values() for each in topic.partitions.values()]
            if len(told.brokers) == COUNT and all(len(each.isrs) == len(each.replicas) for each in partitions):
                return time.monotonic() - begun
            time.sleep(LOOK_SECONDS)
        raise children.NotReady(f"replicas are still missing after {WHOLE_SECONDS_MAX:.0f} s")

    def stop(self) -> None:
        """All; nobody is left to be waited for in order."""
        for member in self.members:
            member.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _known(self) -> int:
        return min(kafka_probe.brokers(member.port) for member in self.members)

    def _warm(self) -> None:
        """The first question for a coordinator makes its topic."""
        end = time.monotonic() + READY_SECONDS_MAX
        while not any(kafka_probe.is_warm(member.port) for member in self.members):
            if time.monotonic() > end:
                raise children.NotReady("no coordinator answers")
            time.sleep(LOOK_SECONDS)
