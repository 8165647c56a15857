"""The database as our code sees it: rows are structs, an outage has one name, a bug keeps its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from enum import StrEnum

import asyncpg
import msgspec
import pytest

from deploy.local.postgres import LocalPostgres
from infra.postgres import Database, DatabaseDown, text_array

pytestmark = pytest.mark.postgres


class Wood(StrEnum):
    OAK = "OAK"
    PINE = "PINE"


class Chair(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    wood: Wood
    legs: int
    price: Decimal
    label: bytes
    parts: tuple[str, ...] = ()
    note: str | None = None


SEAT = Chair(name="seat", wood=Wood.OAK, legs=4, price=Decimal(10**30), label=b"\x00\xff", parts=("a", "b"))
TABLE = """
CREATE TABLE chairs (
    name text PRIMARY KEY, wood text, legs bigint, price numeric(40), label bytea, parts text[], note text
)
"""


@pytest.fixture
async def db(postgres: LocalPostgres) -> AsyncIterator[Database]:
    schema = f"postgres_{uuid.uuid4().hex[:8]}"
    first = Database(postgres.dsn)
    await first.until_up()
    await first.execute(f"CREATE SCHEMA {schema}")
    await first.close()
    joint = "&" if "?" in postgres.dsn else "?"
    database = Database(f"{postgres.dsn}{joint}search_path={schema}")
    await database.execute(TABLE)
    yield database
    await database.execute(f"DROP SCHEMA {schema} CASCADE")
    await database.close()


async def put(db: Database, *chairs: Chair) -> None:
    async with db.transaction() as session:
        await session.copy("chairs", Chair.__struct_fields__, map(msgspec.structs.astuple, chairs))


async def test_rows_come_back_as_the_structs_that_were_copied_in(db: Database) -> None:
    stool = msgspec.structs.replace(SEAT, name="stool", wood=Wood.PINE, legs=3, note="low")
    await put(db, SEAT, stool)
    assert await db.rows(Chair, "SELECT * FROM chairs ORDER BY name") == [SEAT, stool]
    assert await db.row(Chair, "SELECT * FROM chairs WHERE legs = $1", 5) is None
    assert await db.value("SELECT count(*) FROM chairs") == 2
    assert await db.execute("UPDATE chairs SET legs = 5 WHERE wood = $1", Wood.PINE) == 1


async def test_a_transaction_that_fails_leaves_nothing(db: Database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await put(db, SEAT, msgspec.structs.replace(SEAT, name="bench"), SEAT)
    assert await db.value("SELECT count(*) FROM chairs") == 0


async def test_a_bug_keeps_its_own_name(db: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await db.rows(Chair, "SELECT * FROM tables")
    await put(db, SEAT)
    with pytest.raises(asyncpg.UniqueViolationError):
        await put(db, SEAT)


async def test_a_statement_beyond_its_time_is_an_outage(db: Database) -> None:
    with pytest.raises(DatabaseDown):
        async with db.transaction(statement_timeout_ms=50) as session:
            await session.value("SELECT pg_sleep(5)")
    assert await db.value("SELECT 1") == 1


async def test_a_connection_that_is_ended_is_an_outage_and_the_next_statement_has_another(db: Database) -> None:
    with pytest.raises(DatabaseDown):
        async with db.transaction() as session:
            await session.value("SELECT pg_terminate_backend(pg_backend_pid())")
    await asyncio.wait_for(db.until_up(), 30)
    assert await db.value("SELECT 1") == 1


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseDown, match="TAPELINE_POSTGRES"):
        await database.value("SELECT 1")


async def test_an_array_of_texts_comes_back_as_it_was_whatever_they_hold(db: Database) -> None:
    texts = [
        "",
        "plain",
        'a "b"',
        "back\\slash\\",
        "a,b",
        "{x}",
        "NULL",
        " ",
        "one\ntwo",
        "\x1f",
        "\u00e9\U0001f600",
        "'",
    ]
    for some in (texts, [""], ["NULL"]):
        assert await db.value("SELECT $1::text::text[]", text_array(some)) == some
