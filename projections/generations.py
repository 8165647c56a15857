"""Where each read model lives and how far it has come: schema `projections` of the database.

A read model is built in a schema of its own, a *generation*; one is live, and the views of `public` show its tables
under stable names. Positions stand beside the rows, one per partition, and move in the transaction
that writes the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from domain.kernel.messages import GENESIS
from infra.kafka.chain import Link
from infra.kafka.reader import BEGINNING
from infra.postgres import Database, Session
from projections import analysts
from projections.read_model import ReadModel

CATALOG_LOCK = 7_065_001
"""Advisory lock of whoever makes or switches generations; one at a time."""

SWITCH_LOCK_TIMEOUT_MS = 3_000
"""Longest wait for somebody's long query on a view that is to change: the live generation stands still meanwhile."""

CATALOG = """
CREATE SCHEMA IF NOT EXISTS projections;
CREATE TABLE IF NOT EXISTS projections.generations (
    schema text PRIMARY KEY,
    name text NOT NULL,
    generation integer NOT NULL,
    version integer NOT NULL,
    shape text NOT NULL,
    state text NOT NULL CHECK (state IN ('live', 'building', 'retired')),
    made_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, generation)
);
CREATE UNIQUE INDEX IF NOT EXISTS one_live_generation ON projections.generations (name) WHERE state = 'live';
CREATE TABLE IF NOT EXISTS projections.positions (
    schema text NOT NULL REFERENCES projections.generations ON DELETE CASCADE,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    term bigint NOT NULL,
    PRIMARY KEY (schema, topic, partition)
) WITH (fillfactor = 50);
"""
LIVE = "SELECT * FROM projections.generations WHERE name = $1 AND state = 'live'"
REFLECTED = """
SELECT sequence FROM projections.positions JOIN projections.generations USING (schema)
WHERE name = $1 AND state = 'live' AND topic = $2 AND partition = $3
"""
ALL_REFLECTED = """
SELECT topic, partition, sequence FROM projections.positions JOIN projections.generations USING (schema)
WHERE name = $1 AND state = 'live'
"""
POSITIONS = "SELECT * FROM projections.positions WHERE schema = $1 ORDER BY topic, partition"
# Rows are locked in one order by every writer, so that two of them wait for each other and never in a circle.
HELD = f"{POSITIONS} FOR UPDATE"
MOVE = """
UPDATE projections.positions AS p
SET next_offset = m.next_offset, sequence = m.sequence, hash = m.hash, term = m.term
FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[])
    AS m (topic, partition, next_offset, sequence, hash, term)
WHERE p.schema = $1 AND p.topic = m.topic AND p.partition = m.partition
"""
BEGIN = """
INSERT INTO projections.generations (schema, name, generation, version, shape, state)
SELECT format('%s_v%s_g%s', $1::text, $2::integer, n), $1, n, $2, $3, $4
FROM (SELECT coalesce(max(generation), 0) + 1 AS n FROM projections.generations WHERE name = $1) AS next
RETURNING *
"""
BEGIN_POSITIONS = """
INSERT INTO projections.positions (schema, topic, partition, next_offset, sequence, hash, term)
SELECT $1, topic, partition, $4, -1, $5, 0 FROM unnest($2::text[], $3::integer[]) AS places (topic, partition)
ON CONFLICT DO NOTHING
"""
VIEW_COLUMNS = """
SELECT count(*) FROM (
    SELECT table_schema = 'public' AS is_view, ordinal_position, column_name, data_type
    FROM information_schema.columns
    WHERE table_name = $1 AND table_schema IN ('public', $2)
) AS c GROUP BY ordinal_position, column_name, data_type HAVING count(*) <> 2
"""


class PositionMoved(Exception):
    """Somebody else moved the read model or switched its generation: look again before writing."""


