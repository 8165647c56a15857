"""The local PostgreSQL: both sources of its programs, as root below a closed folder, after a crash."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local import postgres_binaries, unprivileged
from deploy.local.postgres import LocalPostgres, PortTaken
from deploy.local.postgres_binaries import PostgresMissing, Source

pytestmark = pytest.mark.postgres


def has(source: Source) -> bool:
    try:
        postgres_binaries.find(source)
    except PostgresMissing:
        return False
    return True


@pytest.fixture(params=list(Source))
def source(request: pytest.FixtureRequest) -> Source:
    wanted: Source = request.param
    if not has(wanted):
        pytest.skip(f"no PostgreSQL of the {wanted} here")
    return wanted


@pytest.fixture
def server(source: Source, tmp_path: Path) -> Iterator[LocalPostgres]:
    made = LocalPostgres(tmp_path, source=source)
    yield made
    made.discard()


async def one(server: LocalPostgres, query: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_starts_and_answers_with_its_own_database(server: LocalPostgres, source: Source) -> None:
    server.start()
    assert await one(server, "SELECT current_database()") == "tapeline"
    assert await one(server, "SHOW fsync") == "on"
    release = postgres_binaries.find(source).release
    assert str(await one(server, "SHOW server_version")).startswith(str(release))


async def test_what_was_committed_survives_a_kill(server: LocalPostgres) -> None:
    server.start()
    await one(server, "CREATE TABLE kept AS SELECT 1 AS value")
    server.kill()
    assert not server.is_alive
    server.start()
    assert await one(server, "SELECT value FROM kept") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
async def test_root_starts_it_below_a_folder_closed_to_others(tmp_path: Path, source: Source) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = LocalPostgres(closed / "state", source=source)
    server.start()
    try:
        assert await one(server, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective != 0
    finally:
        server.discard()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_programs_that_another_user_cannot_reach_are_copied_to_where_it_can(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    program = closed / "bin" / "postgres"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    user = unprivileged.user()
    assert user is not None
    copy = unprivileged.reachable_copy(closed / "bin", "postgres", user)
    try:
        assert copy != closed / "bin"
        assert unprivileged.may(user, "-x", copy / "postgres")
    finally:
        (copy / "postgres").unlink()
        copy.rmdir()
        copy.parent.rmdir()


def test_it_is_refused_when_its_port_is_taken(server: LocalPostgres, source: Source, tmp_path: Path) -> None:
    server.start()
    second = LocalPostgres(tmp_path / "second", port=server.port, source=source)
    with pytest.raises(PortTaken, match=f"port {server.port} is taken"):
        second.start()
    second.discard()


def test_a_server_of_somebody_else_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_POSTGRES", "postgresql://elsewhere/tapeline")
    server = LocalPostgres(tmp_path).start()
    assert server.dsn == "postgresql://elsewhere/tapeline"
    assert server.pid is None
    server.discard()
