"""A small installation of the tape for tests: topics of its own names on the real broker, owners, commands, events."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from domain.kernel.messages import Command, Event, Issued, Recorded
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.guarded import GuardedWriter
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.sender import Sender
from infra.kafka.topics import TopicSpec, declare
from infra.kafka.writer import TapeWriter
from streams.deciders import Deciders, Owner
from streams.partition import Deciding

ARMS: dict[str, type[GuardedWriter] | type[Protocol2Writer]] = {"guarded": GuardedWriter, "own": Protocol2Writer}


class Installation:
    """One deciding context under a name of its own, so that tests do not meet."""

    def __init__(self, bootstrap: str, codec: Codec, deciding: Deciding, partitions: int = 1) -> None:
        self.bootstrap = bootstrap
        self.codec = codec
        self.partitions = partitions
        self.context = f"{deciding.context}-{uuid.uuid4().hex[:6]}"
        self.deciding = msgspec.structs.replace(deciding, context=self.context)
        specs = [
            TopicSpec(name=f"{self.context}.{kind}", partitions=partitions, cleanup=cleanup)  # type: ignore[arg-type]  # one of two words
            for kind, cleanup in (
                ("commands", "delete"),
                ("events", "delete"),
                ("commands.dead", "delete"),
                ("snapshots", "compact"),
            )
        ]
        declare(bootstrap, specs)

    def writer(self, arm: str, bootstrap: str | None = None) -> Any:
        """A maker of writers of one arm, perhaps through a proxy."""

        def make(topic: str, partition: int) -> TapeWriter:
            return ARMS[arm](bootstrap or self.bootstrap, topic, partition)

        return make

    @contextlib.asynccontextmanager
    async def running(
        self, arm: str = "own", name: str = "owner", via: str | None = None, writer: Any = None
    ) -> AsyncIterator[Deciders]:
        """Deciders at work, stopped in order at the end."""
        owners = [
            Owner(self.deciding, number, self.codec, wall, writer or self.writer(arm, via))
            for number in range(self.partitions)
        ]
        reader, sender = Reader(self.bootstrap, f"{name}-commands"), Sender(self.bootstrap, name)
        deciders = Deciders(owners, reader, DeadLetters(sender))
        stop = asyncio.Event()
        task = asyncio.create_task(deciders.run(name, lambda title: Reader(self.bootstrap, title), stop))
        try:
            yield deciders
            stop.set()
            await asyncio.wait_for(task, 20)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for owner in owners:
                await owner.close()
            await reader.close()
            await sender.close()

    async def command(self, issued: Iterable[Issued[Command]]) -> None:
        """Send these commands, in order."""
        sender = Sender(self.bootstrap, "commands")
        for each in issued:
            headers = {"command-id": each.command_id.encode()}
            value = self.codec.encode_command(each)
            await sender.send(f"{self.context}.commands", each.stream_id.encode(), value, headers)
        await sender.close()

    async def raw(self, value: bytes, key: bytes = b"a", partition: int | None = None) -> None:
        """Send bytes that are no command."""
        sender = Sender(self.bootstrap, "raw")
        await sender.send(f"{self.context}.commands", key, value, {}, partition)
        await sender.close()

    async def events(self, at_least: int, timeout_s: float = 20.0) -> list[Recorded[Event]]:
        """All events but those of owners, once there are so many; each partition's chain is checked by the caller."""
        found: list[Recorded[Event]] = []
        async for _, recorded in self._read("events", timeout_s):
            if not recorded.stream_id.startswith("owner/"):
                found.append(recorded)
            if len(found) >= at_least:
                break
        return found

    async def everything(self) -> list[tuple[bytes, Recorded[Event]]]:
        """Every record of the events topic with its bytes, partition by partition in order."""
        return [pair async for pair in self._read("events", 20.0, to_end=True)]

    async def dead(self, at_least: int) -> list[dict[str, bytes]]:
        """Headers of the dead letters, once there are so many."""
        topic = f"{self.context}.commands.dead"
        reader = Reader(self.bootstrap, "dead")
        await reader.assign({(topic, number): BEGINNING for number in range(self.partitions)})
        found: list[dict[str, bytes]] = []
        try:
            async with asyncio.timeout(20):
                while len(found) < at_least:
                    found += [arrived.headers for arrived in await reader.take(100, 100)]
        finally:
            await reader.close()
        return found

    async def _read(
        self, kind: str, timeout_s: float, *, to_end: bool = False
    ) -> AsyncIterator[tuple[bytes, Recorded[Event]]]:
        topic = f"{self.context}.{kind}"
        reader = Reader(self.bootstrap, "events")
        ends = await reader.ends(topic)
        await reader.assign({(topic, number): BEGINNING for number in range(self.partitions)})
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for arrived in await reader.take(1_000, 100):
                        yield arrived.value, self.codec.decode_event(arrived.value)
                    position = reader.position()
                    if to_end and all(position.get((topic, number), 0) >= end for number, end in ends.items()):
                        return
        finally:
            await reader.close()
