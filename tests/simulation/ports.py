"""In place of librdkafka: reader, sender and groups over the simulated network, with the promises of the real ones.

A reader sees committed records in the order of each partition and mixes partitions as the seed draws. A sender keeps
its order within a partition; a record that it gives up may be there all the same, sooner or later.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from infra.kafka.groups import Groups
from infra.kafka.reader import BEGINNING, END, LOOKUP_SECONDS_MAX, Reader, ReadFailed
from infra.kafka.records import Arrived, Outgoing, Partition
from infra.kafka.sender import Sender, SendFailed, murmur2_partition
from infra.settings import SEND_TIMEOUT_MS
from tests.simulation.network import US_PER_MS, Network
from tests.simulation.tape import PartitionLog

LOOKUP_S = 0.001
"""A question for offsets takes the same time whatever is asked, in whatever order: sets of topics have none."""
AGAIN_S = 0.1
"""Between two questions to brokers that are away."""


class SimulatedReader(Reader):
    """Reads what is committed."""

    def __init__(self, network: Network, name: str = "reader") -> None:
        self._network = network
        self._tape = network.tape
        self._name = name
        self._at: dict[Partition, int] = {}
        self._told: dict[Partition, int] = {}
        self._paused: set[Partition] = set()

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        fetch = _Fetch(self._network, self._unpaused(), limit, wait_ms)
        found, positions = await fetch.answer
        for place, position in positions.items():
            if place in self._at:
                self._at[place] = self._told[place] = position
        return found

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        await asyncio.sleep(LOOKUP_S)
        self._told.clear()
        self._paused.clear()
        self._at = {place: self._resolved(place, offset) for place, offset in starts.items()}

    async def seek(self, partition: Partition, offset: int) -> None:
        await asyncio.sleep(LOOKUP_S)
        self._told.pop(partition, None)
        self._at[partition] = self._resolved(partition, offset)

    async def pause(self, partitions: Collection[Partition]) -> None:
        self._paused |= set(partitions)

    async def resume(self, partitions: Collection[Partition]) -> None:
        self._paused -= set(partitions)

    def position(self) -> dict[Partition, int]:
        return dict(self._told)

    async def ends(self, topic: str, *, read_committed: bool = True) -> dict[int, int]:
        logs = await self._logs(topic)
        return {number: log.stable if read_committed else len(log.slots) for number, log in logs.items()}

    async def begins(self, topic: str) -> dict[int, int]:
        return dict.fromkeys(await self._logs(topic), 0)

    async def close(self) -> None:
        self._at.clear()

    async def _logs(self, topic: str) -> dict[int, PartitionLog]:
        await asyncio.sleep(LOOKUP_S)
        for _ in range(round(LOOKUP_SECONDS_MAX / AGAIN_S)):
            if not self._network.is_away:
                return {number: self._tape.logs[topic, number] for number in range(self._tape.partitions[topic])}
            await asyncio.sleep(AGAIN_S)
        raise ReadFailed(f"{topic}: its offsets were not told: the brokers are away")

    def _resolved(self, place: Partition, offset: int) -> int:
        return {BEGINNING: 0, END: self._tape.logs[place].stable}.get(offset, offset)

    def _unpaused(self) -> dict[Partition, int]:
        return {place: at for place, at in self._at.items() if place not in self._paused}


class _Fetch:
    """One long poll: answered with the first records, or with nothing when its time is over."""

    def __init__(self, network: Network, at: dict[Partition, int], limit: int, wait_ms: int) -> None:
        self._network = network
        self._at = at
        self._limit = limit
        self.answer: asyncio.Future[tuple[list[Arrived], dict[Partition, int]]] = network.loop.create_future()
        self._wake = self._woken
        self._until_us = network.loop.now_us + wait_ms * US_PER_MS
        self._is_looking, self._is_timed = True, False
        network.later(network.delay_us(), self._look)

    def _look(self) -> None:
        if self.answer.done():
            return
        self._is_looking = False
        found, positions = ([], {}) if self._network.is_away else self._found()
        logs = self._network.tape.logs
        wait_us = self._until_us - self._network.loop.now_us
        if found or wait_us <= 0:
            for place in self._at:
                logs[place].waiting.pop(self._wake, None)
            self.answer.set_result((found, positions))
            return
        for place in self._at:
            logs[place].waiting[self._wake] = None
        if not self._is_timed:
            self._is_timed = True
            self._network.later(wait_us, self._look)

    def _woken(self) -> None:
        """Something new is there: one look is enough for all that comes until then."""
        if not self._is_looking and not self.answer.done():
            self._is_looking = True
            self._network.later(self._network.delay_us(), self._look)

    def _found(self) -> tuple[list[Arrived], dict[Partition, int]]:
        found: list[Arrived] = []
        positions: dict[Partition, int] = {}
        logs = self._network.tape.logs
        places = [place for place, at in self._at.items() if at < logs[place].stable]
        if len(places) > 1:
            self._network.random.shuffle(places)
        for place in places:
            left = self._limit - len(found)
            if left <= 0:
                break
            records, positions[place] = logs[place].visible(self._at[place], left)
            found += records
        return found, positions


class SimulatedSender(Sender):
    """Writes plain records."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._arrives_us = 0

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> int:
        network, manners = self._network, self._network.manners
        number = murmur2_partition(key, network.tape.partitions[topic]) if partition is None else partition
        record = Outgoing(key, value, dict(headers or {}))
        answer: asyncio.Future[int] = network.loop.create_future()
        self._arrives_us = max(self._arrives_us, network.loop.now_us + network.delay_us())
        wait_us = self._arrives_us - network.loop.now_us

        def arrive() -> None:
            if network.is_away:
                network.later(SEND_TIMEOUT_MS * US_PER_MS, lambda: _fail(answer, topic))
                network.later(network.away_until_us - network.loop.now_us + network.delay_us(), arrive)
                return
            offset = network.tape.append((topic, number), record)
            if not answer.done():
                answer.set_result(offset)

        if network.happens(manners.unsent):
            network.later(SEND_TIMEOUT_MS * US_PER_MS, lambda: _fail(answer, topic))
        elif network.happens(manners.unsure):
            network.later(wait_us + network.random.randrange(2 * SEND_TIMEOUT_MS * US_PER_MS), arrive)
            network.later(network.random.randrange(SEND_TIMEOUT_MS * US_PER_MS), lambda: _fail(answer, topic))
        else:
            network.later(wait_us, arrive)
        return await answer

    async def send_all(self, topic: str, records: Sequence[Outgoing], partition: int | None = None) -> list[int]:
        return list(
            await asyncio.gather(*(self.send(topic, each.key, each.value, each.headers, partition) for each in records))
        )

    async def close(self) -> None:
        await asyncio.sleep(0)


def _fail(answer: "asyncio.Future[int]", topic: str) -> None:
    if not answer.done():
        answer.set_exception(SendFailed(f"{topic}: not acknowledged in time", outcome_unknown=True))


class SimulatedGroups(Groups):
    """Offsets of groups, kept by the brokers."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
        await self._away()
        kept = self._network.tape.offsets[group]
        return {place: kept[place] for place in partitions if place in kept}

    async def commit(self, group: str, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        await self._away()
        self._network.tape.offsets[group].update(offsets)

    async def close(self) -> None:
        await asyncio.sleep(0)

    async def _away(self) -> None:
        await asyncio.sleep(self._network.delay_us() / 1_000_000)
        while self._network.is_away:
            await asyncio.sleep(AGAIN_S)
