"""Topics -> a loop of ours: read_committed, in order, checked, with offsets committed after the work is acknowledged.

Sagas and effects share it. The note beside each committed offset is the link of the chain, so that a restart goes on
checking where it stopped. A partition of `*.events` whose chain is broken, or that holds a schema id that is not known
(readers are deployed first), stops there, is named and is passed over; the others go on.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from domain.kernel.messages import Recorded
from infra import telemetry
from infra.avro.codec import Codec, Undecodable
from infra.kafka.chain import ChainBroken, Link, follow, link_from
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.records import Arrived, Partition
from infra.settings import POLL_WAIT_MS

EVENTS = ".events"
log = telemetry.logger("following")


class Followed(msgspec.Struct, frozen=True):
    """An event that was checked, the record it came in, and the links before and after it."""

    arrived: Arrived
    recorded: Recorded[Any]
    before: Link
    link: Link

    @property
    def place(self) -> Partition:
        """Its partition."""
        return self.arrived.topic, self.arrived.partition


class _Stop(msgspec.Struct, frozen=True):
    """Where a partition stopped, and why."""

    offset: int
    why: str


class Follower:
    """Reads topics under the name of a group that nobody joins; the caller says when a batch is done."""

    def __init__(self, group: str, topics: Iterable[str], reader: Reader, groups: Groups, codec: Codec) -> None:
        self._group = group
        self._topics = tuple(topics)
        self._reader = reader
        self._groups = groups
        self._codec = codec
        self._links: dict[Partition, Link] = {}
        self._stopped: dict[Partition, _Stop] = {}

    async def start(self) -> None:
        """Go to the first record after the last committed one, or to the beginning."""
        begins = {
            (topic, number): at for topic in self._topics for number, at in (await self._reader.begins(topic)).items()
        }
        committed = await self._groups.committed(self._group, begins)
        starts = {place: max(begin, committed.get(place, (begin, ""))[0]) for place, begin in begins.items()}
        self._links = {place: link_from(committed.get(place, (0, ""))[1]) for place in begins if _is_events(place[0])}
        await self._reader.assign(starts)

    async def take(self, limit: int) -> list[Arrived]:
        """The next records of a feed, at most so many, in the order of each partition."""
        return await self._reader.take(limit, POLL_WAIT_MS)

    async def events(self, limit: int) -> list[Followed]:
        """The next events, each checked against the one before it; none of a partition that stopped."""
        found: list[Followed] = []
        for arrived in await self.take(limit):
            place = (arrived.topic, arrived.partition)
            if place in self._stopped:
                continue
            try:
                found.append(self._checked(place, arrived))
            except (ChainBroken, Undecodable) as broken:
                await self._stop(place, arrived.offset, str(broken))
        return found

    def trouble(self) -> str:
        """Which partitions stopped and why; empty when all go on."""
        return "; ".join(stop.why for stop in self._stopped.values())

    async def commit(self, done: dict[Partition, tuple[int, Link]] | None = None) -> None:
        """Everything before these offsets is done, each with the link before it; or everything that was taken."""
        if done is None:
            done = {place: (offset, self._links.get(place, Link())) for place, offset in self._positions().items()}
        offsets = {place: (at, link.token() if _is_events(place[0]) else "") for place, (at, link) in done.items()}
        await self._groups.commit(self._group, offsets)

    async def close(self) -> None:
        """Let the reader go."""
        await self._reader.close()

    async def measure_lag(self) -> int:
        """Records this reader is behind, summed; markers at the end do not count, since positions include them."""
        positions = self._positions()
        total = 0
        for topic in self._topics:
            try:
                ends = await self._reader.ends(topic)
            except ReadFailed as away:  # A measurement ends no process: the reader itself says when it cannot go on.
                log.warning("lag not measured", topic=topic, why=str(away))
                continue
            behind = sum(max(0, end - positions.get((topic, number), 0)) for number, end in ends.items())
            telemetry.LAG.labels(self._group, topic).set(behind)
            total += behind
        return total

    def _positions(self) -> dict[Partition, int]:
        return self._reader.position() | {place: stop.offset for place, stop in self._stopped.items()}

    def _checked(self, place: Partition, arrived: Arrived) -> Followed:
        before = self._links[place]
        try:
            recorded = self._codec.decode_event(arrived.value)
        except Undecodable as error:
            raise Undecodable(error.kind, f"{arrived} stops this partition: {error}; deploy readers first") from error
        self._links[place] = link = follow(before, recorded, arrived.value, place=arrived)
        return Followed(arrived, recorded, before, link)

    async def _stop(self, place: Partition, offset: int, why: str) -> None:
        self._stopped[place] = _Stop(offset, why)
        telemetry.CHAIN_BREAKS.labels(self._group).inc()
        log.critical("a partition stopped", reader=self._group, topic=place[0], partition=place[1], why=why)
        await self._reader.pause([place])


def _is_events(topic: str) -> bool:
    return topic.endswith(EVENTS)