class RebuildDue(Exception):
    """The tables in the database are not those this program declares; the message names the command."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One build of a read model."""

    schema: str
    name: str
    generation: int
    version: int
    shape: str
    state: Literal["live", "building", "retired"]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a generation has come in one partition: the offset to read next, and the last link of the chain."""

    topic: str
    partition: int
    next_offset: int
    sequence: int
    hash: bytes
    term: int

    @property
    def place(self) -> tuple[str, int]:
        """The partition."""
        return self.topic, self.partition

    @property
    def link(self) -> Link:
        """What the next event must follow."""
        return Link(self.sequence, self.hash, self.term)


class Reflected(msgspec.Struct, frozen=True, kw_only=True):
    """How far the live rows reflect one partition."""

    topic: str
    partition: int
    sequence: int


async def reflected(db: Database, projection: str, topic: str, partition: int) -> int:
    """The sequence up to which the live rows reflect this partition; -1 when there is nothing yet.

    What is read after this answer is at least that new, also across the switch to another generation.
    """
    found = await db.value(REFLECTED, projection, topic, partition)
    return -1 if found is None else int(found)


async def all_reflected(db: Database, projection: str) -> dict[tuple[str, int], int]:
    """The same for every partition that the read model reads."""
    found = await db.rows(Reflected, ALL_REFLECTED, projection)
    return {(each.topic, each.partition): each.sequence for each in found}


async def prepare(db: Database) -> None:
    """Make the catalog if it is not there."""
    async with db.transaction() as session:
        await lock_catalog(session)
        await session.execute(CATALOG)
        await analysts.prepare(session)


async def lock_catalog(session: Session) -> None:
    """Until the end of this transaction nobody else makes or switches generations."""
    await session.execute("SELECT pg_advisory_xact_lock($1)", CATALOG_LOCK)


async def admit(db: Database, model: ReadModel, partitions: int) -> Generation:
    """The live generation that this program may write; a read model that is new gets its first one."""
    async with db.transaction() as session:
        await lock_catalog(session)
        generation = await session.row(Generation, LIVE, model.name)
        if generation is None:
            generation = await begin(session, model, partitions, "live")
            await expose(session, model, generation)
            return generation
        if (generation.version, generation.shape) != (model.version, model.shape):
            raise RebuildDue(
                f"{model.name}: the database holds version {generation.version}, this program declares version "
                f"{model.version}, or other tables. Run `tapeline projections rebuild {model.name}`"
            )
        await _add_places(session, model, generation, partitions)
        await analysts.expose(session, model, generation.schema)
        return generation


async def begin(session: Session, model: ReadModel, partitions: int, state: Literal["live", "building"]) -> Generation:
    """An empty generation: schema, tables, positions at the beginning of the tape."""
    generation = await session.row(Generation, BEGIN, model.name, model.version, model.shape, state)
    assert generation is not None
    await session.execute(
        f"CREATE SCHEMA {generation.schema}; SET LOCAL search_path TO {generation.schema}; {model.ddl}"
    )
    await session.execute("SET LOCAL search_path TO DEFAULT")
    await _add_places(session, model, generation, partitions)
    return generation


async def _add_places(session: Session, model: ReadModel, generation: Generation, partitions: int) -> None:
    topics, numbers = zip(*model.places(partitions), strict=True)
    await session.execute(BEGIN_POSITIONS, generation.schema, list(topics), list(numbers), BEGINNING, GENESIS)


async def expose(session: Session, model: ReadModel, generation: Generation) -> None:
    """Show the generation's tables under their stable names. A view of the same columns keeps its grants."""
    for table in model.tables:
        if await session.value(VIEW_COLUMNS, table.name, generation.schema) is not None:
            await session.execute(f"DROP VIEW IF EXISTS public.{table.name}")
        await session.execute(
            f"CREATE OR REPLACE VIEW public.{table.name} AS SELECT * FROM {generation.schema}.{table.name}"  # noqa: S608  # nosec B608  # names that we declared
        )
    await analysts.expose(session, model, generation.schema)


async def positions(db: Database | Session, generation: Generation) -> dict[tuple[str, int], Position]:
    """How far the generation has come, by partition; empty when it is gone."""
    return {each.place: each for each in await db.rows(Position, POSITIONS, generation.schema)}


async def move(
    session: Session, generation: Generation, before: Mapping[tuple[str, int], Position], after: Sequence[Position]
) -> None:
    """Claim the generation for this transaction and move these partitions; raises PositionMoved when any is elsewhere.

    All of its partitions are claimed, not those alone that move: a row may be fed by several, and whoever folded it
    from rows that somebody else has changed since would undo that change.
    """
    if await hold(session, generation) != before:
        raise PositionMoved(generation.schema)
    await session.execute(
        MOVE,
        generation.schema,
        *_columns(each.place for each in after),
        [each.next_offset for each in after],
        [each.sequence for each in after],
        [each.hash for each in after],
        [each.term for each in after],
    )


async def hold(session: Session, generation: Generation) -> dict[tuple[str, int], Position]:
    """Keep the generation where it is until this transaction ends; empty when it is gone."""
    return {each.place: each for each in await session.rows(Position, HELD, generation.schema)}


async def switch(session: Session, model: ReadModel, old: Generation | None, new: Generation) -> None:
    """From the end of this transaction on, readers see the new generation and nobody can write the old one."""
    await session.execute(f"SET LOCAL lock_timeout = {SWITCH_LOCK_TIMEOUT_MS}")
    if old is not None:
        await session.execute("UPDATE projections.generations SET state = 'retired' WHERE schema = $1", old.schema)
        await session.execute("DELETE FROM projections.positions WHERE schema = $1", old.schema)
    await session.execute("UPDATE projections.generations SET state = 'live' WHERE schema = $1", new.schema)
    await expose(session, model, new)


async def drop(db: Database, schemas: Iterable[str]) -> None:
    """Remove generations that nobody reads."""
    for schema in schemas:
        async with db.transaction() as session:
            await session.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            await session.execute("DELETE FROM projections.generations WHERE schema = $1", schema)


def _columns(places: Iterable[tuple[str, int]]) -> tuple[list[str], list[int]]:
    found = list(places)
    return [topic for topic, _ in found], [partition for _, partition in found]
