"""What the tests of sagas and effects share: records on the real broker, effects at work, and a life that ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from domain.kernel.ids import Micros
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.groups import Groups
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived, Outgoing, Partition
from infra.kafka.sender import Sender
from infra.settings import Settings
from streams.effects import Effect, Tools

PATIENCE_S = 30.0
"""Longest wait for what should happen at once; two cores may be busy."""


class Killed(Exception):
    """What stands for a power cut."""


class Life:
    """Ends at a point that the test names. From then on nothing that is tried has any effect, as after kill -9."""

    def __init__(self, ends_at: str = "", after: int = 1) -> None:
        self.is_over = False
        self._ends_at = ends_at
        self._left = after

    def at(self, point: str) -> None:
        """The life has come to this point. Raises Killed."""
        if point == self._ends_at:
            self._left -= 1
        if self.is_over or (point == self._ends_at and self._left <= 0):
            self.is_over = True
            raise Killed(point)


class MortalSender(Sender):
    """Points `send`, before a record goes out, and `sent`, when it is acknowledged and nobody has been told."""

    def __init__(self, bootstrap: str, life: Life) -> None:
        super().__init__(bootstrap, "mortal")
        self._life = life

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> int:
        self._life.at("send")
        offset = await super().send(topic, key, value, headers, partition)
        self._life.at("sent")
        return offset

    async def send_all(self, topic: str, records: Sequence[Outgoing], partition: int | None = None) -> list[int]:
        """Records that are sent together are one sending."""
        self._life.at("send")
        offsets = await super().send_all(topic, records, partition)
        self._life.at("sent")
        return offsets


class MortalGroups(Groups):
    """Point `commit`, before a place is remembered."""

    def __init__(self, bootstrap: str, life: Life) -> None:
        super().__init__(bootstrap)
        self._life = life

    async def commit(self, group: str, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        self._life.at("commit")
        await super().commit(group, offsets)


class MortalReader(Reader):
    """Point `taken`, when records were read and nobody has looked at them."""

    def __init__(self, bootstrap: str, name: str, life: Life) -> None:
        super().__init__(bootstrap, name)
        self._life = life

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        found = await super().take(limit, wait_ms)
        if found:
            self._life.at("taken")
        return found


class Broker:
    """Small verbs on the real broker."""

    def __init__(self, bootstrap: str, codec: Codec) -> None:
        self.bootstrap = bootstrap
        self.codec = codec

    async def write(self, topic: str, records: Iterable[Arrived]) -> None:
        """Records as another tape had them, each into its own partition, in order."""
        sender = Sender(self.bootstrap, "write")
        for each in records:
            await sender.send(topic, each.key, each.value, each.headers, each.partition)
        await sender.close()

    async def read(
        self, topic: str, enough: Callable[[list[Arrived]], bool] | int, partitions: Sequence[int] = (0, 1, 2, 3)
    ) -> list[Arrived]:
        """Everything on a topic, once it is enough."""
        reader = Reader(self.bootstrap, "read")
        await reader.assign({(topic, number): BEGINNING for number in partitions})
        found: list[Arrived] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (len(found) >= enough if isinstance(enough, int) else enough(found)):
                    found += await reader.take(1_000, 100)
        finally:
            await reader.close()
        return found

    async def all_of(self, topic: str) -> list[Arrived]:
        """Everything that is on a topic now."""
        reader = Reader(self.bootstrap, "all-of")
        try:
            ends = await reader.ends(topic)
            await reader.assign({(topic, number): BEGINNING for number in ends})
            found: list[Arrived] = []
            while any(reader.position().get((topic, number), 0) < end for number, end in ends.items()):
                found += await reader.take(1_000, 100)
        finally:
            await reader.close()
        return found

    @contextlib.asynccontextmanager
    async def tools(
        self, settings: Settings, life: Life | None = None, clock: Callable[[], Micros] = wall
    ) -> AsyncIterator[Tools]:
        """The tools of an effect, or of a saga's host, that may die."""
        life = life or Life()
        sender, groups = MortalSender(self.bootstrap, life), MortalGroups(self.bootstrap, life)
        readers: list[Reader] = []

        def reader(name: str) -> Reader:
            readers.append(MortalReader(self.bootstrap, name, life))
            return readers[-1]

        try:
            yield Tools(settings, self.codec, clock, sender, groups, DeadLetters(sender), reader)
        finally:
            await sender.close()
            await groups.close()
            for each in readers:
                with contextlib.suppress(RuntimeError):  # The effect has closed it.
                    await each.close()


@contextlib.asynccontextmanager
async def at_work(effect: Effect, tools: Tools) -> AsyncIterator["asyncio.Future[None]"]:
    """The effect, ready; stopped in order at the end, unless it has died before."""
    stop, is_ready = asyncio.Event(), asyncio.Event()
    task = asyncio.ensure_future(effect.run(tools, stop, is_ready))
    ready = asyncio.create_task(is_ready.wait())
    try:
        await asyncio.wait({task, ready}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield task
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)
    finally:
        ready.cancel()
        task.cancel()
        await asyncio.gather(task, ready, return_exceptions=True)


async def dies(task: "asyncio.Future[None]", life: Life) -> None:
    """Return when the effect has come to its point and is gone."""
    await asyncio.wait({task}, timeout=PATIENCE_S)
    assert life.is_over, "the point was never reached"
    assert task.done(), "it lives on"
    assert task.exception() is not None
