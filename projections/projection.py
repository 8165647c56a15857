"""Records of the tape -> one generation of a read model: rows and positions change together, in one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.kernel.messages import Recorded
from infra.kafka import chain
from infra.kafka.chain import ChainBroken
from infra.kafka.records import Partition
from infra.postgres import Database, Session
from projections import generations, read_model
from projections.generations import Generation, Position, PositionMoved
from projections.read_model import Appended, Folded, Key, OnTape, ReadModel, Row


class Projection:
    """Takes records of the tape in order; what it has is skipped, what does not follow stops its partition."""

    def __init__(self, db: Database, model: ReadModel, generation: Generation) -> None:
        self.model = model
        self.generation = generation
        self.positions: dict[Partition, Position] = {}
        self.stopped: dict[Partition, str] = {}
        self._db = db

    async def look(self) -> None:
        """Read the positions from the database: after a start, or when a commit's fate is unknown."""
        self.positions = await generations.positions(self._db, self.generation)
        if not self.positions:
            raise PositionMoved(f"{self.generation.schema} is no longer there")

    async def apply(self, records: Sequence[OnTape]) -> list[ChainBroken]:
        """Take what is new of these records; returns the breaks that stopped a partition.

        Raises DatabaseDown, after which the fate of the batch is unknown, or PositionMoved.
        """
        new, after, breaks = advance(self.positions, self.stopped, records)
        if new:
            async with self._db.transaction() as session:
                await generations.move(session, self.generation, self.positions, list(after.values()))
                for table in self.model.tables:
                    await _write(session, self.generation.schema, table, new)
            self.positions |= after
        for place, broken in breaks.items():
            self.stopped[place] = str(broken)
        return list(breaks.values())


def advance(
    positions: dict[Partition, Position], stopped: dict[Partition, str], records: Sequence[OnTape]
) -> tuple[list[OnTape], dict[Partition, Position], dict[Partition, ChainBroken]]:
    """Which of the records are new, the positions after them, and where the chain broke: nothing past that is taken."""
    new: list[OnTape] = []
    after: dict[Partition, Position] = {}
    breaks: dict[Partition, ChainBroken] = {}
    for record in records:
        place = (record.topic, record.partition)
        position = after.get(place) or positions.get(place)
        if position is None or place in stopped or place in breaks or record.offset < position.next_offset:
            continue
        try:
            after[place] = _step(position, record)
        except ChainBroken as broken:
            breaks[place] = broken
        else:
            new.append(record)
    return new, after, breaks


def _step(position: Position, record: OnTape) -> Position:
    link = position.link
    if isinstance(record.message, Recorded):
        where = f"{record.topic}[{record.partition}] offset {record.offset}"
        link = chain.follow(link, record.message, record.value, place=where)
    else:
        link = chain.Link(record.sequence, link.hash, link.term)  # A feed has no chain; its fold guards itself.
    return msgspec.structs.replace(
        position, next_offset=record.offset + 1, sequence=link.sequence, hash=link.hash, term=link.term
    )


async def _write(session: Session, schema: str, table: Folded[Any] | Appended[Any], records: Sequence[OnTape]) -> None:
    names = read_model.columns(table)
    if isinstance(table, Appended):
        added = read_model.append_batch(table, records)
        if added:
            await session.copy(table.name, names, map(msgspec.structs.astuple, added), schema=schema)
        return
    touched = read_model.touches(table, records)
    if not touched:
        return
    rows = await load(session, schema, table, {key for key, _, _ in touched})
    changed = read_model.fold_touches(table, rows, touched)
    if changed:
        await _merge(session, schema, table, list(changed.values()))


async def load(session: Session, schema: str, table: Folded[Any], keys: set[Key]) -> dict[Key, Row]:
    """The rows of these keys as they are."""
    key = ", ".join(table.key)
    arrays = ", ".join(f"${number}::text[]" for number in range(1, len(table.key) + 1))
    sql = f"SELECT t.* FROM unnest({arrays}) AS k ({key}) JOIN {schema}.{table.name} AS t USING ({key})"  # noqa: S608
    found: list[Row] = await session.rows(table.row, sql, *map(list, zip(*keys, strict=True)))
    return {tuple(getattr(row, name) for name in table.key): row for row in found}


async def _merge(session: Session, schema: str, table: Folded[Any], rows: Sequence[Row]) -> None:
    """COPY into a table of this session alone, then one upsert; the session's table empties itself at the commit."""
    stage = f"{schema}_{table.name}"
    names = read_model.columns(table)
    columns = ", ".join(names)
    values = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.key)
    await session.execute(f"CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {schema}.{table.name}) ON COMMIT DELETE ROWS")
    await session.copy(stage, names, map(msgspec.structs.astuple, rows))
    await session.execute(
        f"INSERT INTO {schema}.{table.name} ({columns}) SELECT {columns} FROM {stage} "  # noqa: S608
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {values}"
    )
