"""Projections and their queries -> PostgreSQL: rows as structs, copies, transactions, over one pool of asyncpg.

What the database cannot do now is `DatabaseDown`, whatever asyncpg calls it; anything else that fails is a bug of ours
and keeps its own error. A lost connection is replaced by the pool; whether a commit under way was done is then unknown,
so a writer looks before it repeats.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Literal, TypeVar

import asyncpg
import msgspec

POOL_CONNECTIONS_MAX = 10
"""Connections of one process: more than the read models that write at once, few enough for a hundred of the server."""
STATEMENT_TIMEOUT_MS = 15_000
"""Longest statement: a page or a batch takes milliseconds, so fifteen seconds are a lock or a missing index."""
CONNECT_TIMEOUT_MS = 5_000
"""Longest wait for a connection, from the server or from the pool."""
RECONNECT_WAIT_MS_MIN, RECONNECT_WAIT_MS_MAX = 50, 2_000
"""Waits between two tries to reach a server that is down, doubling from the first to the second."""

R = TypeVar("R", bound=msgspec.Struct)

_DOWN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # Shut down, starting up, or the statement timeout.
    asyncpg.InsufficientResourcesError,  # Too many connections, disk full.
    asyncpg.LockNotAvailableError,  # Somebody held it longer than the lock timeout.
    asyncpg.TransactionRollbackError,  # Deadlock or serialization: the same again will do.
)
_BUILTIN_TYPES = (bytes,)


class DatabaseDown(Exception):
    """PostgreSQL cannot answer now; trying again later is right. Whether a commit under way was done is unknown."""


class Session:
    """One connection, inside a transaction or for one statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, kind: type[R], sql: str, *args: object) -> list[R]:
        """What the query finds; its columns bear the names of the struct's fields."""
        with _mapped(self._connection):
            records = await self._connection.fetch(sql, *args)
        return [msgspec.convert(dict(record), kind, builtin_types=_BUILTIN_TYPES) for record in records]

    async def row(self, kind: type[R], sql: str, *args: object) -> R | None:
        """The first row that the query finds."""
        found = await self.rows(kind, sql, *args)
        return found[0] if found else None

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        with _mapped(self._connection):
            return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement, or without arguments several; returns how many rows the last one touched."""
        with _mapped(self._connection):
            status = str(await self._connection.execute(sql, *args))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[tuple[Any, ...]], schema: str = ""
    ) -> None:
        """Write many rows by COPY; they must not collide with rows that are there."""
        with _mapped(self._connection):
            await self._connection.copy_records_to_table(
                table, records=records, columns=columns, schema_name=schema or None
            )


class Database:
    """A pool of connections to one database, opened as they are needed."""

    def __init__(self, dsn: str, *, name: str = "tapeline", connections_max: int = POOL_CONNECTIONS_MAX) -> None:
        self._dsn = dsn
        self._name = name
        self._connections_max = connections_max
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def rows(self, kind: type[R], sql: str, *args: object) -> list[R]:
        """What the query finds; its columns bear the names of the struct's fields."""
        async with self.session() as session:
            return await session.rows(kind, sql, *args)

    async def row(self, kind: type[R], sql: str, *args: object) -> R | None:
        """The first row that the query finds."""
        async with self.session() as session:
            return await session.row(kind, sql, *args)

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        async with self.session() as session:
            return await session.value(sql, *args)

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement in a transaction of its own."""
        async with self.session() as session:
            return await session.execute(sql, *args)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection for statements that need no transaction together."""
        pool = await self._opened()
        with _mapped():
            connection = await pool.acquire(timeout=CONNECT_TIMEOUT_MS / 1000)
        try:
            yield Session(connection)
        finally:
            with _mapped():
                await pool.release(connection)

    @asynccontextmanager
    async def transaction(
        self,
        isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    ) -> AsyncIterator[Session]:
        """Statements that count together or not at all."""
        async with self.session() as session:
            connection = session._connection  # noqa: SLF001  (its own module)
            transaction = connection.transaction(isolation=isolation)
            with _mapped(connection):
                await transaction.start()
            try:
                if statement_timeout_ms != STATEMENT_TIMEOUT_MS:
                    await session.execute(f"SET LOCAL statement_timeout = {int(statement_timeout_ms)}")
                yield session
            except BaseException:
                with suppress(DatabaseDown), _mapped(connection):
                    await transaction.rollback()
                raise
            with _mapped(connection):
                await transaction.commit()

    async def until_up(self) -> None:
        """Wait a moment, and then however long it takes until the server answers."""
        wait_ms = RECONNECT_WAIT_MS_MIN
        while True:
            await asyncio.sleep(wait_ms / 1000)
            try:
                await self.value("SELECT 1")
            except DatabaseDown:
                wait_ms = min(2 * wait_ms, RECONNECT_WAIT_MS_MAX)
            else:
                return

    async def close(self) -> None:
        """Let all connections go."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                with _mapped():
                    self._pool = await asyncpg.create_pool(
                        self._dsn,
                        min_size=0,
                        max_size=self._connections_max,
                        timeout=CONNECT_TIMEOUT_MS / 1000,
                        reset=_cleaned,
                        server_settings={
                            "application_name": self._name,
                            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                            "timezone": "UTC",
                        },
                    )
            return self._pool


def text_array(values: Iterable[str]) -> str:
    """Texts as PostgreSQL writes an array of them, for a parameter that is cast: `$1::text::text[]`.

    Given a list, asyncpg asks of every text whether it is an array itself, which costs more than to find its row. No
    text of PostgreSQL holds a NUL, so it can stand between two of them until the others are escaped.
    """
    joined = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace("\0", '","') + '"}'


async def _cleaned(connection: Any) -> None:
    """A connection comes back to the pool as it went: no statement of ours changes its session for good.

    asyncpg's own reset is a second question to the server after every one of ours.
    """
    if connection.is_in_transaction():
        await connection.reset()


@contextmanager
def _mapped(connection: Any = None) -> Iterator[None]:
    """asyncpg's many names for a server that cannot answer become one."""
    try:
        yield
    except _DOWN as error:
        raise DatabaseDown(
            f"PostgreSQL cannot answer: {error!r}. Check that it runs and that TAPELINE_POSTGRES names it"
        ) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if connection is None or _is_gone(connection):
            raise DatabaseDown(f"the connection to PostgreSQL is gone: {error!r}") from error
        raise


def _is_gone(connection: Any) -> bool:
    """The pool takes a lost connection back by itself; from then on every question to it is an error."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True
