"""Live generations -> schema `analyst`: stable views of every read model, for the role `tapeline_analyst` alone.

An analyst sees one tenant, that of the login: `analyst.tenant()` looks up the name of the session, which nobody can
change, in a table that analysts cannot read. A login without a tenant sees no row; nothing that a session may set plays
a part. Views show amounts as exact decimals and times as such; raw bytes and sums of no stated scale are left out. They
stand on a generation's own tables and move with the switch to another, in its transaction.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.money import BasisPoints, Money, Price, Quantity
from infra.postgres import Database, Session
from projections.read_model import ReadModel, Table

ROLE = "tapeline_analyst"
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
"""Tenants that can have a login: the name of a role has 63 bytes."""
CONNECTIONS_MAX = 10
"""Connections of one tenant's analysts: a tenth of what a server gives by default."""
STATEMENT_TIMEOUT_MS = 60_000
"""Longest question unless its asker sets another: longer ones are for the Parquet files."""
LOCK_TIMEOUT_MS = 3_000
"""Longest wait for somebody's long question on a view that is to change."""
PASSWORD_ITERATIONS = 4_096
"""What PostgreSQL itself takes for SCRAM; a password of 256 random bits needs no more."""
PLACES: dict[Any, int] = {Price: 8, Quantity: 8, BasisPoints: 8, Money: 2}
"""Decimal places of the integers in the tables, by their type."""

PREPARE = f"""
DO $$ BEGIN
    CREATE ROLE {ROLE} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
CREATE SCHEMA IF NOT EXISTS analyst;
CREATE TABLE IF NOT EXISTS projections.analysts (role name PRIMARY KEY, tenant text NOT NULL);
CREATE OR REPLACE FUNCTION analyst.tenant() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS 'SELECT tenant FROM projections.analysts WHERE role = session_user';
GRANT USAGE ON SCHEMA analyst TO {ROLE};
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), current_user);
    REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'analysts may make temporary tables and large objects: only the database''s owner can forbid it';
END $$;
"""  # noqa: S608  # nosec B608  # no text of anybody else is in it
TOLD = "SELECT obj_description(to_regclass($1), 'pg_class')"
LOGIN = """
DO $$ BEGIN
    CREATE ROLE {role} LOGIN IN ROLE {group};
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
ALTER ROLE {role} LOGIN CONNECTION LIMIT {connections} PASSWORD '{verifier}';
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = {statement_ms};
ALTER ROLE {role} SET idle_in_transaction_session_timeout = {statement_ms};
ALTER ROLE {role} SET search_path = analyst;
ALTER ROLE {role} SET timezone = 'UTC';
"""
BIND = """
INSERT INTO projections.analysts (role, tenant) VALUES ($1::text::name, $2)
ON CONFLICT (role) DO UPDATE SET tenant = excluded.tenant
"""


class TenantRefused(ValueError):
    """This tenant cannot have a login; the text says why."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask, and for whom."""

    role: str
    password: str
    tenant: str


async def prepare(session: Session) -> None:
    """The role, the schema and the table of tenants, where they are not there."""
    await session.execute(PREPARE)


async def expose(session: Session, model: ReadModel, schema: str) -> None:
    """Show this generation's tables to analysts; what is shown already stays as it is."""
    await session.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    for table in model.tables:
        if not is_shown(model, table):
            continue
        columns = ", ".join(shown_columns(table))
        shape = hashlib.sha256(columns.encode()).hexdigest()[:16]
        told = await session.value(TOLD, f"analyst.{table.name}")
        wanted = f"{_doc(table)} [{schema} {shape}]"
        if told == wanted:
            continue
        if told is not None and not told.endswith(f"{shape}]"):
            await session.execute(f"DROP VIEW analyst.{table.name}")
        bound = "WHERE tenant = (SELECT analyst.tenant())" if "tenant" in table.row.__struct_fields__ else ""
        await session.execute(
            f"CREATE OR REPLACE VIEW analyst.{table.name} WITH (security_barrier = true) AS "  # noqa: S608  # nosec B608  # names that we declared
            f"SELECT {columns} FROM {schema}.{table.name} {bound};"
            f"GRANT SELECT ON analyst.{table.name} TO {ROLE};"
            # nosemgrep: sql-of-an-f-string  # a docstring of ours, its quotes doubled
            f"COMMENT ON VIEW analyst.{table.name} IS '{wanted.replace(chr(39), chr(39) * 2)}'"
        )


async def admit(db: Database, tenant: str) -> Login:
    """A login for the tenant's analysts; one that is there gets a new password. Raises TenantRefused."""
    if not TENANT.fullmatch(tenant):
        raise TenantRefused(f"{tenant!r} cannot be part of a role's name: a-z, 0-9, _ and -, at most 40 of them")
    role, password = f"{ROLE}_{tenant}", secrets.token_urlsafe(32)
    async with db.transaction() as session:
        # nosemgrep: sql-of-an-f-string  # PostgreSQL takes no parameters here; the tenant is a name, the rest is ours
        await session.execute(
            LOGIN.format(
                role=f'"{role}"',
                group=ROLE,
                connections=CONNECTIONS_MAX,
                verifier=_verifier(password, os.urandom(16)),
                statement_ms=STATEMENT_TIMEOUT_MS,
            )
        )
        await session.execute(BIND, role, tenant)
    return Login(role=role, password=password, tenant=tenant)


async def dismiss(db: Database, tenant: str) -> bool:
    """Take the tenant's login away: it sees nothing from this moment on, and cannot come back."""
    if not TENANT.fullmatch(tenant):
        return False
    async with db.transaction() as session:
        known = await session.execute("DELETE FROM projections.analysts WHERE tenant = $1", tenant)
        if known:
            # nosemgrep: sql-of-an-f-string  # PostgreSQL takes no parameters here; the tenant is a name, see above
            await session.execute(f'ALTER ROLE "{ROLE}_{tenant}" NOLOGIN PASSWORD NULL')
    return bool(known)


def is_shown(model: ReadModel, table: Table) -> bool:
    """Rows without a tenant are shown when they come of the market's feeds alone, which belong to nobody."""
    return "tenant" in table.row.__struct_fields__ or not model.events


def shown_columns(table: Table) -> Iterator[str]:
    """The columns of a view, exact and in the units of people."""
    hints = get_type_hints(table.row)
    for name in table.row.__struct_fields__:
        kind = _inner(hints[name])
        if kind in PLACES:
            places = PLACES[kind]
            yield f"({name} * {Decimal(1).scaleb(-places):f}::numeric)::numeric(38, {places}) AS {name}"
        elif kind is Micros:
            yield f"timestamptz 'epoch' + {name} * interval '1 microsecond' AS {name}"
        elif not isinstance(kind, type) or issubclass(kind, str | int | bool):
            yield name


def _inner(kind: Any) -> Any:
    """The type of a column; a name for a plain type is that type."""
    if get_origin(kind) in (Union, types.UnionType):
        return _inner(next(arg for arg in get_args(kind) if arg is not type(None)))
    if isinstance(kind, NewType) and kind not in PLACES and kind is not Micros:
        return _inner(kind.__supertype__)
    return kind


def _doc(table: Table) -> str:
    return " ".join((table.row.__doc__ or "").split())


def _verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that no log of a statement holds the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, PASSWORD_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(PASSWORD_ITERATIONS, *texts)
