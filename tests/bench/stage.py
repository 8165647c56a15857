"""Servers and processes of one figure: a broker as the demo has it, a database, children whose CPU is counted."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import asyncpg
import msgspec
import psutil
import uvloop

import contexts
from deploy.local import children, ports
from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from deploy.local.process import AppProcess, answers
from domain.orders.decide import orders
from infra.avro.codec import Codec
from infra.catalogue import deciding
from infra.kafka.topics import TopicSpec, declare
from streams.partition import Deciding

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 60.0

T = TypeVar("T")


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured: the defaults are those of a published figure, smaller ones try the harness.

    What is not timed but counted grows with the seconds too, so that one number makes all of a run short.
    """

    rounds: int = 5
    seconds: int = 20
    rate: int = 1_000

    @property
    def commands(self) -> int:
        """Commands that one decider decides in a round."""
        return 5_000 * self.seconds

    @property
    def events(self) -> int:
        """Events for the agents and the read models in a round."""
        return 3_000 * self.seconds

    @property
    def replayed(self) -> int:
        """Events of the replay: a million in the end."""
        return 50_000 * self.seconds


class Stage:
    """Everything here is ended when the figure is done, each child by its process id."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.codec = Codec(contexts.messages())
        self.folder = Path()
        self._exits = ExitStack()
        self._kafka: LocalKafka | None = None
        self._postgres: LocalPostgres | None = None

    def __enter__(self) -> Self:
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="tapeline-bench-")))
        self.folder.chmod(0o755)  # The database's own user must find its folder.
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        self._exits.close()

    @property
    def kafka(self) -> LocalKafka:
        """The broker; started when first asked for."""
        if self._kafka is None:
            self._kafka = LocalKafka(self.folder / "kafka", profile=Profile.FULL).start()
            self._exits.callback(self._kafka.stop)
        return self._kafka

    @property
    def postgres(self) -> LocalPostgres:
        """The database server; started when first asked for."""
        if self._postgres is None:
            self._postgres = LocalPostgres(self.folder)
            self._postgres.start()
            self._exits.callback(self._postgres.discard)
        return self._postgres

    def fresh(self, name: str) -> str:
        """A name that no other round has."""
        return f"{name}_{uuid.uuid4().hex[:8]}"

    def context(self) -> Deciding:
        """The deciders of orders under another name, so that each round has topics of its own."""
        name = self.fresh("orders")
        self.declare(deciding(name))
        return Deciding(name, orders, next(each.commands for each in contexts.CONTEXTS if each.name == "orders"))

    def declare(self, specs: Sequence[TopicSpec] | Iterator[TopicSpec]) -> None:
        """Make these topics."""
        declare(self.kafka.bootstrap, specs)

    def database(self) -> str:
        """A new database's address."""
        name, server = self.fresh("bench"), self.postgres.dsn

        async def create() -> None:
            connection = await asyncpg.connect(server)
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

        asyncio.run(create())
        return urlsplit(server)._replace(path=f"/{name}").geturl()

    @contextlib.contextmanager
    def process(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator["Child"]:
        """A program of ours as a child of this process; it says on its output when it is ready."""
        child = Child(self.folder / f"{self.fresh(module)}.log", module, arguments, env or {})
        try:
            yield child
        finally:
            child.stop()

    @contextlib.contextmanager
    def main(self, name: str, env: Mapping[str, str], port: int) -> Iterator[int]:
        """`main.py run NAME`, ready; gives its process id."""
        app = AppProcess(
            name,
            (sys.executable, "main.py", "run", name),
            env=env,
            log=self.folder / f"{name}.log",
            is_ready=answers(port),
            cwd=ROOT,
        )
        app.launch()
        try:
            until = time.monotonic() + START_SECONDS_MAX
            while not app.is_ready():
                assert app.is_alive, children.tail(app.log)
                assert time.monotonic() < until, children.tail(app.log)
                time.sleep(0.05)
            assert app.pid is not None
            yield app.pid
        finally:
            app.stop()


class Child:
    """A child process that prints lines; its other words go to a log."""

    def __init__(self, log: Path, module: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._path = log

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self._path.read_text()[-3_000:]}"
        return line.strip()

    def cpu_s(self) -> float:
        """Seconds of processor that it has used so far."""
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        """End it: it ends when its input does, and else by its id."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._log.close()


def cpu_s(pid: int) -> float:
    """Seconds of processor, user and system, of a process and all its threads."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def port() -> int:
    """A free port."""
    return ports.one()


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """A coroutine on a loop of its own, the one that our processes have."""
    return uvloop.run(work())
