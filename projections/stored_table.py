"""Records of the tape -> what they change in one table of a read model -> PostgreSQL, by COPY.

Rows that are new are copied into the table itself, rows that were there are copied into a table of the session alone
and merged. Whoever writes holds the whole generation, so a row that was not there when the records were folded is not
there when they are written.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from infra.postgres import Database, Session, text_array
from projections import read_model
from projections.read_model import Appended, Folded, Key, OnTape, Row, Table

ROWS_KEPT_MAX = 5_000
"""Rows of one table that stay in memory after they were written: what the next events speak of is among them more often
than not, and is not asked for again. A few megabytes."""
ANALYZE_AT_ROWS = (1_000, 8_000, 64_000)
"""New rows after which the server is to look at a table. It does so by itself once a minute; in that minute it took the
wrong index to find rows by their keys, at 50 us a row instead of 3."""


class Changes(msgspec.Struct, frozen=True):
    """What some records change in one table: rows that are new, and rows that were there."""

    table: "StoredTable"
    added: Sequence[Row] = ()
    changed: Sequence[Row] = ()

    async def write(self, session: Session) -> None:
        """Write them in this transaction."""
        await self.table.write(session, self)


class StoredTable:
    """One table of one generation, and those of its rows that were written last."""

    def __init__(self, schema: str, table: Table) -> None:
        self._table = table
        self._schema = schema
        self._columns = read_model.columns(table)
        self._kept: dict[Key, Row] = {}
        self._grown = 0

    async def changes(self, db: Database, records: Sequence[OnTape]) -> Changes:
        """What these records change, after everything that was asked before; nothing is written yet."""
        if isinstance(self._table, Appended):
            return Changes(self, added=read_model.append_batch(self._table, records))
        touched = read_model.touches(self._table, records)
        if not touched:
            return Changes(self)
        known = await self._rows(db, self._table, {key for key, _, _ in touched})
        changed = read_model.fold_touches(self._table, known, touched)
        self._keep(changed)
        return Changes(
            self,
            added=[row for key, row in changed.items() if key not in known],
            changed=[row for key, row in changed.items() if key in known],
        )

    def forget(self) -> None:
        """What was folded may never have been written: ask the database again."""
        self._kept = {}

    async def write(self, session: Session, changes: Changes) -> None:
        """Write what was changed; the transaction holds the generation where it was when that was computed."""
        if changes.added:
            await self._copy(session, self._table.name, changes.added, self._schema)
        if isinstance(self._table, Folded):
            if changes.changed:
                await self._merge(session, self._table, changes.changed)
            await self._analyze(session, len(changes.added))

    async def _rows(self, db: Database, table: Folded[Any], keys: Collection[Key]) -> dict[Key, Row]:
        """The rows of these keys as they are after everything that was folded so far."""
        rows = {key: self._kept[key] for key in keys if key in self._kept}
        unknown = [key for key in keys if key not in rows]
        if unknown:
            found: list[Row] = await db.rows(
                table.row, found_by(self._schema, table), *map(text_array, zip(*unknown, strict=True))
            )
            rows |= {tuple(getattr(row, name) for name in table.key): row for row in found}
        return rows

    def _keep(self, changed: dict[Key, Row]) -> None:
        """The last batch stays in any case: its rows may not be in the database yet."""
        self._kept |= changed
        if len(self._kept) > ROWS_KEPT_MAX:
            self._kept = changed

    async def _merge(self, session: Session, table: Folded[Any], rows: Sequence[Row]) -> None:
        """COPY into a table of this session alone, then one upsert; that table empties itself at the commit."""
        whole, stage = f"{self._schema}.{table.name}", f"{self._schema}_{table.name}"
        columns = ", ".join(self._columns)
        values = ", ".join(f"{name} = excluded.{name}" for name in self._columns if name not in table.key)
        await session.execute(f"CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {whole}) ON COMMIT DELETE ROWS")
        await self._copy(session, stage, rows)
        await session.execute(
            f"INSERT INTO {whole} ({columns}) SELECT {columns} FROM {stage} "  # noqa: S608  # nosec B608  # names that we declared
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {values}"
        )

    async def _copy(self, session: Session, name: str, rows: Sequence[Row], schema: str = "") -> None:
        await session.copy(name, self._columns, map(msgspec.structs.astuple, rows), schema=schema)

    async def _analyze(self, session: Session, added: int) -> None:
        before, self._grown = self._grown, self._grown + added
        if any(before < rows <= self._grown for rows in ANALYZE_AT_ROWS):
            await session.execute(f"ANALYZE {self._schema}.{self._table.name}")


def found_by(schema: str, table: Folded[Any]) -> str:
    """The query for rows by their keys, whose columns are its arguments, a `text_array` each."""
    key = ", ".join(table.key)
    arrays = ", ".join(f"${number}::text::text[]" for number in range(1, len(table.key) + 1))
    return f"SELECT t.* FROM unnest({arrays}) AS k ({key}) JOIN {schema}.{table.name} AS t USING ({key})"  # noqa: S608  # nosec B608  # names that we declared
