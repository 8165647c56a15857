"""A folder -> one Kafka broker in it: formatted on first use, started, checked to be ours, stopped or killed.

`Profile.TEST` starts quickest (first compiler only, small heap); `Profile.FULL` is for demo and figures.
"""

import base64
import os
import subprocess
import time
import uuid
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from deploy.local import children, class_archive, jars, java, kafka_files, kafka_probe, ports
from deploy.local.children import NotReady

START_LIMIT_S = 60.0
"""Longest start: recovery after a kill with many logs on a busy machine took fourteen seconds."""
STOP_LIMIT_S = 15.0
"""Longest orderly stop before the broker is killed; it takes one second."""
PORT_LIMIT_S = 10.0
"""Longest wait for a port after its owner was killed: threads of a dead JVM may hold it a little longer."""


class Profile(Enum):
    """Flags of the JVM, by what the broker is for."""

    TEST = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    FULL = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC")


class PortTaken(Exception):
    """Another program listens where the broker should."""


class LocalKafka:
    """One broker, child of this process; start it from a thread that lives as long as it should."""

    name = "kafka"
    start_limit_s = START_LIMIT_S

    def __init__(  # noqa: PLR0913  what a broker is, one named argument each
        self,
        folder: Path,
        *,
        port: int | None = None,
        profile: Profile = Profile.FULL,
        ghost_listen_port: int | None = None,
        ghost_port: int | None = None,
        properties: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """A ghost listener takes connections at `ghost_listen_port` and sends clients to `ghost_port`, a proxy's."""
        self.folder = folder.resolve()
        self.log = log or self.folder / "kafka.log"
        self._profile = profile
        self._extra = dict(properties or {})
        self._ports = kafka_files.Ports(port or ports.one(), ports.one(), ghost_listen_port, ghost_port)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._ports.client

    @property
    def bootstrap(self) -> str:
        """What clients are given."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's process, while there is one."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def is_alive(self) -> bool:
        """Whether the process runs; not whether it answers."""
        return self.pid is not None

    def start(self) -> "LocalKafka":
        """Start it and wait until it is ready."""
        try:
            self.launch()
            if self._child is not None:
                children.await_ready(self._child, self.is_ready, name="Kafka", log=self.log, limit_s=self.start_limit_s)
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start it and come back; only a new folder is waited for, a second."""
        machine, libraries = java.find(), jars.ensure()
        archive = class_archive.flag(machine, libraries)
        children.end_leftover(self.log, limit_s=STOP_LIMIT_S)
        self._refuse_taken_port()
        config = kafka_files.write(self.folder, self._ports, self._extra)
        if not (self.folder / "data" / "meta.properties").is_file():
            self._format(config, machine, libraries, archive)
        argv = [*self._java(machine, libraries, archive), "kafka.Kafka", str(config)]
        self._child = children.spawn(argv, log=self.log, env=_environment())

    def is_ready(self) -> bool:
        """It answers, its coordinators are up, and it is our child: another broker on the port would answer too."""
        pid = self.pid
        return pid is not None and self._answers() and children.owns(pid, self.port)

    def stop(self) -> None:
        """End it in order, or after a limit not in order; the port is free afterwards."""
        if self._child is not None:
            children.stop(self._child, limit_s=STOP_LIMIT_S)
            self._forget()

    def kill(self) -> None:
        """End it as a crash would; the port is free afterwards."""
        if self._child is not None:
            children.kill(self._child)
            self._forget()

    def restart(self) -> "LocalKafka":
        """Stop it if it runs, start it again on the same folder and port."""
        self.stop()
        return self.start()

    def tool(self, main_class: str, *arguments: str, limit_s: float = 60.0) -> str:
        """Run one of Kafka's own tools, e.g. `org.apache.kafka.tools.DumpLogSegments`; what it printed.

        A record that it prints may be no text: what cannot be read is replaced.
        """
        argv = tool_argv(main_class, *arguments)
        ran = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, timeout=limit_s)
        if ran.returncode:
            raise RuntimeError(f"{main_class} failed with code {ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def _answers(self) -> bool:
        return kafka_probe.brokers(self.port) > 0 and kafka_probe.is_warm(self.port)

    def _java(self, machine: java.Java, libraries: tuple[Path, ...], archive: list[str]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [str(machine.path), *self._profile.value, *archive, logging, "-cp", class_path(libraries)]

    def _format(self, config: Path, machine: java.Java, libraries: tuple[Path, ...], archive: list[str]) -> None:
        """Give the empty folder its cluster id; transactions of version 2 are the default of a new cluster."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        argv = [
            *self._java(machine, libraries, archive),
            "-XX:TieredStopAtLevel=1",
            "kafka.tools.StorageTool",
            "format",
        ]
        argv += [f"--cluster-id={cluster}", "--config", str(config)]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, env=_environment())
        if ran.returncode:
            raise NotReady(f"Kafka's folder {self.folder} could not be formatted: {ran.stdout}{ran.stderr}")
        # The tool leaves that to the kernel: a power cut in the first half minute would leave files that are empty.
        for path in (self.folder, *(self.folder / "data").rglob("*"), self.folder / "data"):
            _flush(path)

    def _refuse_taken_port(self) -> None:
        for port in filter(None, (self._ports.client, self._ports.controller, self._ports.ghost_listen)):
            if not ports.is_free(port):
                raise PortTaken(f"port {port} is taken by another program: stop it, or start Kafka with another port")

    def _forget(self) -> None:
        """The process is gone; its port may follow a little later."""
        self._child = None
        end = time.monotonic() + PORT_LIMIT_S
        while not ports.is_free(self.port) and time.monotonic() < end:
            time.sleep(children.STEP_S)


def class_path(libraries: tuple[Path, ...]) -> str:
    """Every jar by name: with a `*` the archive of classes would not be taken."""
    return os.pathsep.join(str(jar) for jar in libraries)


def tool_argv(main_class: str, *arguments: str) -> list[str]:
    """The command of one of Kafka's own tools."""
    flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [str(java.find().path), *flags, "-cp", class_path(jars.ensure()), main_class, *arguments]


def _flush(path: Path) -> None:
    """To the disk: a file, or a folder with the names that it holds."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _environment() -> dict[str, str]:
    """The locale matters: with a Turkish one Kafka's enum names are not found."""
    return {**os.environ, "LC_ALL": "C"}
