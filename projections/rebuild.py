"""The tape from its beginning -> a second generation of one read model, compared with the live one and put in place.

The live generation serves and moves on all the while. The comparison is made at one position of the tape: the live rows
as a snapshot shows them, the new rows brought to exactly that position. At the end the live generation is held for the
moment that the last records take, and the views change in one transaction; the projector finds its place gone and goes
on in the new generation.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from infra.avro.codec import Codec
from infra.kafka.records import Arrived, Partition
from infra.postgres import Database, DatabaseDown, Session
from projections import generations, read_model
from projections.generations import Generation
from projections.intake import Intake, Source
from projections.projection import Projection
from projections.projector import on_tape
from projections.read_model import Appended, OnTape, ReadModel, Table

COMPARE_TIMEOUT_MS = 600_000
"""Longest comparison of one table: both are read from end to end."""
SILENCE_MAX = 100
"""Empty takes in a row after which records that must be there are missing from the tape."""
TAKE_WAIT_MS = 100
"""Wait of one take; with SILENCE_MAX, ten seconds."""
EXAMPLES_MAX = 10
"""Rows of each side that are printed when the two differ."""

LEFT_OVER = "SELECT schema FROM projections.generations WHERE name = $1 AND state <> 'live'"
COLUMNS = """
SELECT array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = $1 AND table_name = $2
"""


class RebuildFailed(Exception):
    """The rebuild stopped and the live generation serves as before; the message names the reason."""


class Sum(msgspec.Struct, frozen=True):
    """Rows of one table and the sum of their hashes, whatever their order."""

    rows: int
    checksum: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A table whose two generations are not equal at the same tape position, with some of the rows."""

    table: str
    live: Sum
    rebuilt: Sum
    only_live: list[str]
    only_rebuilt: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a rebuild."""

    generation: str
    rows: dict[str, int]
    differences: list[Difference]
    is_switched: bool


class Rebuild:
    """One rebuild of one read model."""

    def __init__(self, db: Database, source: Source, codec: Codec, model: ReadModel, partitions: int) -> None:
        self._db = db
        self._source = source
        self._codec = codec
        self._model = model
        self._partitions = partitions
        self._feeds = {feed.topic: feed.message for feed in model.feeds}

    async def run(self, *, is_accepted: bool = False, say: Callable[[str], None] = lambda _: None) -> Outcome:
        """Build, compare, switch. Differences keep the live one, unless its version is another or they are accepted."""
        await generations.prepare(self._db)
        left_over = await self._db.rows(_Schema, LEFT_OVER, self._model.name)
        await generations.drop(self._db, [each.schema for each in left_over])
        async with self._db.transaction() as session:
            await generations.lock_catalog(session)
            live = await session.row(Generation, generations.LIVE, self._model.name)
            new = await generations.begin(session, self._model, self._partitions, "building")
        shadow = Projection(self._db, self._model, new)
        try:
            return await self._build(shadow, live, is_accepted=is_accepted, say=say)
        finally:
            await shadow.drop()

    async def _build(
        self, shadow: Projection, live: Generation | None, *, is_accepted: bool, say: Callable[[str], None]
    ) -> Outcome:
        new = shadow.generation
        await shadow.look()
        say(f"building {new.schema} from the beginning of the tape")
        await self._catch_up(shadow, await self._ends() if live is None else await self._offsets(live))
        different = [] if live is None else await self._compared(shadow, live, say)
        is_as_declared = live is not None and (live.version, live.shape) == (new.version, new.shape)
        if not is_as_declared:
            await self._catch_up(shadow, await self._ends())  # Nobody moves the live one: it is not waited for.
        return await self._finish(shadow, live, different, is_accepted=is_accepted or not is_as_declared, say=say)

    async def _compared(self, shadow: Projection, live: Generation, say: Callable[[str], None]) -> list[Table]:
        """The tables that differ at the position that a snapshot of the live rows shows."""
        different = []
        async with self._db.transaction("repeatable_read", COMPARE_TIMEOUT_MS) as then:
            at = await generations.positions(then, live)
            await self._catch_up(shadow, {place: position.next_offset for place, position in at.items()})
            for table in self._model.tables:
                columns = await self._compared_columns(table, live, shadow.generation)
                if not columns:
                    different.append(table)
                    continue
                before = await _sum(then, live, table, columns)
                async with self._db.transaction("repeatable_read", COMPARE_TIMEOUT_MS) as now:
                    after = await _sum(now, shadow.generation, table, columns)
                say(f"{table.name}: live {before.rows} rows {before.checksum}, rebuilt {after.rows} {after.checksum}")
                if before != after:
                    different.append(table)
        return different

    async def _finish(
        self,
        shadow: Projection,
        live: Generation | None,
        different: list[Table],
        *,
        is_accepted: bool,
        say: Callable[[str], None],
    ) -> Outcome:
        new = shadow.generation
        differences: list[Difference] = []
        is_switched = is_accepted or not different
        async with self._db.transaction(statement_timeout_ms=COMPARE_TIMEOUT_MS) as session:
            await generations.lock_catalog(session)
            if live is not None:
                held = await generations.hold(session, live)
                await self._catch_up(shadow, {place: position.next_offset for place, position in held.items()})
                differences = [await self._difference(session, table, live, new) for table in different]
            if is_switched:
                await generations.switch(session, self._model, live, new)
            rows = {table.name: await _count(session, new, table) for table in self._model.tables}
        gone = live if is_switched else new
        if gone is not None:
            # A query that still reads the old rows may finish; the next rebuild clears away what is left.
            with contextlib.suppress(DatabaseDown):
                await generations.drop(self._db, [gone.schema])
        say(f"{new.schema} is live" if is_switched else f"not switched: {len(differences)} tables differ")
        return Outcome(generation=new.schema, rows=rows, differences=differences, is_switched=is_switched)

    async def _catch_up(self, shadow: Projection, targets: Mapping[Partition, int]) -> None:
        """Apply every record before these offsets, and none after them."""
        intake = Intake(self._source, lambda arrived: self._wanted(arrived, targets), TAKE_WAIT_MS)
        try:
            await self._caught_up(shadow, intake, targets)
        finally:
            await intake.stop()
        await shadow.settle()
        _unbroken(shadow)

    async def _caught_up(self, shadow: Projection, intake: Intake, targets: Mapping[Partition, int]) -> None:
        silent = 0
        assigned: list[Partition] = []
        while due := _due(shadow, targets, intake.position):
            if silent > SILENCE_MAX:
                topic, partition = due[0]
                raise RebuildFailed(f"{topic}[{partition}]: no record before offset {targets[due[0]]} comes any more")
            if due != assigned:
                # Partitions that are there are let go, so that what comes is for those that are not.
                await intake.assign({place: shadow.ahead[place].next_offset for place in due})
                assigned = due
            batch = await intake.next()
            await shadow.take(batch.records)
            _unbroken(shadow)
            silent = 0 if batch.records else silent + 1

    def _wanted(self, arrived: Sequence[Arrived], targets: Mapping[Partition, int]) -> list[OnTape]:
        return [
            on_tape(self._codec, self._feeds, each)
            for each in arrived
            if each.offset < targets.get((each.topic, each.partition), 0)
        ]

    async def _ends(self) -> dict[Partition, int]:
        places = self._model.places(self._partitions)
        ends = {topic: await self._source.ends(topic) for topic in {topic for topic, _ in places}}
        return {(topic, partition): ends[topic].get(partition, 0) for topic, partition in places}

    async def _offsets(self, generation: Generation) -> dict[Partition, int]:
        positions = await generations.positions(self._db, generation)
        return {place: position.next_offset for place, position in positions.items()}

    async def _compared_columns(self, table: Table, live: Generation, new: Generation) -> list[str]:
        """Columns that both have, less the place of rows that several topics feed: it depends on how they were read."""
        here = await self._db.value(COLUMNS, live.schema, table.name) or []
        there = set(await self._db.value(COLUMNS, new.schema, table.name) or [])
        is_stamp_fixed = isinstance(table, Appended) or len(self._model.events) + len(self._model.feeds) == 1
        left_out = set() if is_stamp_fixed else set(read_model.Row.__struct_fields__)
        return [name for name in here if name in there - left_out]

    async def _difference(self, session: Session, table: Table, live: Generation, new: Generation) -> Difference:
        columns = await self._compared_columns(table, live, new)
        if not columns:
            return Difference(table=table.name, live=Sum(0, ""), rebuilt=Sum(0, ""), only_live=[], only_rebuilt=[])
        return Difference(
            table=table.name,
            live=await _sum(session, live, table, columns),
            rebuilt=await _sum(session, new, table, columns),
            only_live=await _only(session, table, columns, live, new),
            only_rebuilt=await _only(session, table, columns, new, live),
        )


class _Schema(msgspec.Struct):
    schema: str


class _Line(msgspec.Struct):
    line: str


def _unbroken(shadow: Projection) -> None:
    for broken in shadow.new_breaks():
        raise RebuildFailed(str(broken))


def _due(shadow: Projection, targets: Mapping[Partition, int], taken: Mapping[Partition, int]) -> list[Partition]:
    """Partitions that have not come to their target; past its last record there may be only markers."""
    at = {place: max(position.next_offset, taken.get(place, 0)) for place, position in shadow.ahead.items()}
    return [place for place, offset in targets.items() if place in at and max(0, at[place]) < offset]


async def _sum(session: Session, generation: Generation, table: Table, columns: list[str]) -> Sum:
    names = ", ".join(columns)
    sql = (
        f"SELECT count(*) AS rows, coalesce(sum(hashtextextended(ROW({names})::text, 0)), 0)::text AS checksum "  # noqa: S608  # nosec B608  # names that we declared
        f"FROM {generation.schema}.{table.name}"
    )
    found = await session.row(Sum, sql)
    assert found is not None
    return found


async def _count(session: Session, generation: Generation, table: Table) -> int:
    return int(await session.value(f"SELECT count(*) FROM {generation.schema}.{table.name}"))  # noqa: S608  # nosec B608  # names that we declared


async def _only(session: Session, table: Table, columns: list[str], here: Generation, there: Generation) -> list[str]:
    names = ", ".join(columns)
    sql = (
        f"SELECT ROW({names})::text AS line FROM {here.schema}.{table.name} EXCEPT "  # noqa: S608  # nosec B608  # names that we declared
        f"SELECT ROW({names})::text AS line FROM {there.schema}.{table.name} ORDER BY line LIMIT {EXAMPLES_MAX}"
    )
    return [each.line for each in await session.rows(_Line, sql)]
