"""Records of the tape -> one generation of a read model: rows and positions change together, in one transaction.

While PostgreSQL writes a batch, the next one is folded: `take` returns when the batch before is committed, `settle`
when all are. A batch counts only if the generation stands where the fold of it began; else nothing of it is written.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.kernel.messages import Recorded
from infra.kafka import chain
from infra.kafka.chain import ChainBroken, Link
from infra.kafka.records import Partition
from infra.postgres import Database
from projections import generations
from projections.generations import Generation, Position, PositionMoved
from projections.read_model import OnTape, ReadModel
from projections.stored_table import Changes, StoredTable


class Advanced(msgspec.Struct, frozen=True):
    """What is new among some records, the positions after it, and the breaks past which nothing was taken."""

    records: list[OnTape]
    positions: dict[Partition, Position]
    breaks: dict[Partition, ChainBroken]


class Projection:
    """Takes records of the tape in order; what it has is skipped, what does not follow stops its partition."""

    def __init__(self, db: Database, model: ReadModel, generation: Generation) -> None:
        self.model = model
        self.generation = generation
        self.positions: dict[Partition, Position] = {}
        """Where the database is."""
        self.ahead: dict[Partition, Position] = {}
        """Where it will be when everything that was taken is committed."""
        self.stopped: dict[Partition, str] = {}
        self._stopping: dict[Partition, str] = {}
        self._breaks: list[ChainBroken] = []
        self._db = db
        self._tables = [StoredTable(generation.schema, table) for table in model.tables]
        self._under_way: asyncio.Task[None] | None = None
        self._taken: Sequence[OnTape] = ()

    async def look(self) -> None:
        """Read the positions from the database: what was folded on top of them may never have been written."""
        with contextlib.suppress(Exception):  # Whoever took it was told.
            await self.settle()
        self._under_way = None
        self.positions = await generations.positions(self._db, self.generation)
        self.ahead, self._stopping = dict(self.positions), dict(self.stopped)
        for table in self._tables:
            table.forget()
        if not self.positions:
            raise PositionMoved(f"{self.generation.schema} is no longer there")

    async def recover(self) -> None:
        """Look, and write what was taken last unless it is there: nobody knows what became of its commit.

        Raises what `settle` raises; then it is to be called again.
        """
        taken = self._taken
        await self.look()
        await self.take(taken)
        await self.settle()

    async def take(self, records: Sequence[OnTape]) -> None:
        """Fold what is new of these records and begin to write it; whatever was taken before is committed then.

        Raises what `settle` raises.
        """
        advanced = advance(self.ahead, self._stopping, records)
        changes = [await table.changes(self._db, advanced.records) for table in self._tables]
        await self.settle()
        self._taken = records
        self.ahead = self.ahead | advanced.positions
        self._stopping |= {place: str(broken) for place, broken in advanced.breaks.items()}
        self._under_way = asyncio.create_task(self._write(advanced, changes))

    async def settle(self) -> None:
        """Wait until everything that was taken is committed.

        Raises DatabaseDown, after which the fate of what was taken last is unknown, or PositionMoved.
        """
        if self._under_way is not None:
            await self._under_way
            self._under_way, self._taken = None, ()

    async def drop(self) -> None:
        """End what is under way, whatever becomes of it: the process ends."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    def new_breaks(self) -> list[ChainBroken]:
        """The breaks that stopped a partition since this was asked last."""
        breaks, self._breaks = self._breaks, []
        return breaks

    async def _write(self, advanced: Advanced, changes: Sequence[Changes]) -> None:
        if advanced.records:
            async with self._db.transaction() as session:
                await generations.move(session, self.generation, self.positions, list(advanced.positions.values()))
                for each in changes:
                    await each.write(session)
        self.positions = self.positions | advanced.positions
        self.stopped |= {place: str(broken) for place, broken in advanced.breaks.items()}
        self._breaks += advanced.breaks.values()


class _Reached(msgspec.Struct):
    next_offset: int
    link: Link


def advance(
    positions: Mapping[Partition, Position], stopped: Collection[Partition], records: Sequence[OnTape]
) -> Advanced:
    """Which of the records are new, the positions after them, and where the chain broke: nothing past that is taken."""
    new: list[OnTape] = []
    breaks: dict[Partition, ChainBroken] = {}
    reached = {place: _Reached(at.next_offset, at.link) for place, at in positions.items()}
    going = {place: at for place, at in reached.items() if place not in stopped}
    for record in records:
        place = (record.topic, record.partition)
        at = going.get(place)
        if at is None or record.offset < at.next_offset:
            continue
        try:
            at.link = _follow(at.link, record)
        except ChainBroken as broken:
            breaks[place] = broken
            del going[place]
        else:
            at.next_offset = record.offset + 1
            new.append(record)
    return Advanced(new, _moved(positions, reached), breaks)


def _follow(link: Link, record: OnTape) -> Link:
    if isinstance(record.message, Recorded):
        return chain.follow(link, record.message, record.value, place=record)
    return Link(record.sequence, link.hash, link.term)  # A feed has no chain; its fold guards itself.


def _moved(positions: Mapping[Partition, Position], reached: Mapping[Partition, _Reached]) -> dict[Partition, Position]:
    return {
        place: Position(
            topic=place[0],
            partition=place[1],
            next_offset=at.next_offset,
            sequence=at.link.sequence,
            hash=at.link.hash,
            term=at.link.term,
        )
        for place, at in reached.items()
        if at.next_offset != positions[place].next_offset
    }
