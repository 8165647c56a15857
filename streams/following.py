"""Topics -> a loop of ours: read_committed, in order, checked, with offsets committed after the work is acknowledged.

Sagas and effects share it. The note beside each committed offset is the link of the chain, so that a restart goes on
checking where it stopped. A schema id of `*.events` that is not known stops the reader: readers are deployed first.
"""

from collections.abc import Iterable

from domain.kernel.messages import Event, Recorded
from infra import telemetry
from infra.avro.codec import Codec, Undecodable
from infra.kafka.chain import ChainBroken, Link, follow, link_from
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.records import Arrived, Partition
from infra.settings import POLL_WAIT_MS

EVENTS = ".events"
log = telemetry.logger("following")


class Follower:
    """Reads topics under the name of a group that nobody joins; the caller says when a batch is done."""

    def __init__(self, group: str, topics: Iterable[str], reader: Reader, groups: Groups, codec: Codec) -> None:
        self._group = group
        self._topics = tuple(topics)
        self._reader = reader
        self._groups = groups
        self._codec = codec
        self._links: dict[Partition, Link] = {}
        self._lag: dict[str, int] = dict.fromkeys(self._topics, -1)

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
        """The next records, at most so many, in the order of each partition."""
        return await self._reader.take(limit, POLL_WAIT_MS)

    def event(self, arrived: Arrived) -> Recorded[Event]:
        """The event in a record, checked against the one before it; raises ChainBroken and Undecodable, both fatal."""
        place = (arrived.topic, arrived.partition)
        where = f"{arrived.topic}[{arrived.partition}]@{arrived.offset}"
        try:
            recorded = self._codec.decode_event(arrived.value)
            self._links[place] = follow(self._links[place], recorded, arrived.value, place=where)
        except Undecodable as error:
            raise Undecodable(error.kind, f"{where} stops this reader: {error}; deploy readers first") from error
        except ChainBroken:
            telemetry.CHAIN_BREAKS.labels(self._group).inc()
            raise
        return recorded

    def link(self, place: Partition) -> Link:
        """The link after the last event of a partition that was looked at."""
        return self._links.get(place, Link())

    async def commit(self, done: dict[Partition, tuple[int, Link]] | None = None) -> None:
        """Everything before these offsets is done, each with the link before it; or everything that was taken."""
        if done is None:
            done = {place: (offset, self.link(place)) for place, offset in self._reader.position().items()}
        offsets = {place: (at, link.token() if _is_events(place[0]) else "") for place, (at, link) in done.items()}
        await self._groups.commit(self._group, offsets)

    async def close(self) -> None:
        """Let the reader go."""
        await self._reader.close()

    async def measure_lag(self) -> int:
        """Records this reader is behind, summed; markers at the end do not count, since positions include them."""
        positions = self._reader.position()
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


def _is_events(topic: str) -> bool:
    return topic.endswith(EVENTS)
