"""The whole local stack as its users get it, every process real, and the verbs that hurt it.

The supervisor is driven from the test's own thread: processes are children of the thread that started them. What is
`held` is not started again while it is held, so that a test can look at the time in between.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from deploy.local import addresses, supervisor
from deploy.local.addresses import Addresses
from deploy.local.kafka import Profile
from deploy.local.postgres import LocalPostgres
from deploy.local.stack import Stack
from infra.avro.codec import Codec
from tests.kit import trading
from tests.kit.books import Judge

READY_AGAIN_SECONDS = 60.0
"""Longest way back of everything after a fault: the broker's recovery, then each process by its own."""


class Knocked(NamedTuple):
    """One command that asked whether a partition decides, and what its sender knows of it."""

    partition: int
    command: str
    asked_ns: int
    told_ns: int
    """When its decision was known, by the monotonic clock; 0 when it never was."""


class Doors(Protocol):
    """Clients of a run that a fault may ask for traffic: what it breaks then meets something under way."""

    async def knock(self) -> list[Knocked]:
        """One command to each partition of the orders; returns when all outcomes are known."""
        ...

    async def order(self) -> None:
        """One order to the venue; returns when it is decided."""
        ...


class WholeStack:
    """A stack under a name of its own, and what stands around it."""

    def __init__(self, stack: Stack, addresses: Addresses, codec: Codec, said: list[str]) -> None:
        self.stack = stack
        self.addresses = addresses
        self.judge = Judge(addresses.kafka, addresses.venue_url, addresses.postgres, codec)
        self.said = said
        self.held: set[str] = set()
        self.killed: list[tuple[str, int]] = []
        self.doors: Doors | None = None
        self._histories = 0

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator["WholeStack"]:
        """What dies is started again for as long as this lasts; everything is ready at its beginning."""
        looking = asyncio.create_task(self._look())
        try:
            await self.until_ready()
            yield self
            if looking.done():
                looking.result()  # The supervisor gave up: its message says on whom.
        finally:
            self.held.clear()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def market(self) -> AsyncIterator[trading.Market]:
        """Customers of this stack; their history stays beside the logs."""
        self._histories += 1
        path = self.stack.state_dir / f"history-{self._histories}.jsonl"
        async with trading.market(self.addresses.gateway_url, self.stack.state_dir, path) as made:
            yield made

    def pid(self, name: str) -> int | None:
        """The process of this name, while it runs."""
        return getattr(self._kept(name).service, "pid", None)

    def kill(self, name: str) -> int:
        """kill -9, and the id that is no more."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        self.killed.append((name, pid))
        return pid

    def is_ready(self, name: str) -> bool:
        """Whether it runs and has said that it does its work."""
        kept = self._kept(name)
        return kept.service.is_alive and kept._starting_since is None and kept._due is None

    async def until_ready(self, *names: str, within_s: float = READY_AGAIN_SECONDS) -> None:
        """Return when these, or all, do their work and answer their probes."""
        names = names or tuple(self.names())
        until = time.monotonic() + within_s
        while waiting := [name for name in names if not (self.is_ready(name) and self._kept(name).service.is_ready())]:
            assert time.monotonic() < until, f"not ready after {within_s:.0f} s: {waiting}; {self.said[-20:]}"
            await asyncio.sleep(0.1)

    def forgive(self) -> None:
        """Take back what the supervisor counted: deaths that a run brought about are no fault of the process."""
        for kept in self.stack.supervisor._kept:
            kept._restarts.clear()

    def names(self) -> list[str]:
        """Everything that is supervised, servers first."""
        return [kept.service.name for kept in self.stack.supervisor._kept]

    async def until_started_again(self, name: str, dead: int) -> None:
        """Return when another process of this name does the work."""
        until = time.monotonic() + READY_AGAIN_SECONDS
        while self.pid(name) in {None, dead} or not self.is_ready(name):
            assert time.monotonic() < until, f"{name} did not come back: {self.said[-20:]}"
            await asyncio.sleep(0.05)

    def log(self, name: str) -> str:
        """What a process had to say."""
        return (self.stack.logs / f"{name}.log").read_text(errors="replace")

    async def _look(self) -> None:
        while True:
            for kept in self.stack.supervisor._kept:
                if kept.service.name not in self.held:
                    kept.look(self.said.append)
            await asyncio.sleep(supervisor.LOOK_EVERY_S)

    def _kept(self, name: str) -> supervisor._Kept:
        (kept,) = [each for each in self.stack.supervisor._kept if each.service.name == name]
        return kept


@contextlib.contextmanager
def started(codec: Codec, is_failed: Callable[[], bool]) -> Iterator[WholeStack]:
    """A stack with the market running; its folder is removed at the end unless something failed."""
    said: list[str] = []
    stack = Stack(name=f"tests-{os.getpid()}", profile=Profile.TEST, say=said.append)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # The port that people type is wanted by every new stack; one that starts beside us would take it first.
            patch.setattr(addresses, "GATEWAY_PORT", None)
            chosen = stack.start()
        yield WholeStack(stack, chosen, codec, said)
    finally:
        stack.stop()
        (stack.logs / "supervisor.log").write_text("\n".join(said) + "\n")
        if not is_failed():
            discard(stack.state_dir)


def discard(state_dir: Path) -> None:
    """Forget all that a stack recorded."""
    LocalPostgres(state_dir).discard()
    shutil.rmtree(state_dir, ignore_errors=True)
