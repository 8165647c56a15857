"""What an analyst sees by SQL: one tenant's rows, exact, whatever is rebuilt meanwhile; and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner

import contexts
from domain.orders.commands import OpenTrading
from infra.avro.codec import Codec
from infra.postgres import Database
from infra.settings import Settings
from projections import analysts, generations, projector
from projections import cli as projections_cli
from projections.orders.blotter import BlotterRow, blotter
from projections.read_model import ReadModel, Row
from projections.rebuild import Rebuild
from tests.kit.histories import choices_from, play
from tests.kit.listed import ListedReader
from tests.kit.tape import ACME, Tape
from tests.projections.hosting import projector_of

pytestmark = pytest.mark.postgres
MODELS = [model for context in contexts.CONTEXTS for model in context.projections]
VIEWS = sorted(table.name for model in MODELS for table in model.tables if analysts.is_shown(model, table))
OTHER = "umbrella"


@pytest.fixture
async def filled(db: Database, tape: Tape) -> Database:
    """Two tenants' books in every read model."""
    play(tape, choices_from(seed=11, count=120))
    tape.decide("orders", "of-the-other", OpenTrading(currency="USD"), tenant=OTHER)
    host = await projector_of(db, tape.codec, MODELS)
    await host.apply(tape.arrived)
    assert not host.trouble()
    return db


async def connection(dsn: str, login: analysts.Login) -> Any:
    return await asyncpg.connect(projections_cli.dsn_of(dsn, login))


@pytest.fixture
async def analyst(filled: Database, dsn: str) -> AsyncIterator[Any]:
    """A session of the first tenant's analyst."""
    made = await connection(dsn, await analysts.admit(filled, ACME))
    yield made
    await made.close()


async def test_sees_every_read_model_of_its_tenant(analyst: Any, filled: Database) -> None:
    shown = await analyst.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'analyst' ORDER BY 1")
    assert [row[0] for row in shown] == VIEWS
    for name in VIEWS:
        own = await analyst.fetchval(f"SELECT count(*) FROM analyst.{name}")
        has_tenant = await filled.value(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'analyst' AND table_name = $1 "
            "AND column_name = 'tenant'",
            name,
        )
        where = f"WHERE tenant = '{ACME}'" if has_tenant else ""
        assert own == await filled.value(f"SELECT count(*) FROM public.{name} {where}"), name
    assert await analyst.fetchval("SELECT count(*) FROM order_blotter") > 0


async def test_prepare_makes_role_and_views_before_anything_runs(db: Database, dsn: str) -> None:
    assert await projector.declare(Settings(postgres=dsn), MODELS) == []
    made = await connection(dsn, await analysts.admit(db, ACME))
    assert await made.fetchval("SELECT count(*) FROM order_blotter") == 0
    await made.close()


async def test_sees_nothing_of_another_tenant_whatever_it_sets(analyst: Any, filled: Database, dsn: str) -> None:
    events = "SELECT count(*) FROM analyst.journal WHERE tenant = $1"
    assert await analyst.fetchval(events, ACME) > 0
    assert await analyst.fetchval(events, OTHER) == 0
    for attempt in (f"SET ROLE {analysts.ROLE}", "SET search_path = projections, analyst", "SET row_security = off"):
        await analyst.execute(attempt)
        assert await analyst.fetchval(events, OTHER) == 0
    other = await connection(dsn, await analysts.admit(filled, OTHER))
    assert await other.fetchval(events, ACME) == 0
    assert await other.fetchval(events, OTHER) > 0
    await other.close()


WRITES = (
    "INSERT INTO analyst.positions (tenant) VALUES ('acme')",
    "UPDATE analyst.order_blotter SET status = 'FILLED'",
    "DELETE FROM analyst.journal",
    "CREATE TABLE analyst.mine (a int)",
    "CREATE TABLE public.mine (a int)",
    "CREATE TEMP TABLE mine (a int)",
    "CREATE SCHEMA mine",
    "CREATE VIEW analyst.mine AS SELECT 1",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_create(0)",
    "COPY analyst.positions FROM PROGRAM 'true'",
    "DO $$ BEGIN PERFORM lo_creat(-1); END $$",
    "ALTER ROLE tapeline_analyst SUPERUSER",
    "INSERT INTO projections.analysts VALUES (session_user, 'umbrella')",
    "CREATE OR REPLACE FUNCTION analyst.tenant() RETURNS text LANGUAGE sql AS 'SELECT text ''umbrella'''",
)
READS = (
    "SELECT * FROM public.order_blotter",
    "SELECT * FROM projections.positions",
    "SELECT * FROM projections.generations",
    "SELECT * FROM projections.analysts",
    "SELECT * FROM {schema}.order_blotter",
    "SELECT * FROM pg_authid",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
)


async def allowed(analyst: Any, statements: Iterable[str]) -> list[str]:
    """Those of the statements that the database does not refuse for want of a right."""
    found = []
    for statement in statements:
        try:
            await analyst.execute(statement)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
            continue
        except asyncpg.PostgresError as error:
            found.append(f"{statement}: {error!r}")
        else:
            found.append(statement)
    return found


async def test_writes_nothing_even_where_it_says_that_it_may(analyst: Any) -> None:
    await analyst.execute("SET default_transaction_read_only = off")
    assert await allowed(analyst, WRITES) == []


