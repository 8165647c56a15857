"""A reader over a tape in memory: it takes records as `Reader` does, with the gaps that transaction markers leave."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from infra.kafka.records import Arrived, Partition
from tests.kit.tape import OFFSETS_PER_RECORD


class MemoryReader:
    """One reader of these records."""

    def __init__(self, arrived: Iterable[Arrived], partitions: int = 4) -> None:
        self._partitions = partitions
        self._records: dict[Partition, list[Arrived]] = defaultdict(list)
        self._positions: dict[Partition, int] = {}
        for each in arrived:
            self._records[each.topic, each.partition].append(each)

    async def begins(self, topic: str) -> dict[int, int]:
        """Nothing was ever dropped."""
        return dict.fromkeys(range(self._partitions), 0)

    async def ends(self, topic: str) -> dict[int, int]:
        """Past the marker of the last transaction."""
        return {number: len(self._records[topic, number]) * OFFSETS_PER_RECORD for number in range(self._partitions)}

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        """Begin there."""
        self._positions = dict(starts)

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        """The next records, partition after partition."""
        taken: list[Arrived] = []
        for place, position in self._positions.items():
            here = [each for each in self._records[place] if each.offset >= position][: limit - len(taken)]
            taken += here
            if here:
                self._positions[place] = here[-1].offset + OFFSETS_PER_RECORD
        return taken

    def position(self) -> dict[Partition, int]:
        """Where it goes on."""
        return dict(self._positions)
