"""A database of its own for each test, on the server of the run, and a tape to fill it from."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from deploy.local.postgres import LocalPostgres
from infra.avro.codec import Codec
from infra.postgres import Database
from tests.kit.tape import Tape


@pytest.fixture
def tape(codec: Codec) -> Tape:
    return Tape(codec)


@pytest.fixture
async def dsn(postgres: LocalPostgres) -> str:
    """An empty database that no other test knows."""
    name = f"test_{uuid.uuid4().hex[:10]}"
    server = Database(postgres.dsn)
    await asyncio.wait_for(server.until_up(), 30)
    await server.execute(f"CREATE DATABASE {name}")
    await server.close()
    return urlsplit(postgres.dsn)._replace(path=f"/{name}").geturl()


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn)
    yield database
    await database.close()