async def test_reads_nothing_but_its_views(analyst: Any, filled: Database) -> None:
    live = await filled.row(generations.Generation, generations.LIVE, blotter.name)
    assert live is not None
    assert await allowed(analyst, [each.format(schema=live.schema) for each in READS]) == []


async def test_begins_every_transaction_read_only_and_with_a_limit(analyst: Any) -> None:
    assert await analyst.fetchval("SHOW transaction_read_only") == "on"
    assert await analyst.fetchval("SHOW statement_timeout") == "1min"


async def test_amounts_are_exact_decimals_and_times_are_times(analyst: Any, filled: Database) -> None:
    shown = await analyst.fetch("SELECT account_id, order_id, quantity, filled_amount, opened_at FROM order_blotter")
    every = await filled.rows(blotter.tables[0].row, "SELECT * FROM order_blotter")
    rows = {(row.account_id, row.order_id): row for row in every}
    assert shown
    for account_id, order_id, quantity, filled_amount, opened_at in shown:
        row = rows[account_id, order_id]
        assert quantity == (None if row.quantity is None else Decimal(row.quantity).scaleb(-8))
        assert filled_amount == Decimal(row.filled_amount).scaleb(-2)
        assert round(opened_at.timestamp() * 1_000_000) == row.opened_at


async def test_no_view_shows_raw_bytes_or_an_unscaled_amount(analyst: Any) -> None:
    kinds = await analyst.fetch(
        "SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid "
        "WHERE relnamespace = 'analyst'::regnamespace AND relkind = 'v' AND attnum > 0"
    )
    allowed = {"text", "bigint", "integer", "boolean", "numeric(38,8)", "numeric(38,2)", "timestamp with time zone"}
    assert {row[0] for row in kinds} <= allowed


async def test_a_rebuild_is_not_noticed_by_who_asks(analyst: Any, filled: Database, tape: Tape) -> None:
    question = "SELECT count(*), sum(filled_amount) FROM order_blotter"
    before = await analyst.fetch(question)
    outcome = await Rebuild(filled, ListedReader(tape), tape.codec, blotter, 4).run(is_accepted=False)
    assert outcome.is_switched
    assert await analyst.fetch(question) == before
    live = await filled.row(generations.Generation, generations.LIVE, blotter.name)
    assert live is not None
    on = await filled.value(
        "SELECT definition FROM pg_views WHERE schemaname = 'analyst' AND viewname = 'order_blotter'"
    )
    assert live.schema in on


class Wider(BlotterRow, frozen=True, kw_only=True):
    """One order, and a word more."""

    remark: str = "none"


async def test_another_generation_with_other_columns_shows_them(analyst: Any, filled: Database) -> None:
    await analyst.fetch("SELECT status FROM order_blotter LIMIT 1")
    table = msgspec.structs.replace(blotter.tables[0], row=Wider)
    ddl = blotter.ddl.replace("tenant text NOT NULL,", "tenant text NOT NULL,\n    remark text NOT NULL,", 1)
    wider = msgspec.structs.replace(blotter, version=blotter.version + 1, ddl=ddl, tables=(table,))
    async with filled.transaction() as session:
        old = await session.row(generations.Generation, generations.LIVE, blotter.name)
        new = await generations.begin(session, wider, 4, "building")
        await generations.switch(session, wider, old, new)
    assert await analyst.fetch("SELECT status, remark FROM order_blotter LIMIT 1") == []
    assert await analyst.fetchval("SELECT count(*) FROM positions") > 0, "the others stand as they did"


async def test_who_is_dismissed_sees_nothing_from_that_moment_on(analyst: Any, filled: Database, dsn: str) -> None:
    assert await analysts.dismiss(filled, ACME)
    assert await analyst.fetchval("SELECT count(*) FROM order_blotter") == 0
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(f"{dsn.partition('?')[0]}", user=f"{analysts.ROLE}_{ACME}")
    assert not await analysts.dismiss(filled, ACME)


@pytest.mark.parametrize("tenant", ["", "Acme", "a;b", 'a"b', "a" * 41, "ä"])
async def test_a_tenant_that_is_no_name_of_a_role_is_refused(db: Database, tenant: str) -> None:
    with pytest.raises(analysts.TenantRefused):
        await analysts.admit(db, tenant)


def test_rows_of_nobody_are_hidden_unless_they_are_the_markets() -> None:
    class Nobodys(Row, frozen=True, kw_only=True):
        """A row without a tenant."""

    of_events = ReadModel(name="x", version=1, ddl="", tables=(), events=("orders.events",))
    table: Any = type("Table", (), {"row": Nobodys})
    assert not analysts.is_shown(of_events, table)
    assert "last_trades" in VIEWS


async def test_the_command_prints_a_login_that_works(filled: Database, dsn: str, codec: Codec) -> None:
    app = projections_cli.app(lambda: Settings(postgres=dsn), lambda: codec, MODELS)
    said = await asyncio.to_thread(CliRunner().invoke, app, ["analyst", ACME, "--json"])
    login = json.loads(said.stdout)
    made = await asyncpg.connect(login["dsn"])
    assert await made.fetchval("SELECT session_user::text") == f"tapeline_analyst_{ACME}"
    assert await made.fetchval("SELECT count(*) FROM order_blotter") > 0
    await made.close()
    refused = await asyncio.to_thread(CliRunner().invoke, app, ["analyst", "No Name"])
    assert refused.exit_code == 2


def test_the_password_is_kept_as_postgresql_itself_would() -> None:
    assert analysts._verifier("pencil", bytes(16)).startswith("SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$")
