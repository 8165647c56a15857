"""The real host of deciders behind the proxy: what counts is what its readers see on the tape.

Its writer is the product's own, with something happening between the records of one chosen transaction and their end.
A host that ends itself is started again, as its supervisor would do.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.kernel.ids import DepositId
from domain.kernel.messages import Command, Issued
from domain.kernel.money import Money
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Outgoing
from infra.kafka.sender import Sender
from infra.kafka.writer import IDS_PER_PARTITION, Fenced, TapeWriter
from streams.deciders import Deciders, Owner
from streams.partition import Deciding
from streams.replay import MemoryAhead
from tests.faults.ghosts.proxy import GhostProxy
from tests.kit.deciding import Installation
from tests.kit.writers import Around

DECIDED_SECONDS_MAX = 20.0
"""Longest way of a command to its event: an unclear end, a take-over and perhaps a restart of the host lie on it."""
DECIDING = Deciding("accounts", accounts, (OpenAccount, DepositCash))


class Haunted(Around):
    """A real writer, with something happening between the records of one chosen transaction and its end."""

    def __init__(self, inner: TapeWriter) -> None:
        super().__init__(inner)
        self.turn = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def send(self, records: Sequence[Outgoing]) -> None:
        self.turn = (self.turn + 1) % IDS_PER_PARTITION
        await super().send(records)

    async def end(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        await super().end()


class Haunt:
    """One host of one partition behind the proxy, started again when it ended itself."""

    def __init__(self, installation: Installation, arm: str, proxy: GhostProxy) -> None:
        self.proxy = proxy
        self.sent: list[str] = []
        self.starts = 0
        self._installation = installation
        self._make = installation.writer(arm, proxy.bootstrap)
        self._writer: Haunted | None = None
        self._events = Reader(installation.bootstrap, "haunted-events")
        self._seen: set[str] = set()

    @property
    def writer(self) -> Haunted:
        assert self._writer is not None
        return self._writer

    @contextlib.asynccontextmanager
    async def kept_running(self) -> AsyncIterator[None]:
        await self._events.assign({(f"{self._installation.context}.events", 0): BEGINNING})
        self._commands = Sender(self._installation.bootstrap, "haunted-commands")
        stop = asyncio.Event()
        keeping = asyncio.create_task(self._keep(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(keeping, DECIDED_SECONDS_MAX)
            await self._events.close()
            await self._commands.close()

    async def decide(self, issued: Issued[Command]) -> None:
        """Send this command; returns when its event is on the tape."""
        self.sent.append(issued.command_id)
        value, headers = self._installation.codec.encode_command(issued), {"command-id": issued.command_id.encode()}
        await self._commands.send(f"{self._installation.context}.commands", b"a", value, headers)
        async with asyncio.timeout(DECIDED_SECONDS_MAX):
            while issued.command_id not in self._seen:
                for arrived in await self._events.take(100, 20):
                    self._seen.add(arrived.headers["command-id"].decode())

    async def _keep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.starts += 1
            with contextlib.suppress(Fenced, MemoryAhead):
                await self._reign(f"owner-{self.starts}", stop)

    async def _reign(self, name: str, stop: asyncio.Event) -> None:
        """The host from its start to its end."""
        made, bootstrap = self._installation, self._installation.bootstrap
        owner = Owner(made.deciding, 0, made.codec, wall, self._written)
        reader, sender = Reader(bootstrap, f"{name}-commands"), Sender(bootstrap, name)
        try:
            host = Deciders([owner], reader, DeadLetters(sender))
            await host.run(name, lambda title: Reader(bootstrap, title), stop)
        finally:
            await owner.close()
            await reader.close()
            await sender.close()

    def _written(self, topic: str, partition: int) -> TapeWriter:
        made = Haunted(self._make(topic, partition))
        if topic.endswith(".events"):
            self._writer = made
        return made


def deposit(name: str) -> Issued[Command]:
    command: Command = DepositCash(deposit_id=DepositId(name), amount=Money(100), at=wall(), actor="sub:x")
    return Issued(command=command, command_id=name, tenant="t", stream_id="a", causation_id="", correlation_id="")
