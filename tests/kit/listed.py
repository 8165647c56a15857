"""The reading port over a tape in memory: what `infra.kafka.reader.Reader` does, for hosts that take their source."""

from collections.abc import Mapping

from infra.kafka.records import Arrived, Partition
from tests.kit.tape import OFFSETS_PER_RECORD, Tape


class ListedReader:
    """Reads a tape that may grow meanwhile."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._positions: dict[Partition, int] = {}
        self._seen = 0

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        self._positions = {place: max(0, offset) for place, offset in starts.items()}
        self._seen = 0

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        """The next records that are there; the position at an end is past the marker, as a broker's is."""
        taken: list[Arrived] = []
        for record in self._tape.arrived[self._seen :]:
            if len(taken) == limit:
                break
            self._seen += 1
            place = (record.topic, record.partition)
            if record.offset >= self._positions.get(place, record.offset + 1):
                taken.append(record)
                self._positions[place] = record.offset + OFFSETS_PER_RECORD
        return taken

    async def ends(self, topic: str) -> dict[int, int]:
        ends = dict.fromkeys(range(self._tape.partitions), 0)
        for record in self._tape.arrived:
            if record.topic == topic:
                ends[record.partition] = record.offset + OFFSETS_PER_RECORD
        return ends

    def position(self) -> dict[Partition, int]:
        return dict(self._positions)
