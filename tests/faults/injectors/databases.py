"""F11: PostgreSQL of a stack loses a backend, its first process, or is stopped at once, while the projector writes.

One backend killed makes the server end all others and replay its log; the projector must find from its own positions
what became of the transaction it was in.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import psutil

from tests.faults.fault import Fault, Missed
from tests.faults.injectors.supervised import spare_restart
from tests.kit.whole_stack import READY_AGAIN_SECONDS, WholeStack

SERVER = "postgres"
VICTIM = "projector"
"""The name under which the process connects whose backends are killed."""
AT_WORK = "SELECT pid, state FROM pg_stat_activity WHERE application_name = $1 AND backend_type = 'client backend'"
LOOKS_MAX = 200
"""Looks for a backend in the middle of a transaction before an idle one is taken: about half a second."""
LOOK_AGAIN_SECONDS = 0.002
CONNECT_SECONDS_MAX = 2.0
"""Longest wait for one connection; a server that replays its log refuses at once."""
CONNECT_AGAIN_SECONDS = 0.05
AWAY_SECONDS_MAX = 3.0
"""Longest time that the server is kept down."""
EXTERNAL = "the server is somebody else's (TAPELINE_POSTGRES)"


class BackendKilled:
    """SIGKILL of one backend of the projector, in the middle of a transaction where one can be met."""

    row = "F11"
    name = "database backend killed"
    weight = 4

    def missing(self) -> str:
        """Whether the server's processes can be reached."""
        return _missing()

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Returns when the server takes connections again, under the same first process."""
        server = _up(stack)
        async with _connected(stack) as connection:
            pid, state = await _backend(connection, chance)
            _check_child(pid, server)
            os.kill(pid, signal.SIGKILL)
        await _until_answers(stack, unlike=pid)
        if stack.pid(SERVER) != server:
            raise AssertionError("the server's first process ended with one of its backends")
        return {"process": "postgres backend", "of": VICTIM, "signal": "KILL", "state": state}

    async def heal(self, stack: WholeStack) -> None:
        """The server heals itself."""


class ServerEnded:
    """The server's first process gets a signal; its supervisor starts it again."""

    row = "F11"
    weight = 2

    def __init__(self, name: str, by: signal.Signals) -> None:
        self.name = name
        self._by = by

    def missing(self) -> str:
        """Whether the server's processes can be reached."""
        return _missing()

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Returns when another server is ready."""
        dead = _up(stack)
        spare_restart(stack, SERVER)
        away_s = chance.choice((0.0, chance.uniform(0.0, AWAY_SECONDS_MAX)))
        stack.held.add(SERVER)
        os.kill(dead, self._by)
        stack.killed.append((SERVER, dead))
        await asyncio.sleep(away_s)
        stack.held.discard(SERVER)
        await stack.until_started_again(SERVER, dead)
        await _until_answers(stack, unlike=dead)
        return {"process": SERVER, "signal": self._by.name.removeprefix("SIG"), "away_ms": round(away_s * 1_000)}

    async def heal(self, stack: WholeStack) -> None:
        """Let the supervisor have it."""
        stack.held.discard(SERVER)


def _missing() -> str:
    return EXTERNAL if os.environ.get("TAPELINE_POSTGRES") else ""


def _up(stack: WholeStack) -> int:
    """The server's first process."""
    pid = stack.pid(SERVER)
    if pid is None or not stack.is_ready(SERVER):
        raise Missed("the server was not up")
    return pid


def _check_child(pid: int, server: int) -> None:
    """The id came over the wire: it is used only if it is a child of our own server."""
    try:
        parent = psutil.Process(pid).ppid()
    except psutil.NoSuchProcess as gone:
        raise Missed("the backend was gone already") from gone
    if parent != server:
        raise Missed("what was found is no backend of this server")


@contextlib.asynccontextmanager
async def _connected(stack: WholeStack) -> AsyncIterator[Any]:
    """A connection that the fault may take away with all others."""
    try:
        connection = await asyncpg.connect(stack.addresses.postgres, timeout=CONNECT_SECONDS_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError) as refused:
        raise Missed(f"the server takes no connections: {type(refused).__name__}") from refused
    try:
        yield connection
    finally:
        connection.terminate()


async def _backend(connection: Any, chance: random.Random) -> tuple[int, str]:
    """A backend of the victim, if possible one that is at work."""
    found: list[tuple[int, str]] = []
    for _ in range(LOOKS_MAX):
        try:
            rows = await connection.fetch(AT_WORK, VICTIM)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as lost:
            raise Missed(f"the server went away: {type(lost).__name__}") from lost
        found = sorted((row["pid"], row["state"] or "") for row in rows)
        busy = [each for each in found if each[1] != "idle"]
        if busy:
            return chance.choice(busy)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    if not found:
        raise Missed(f"the {VICTIM} had no connection")
    return chance.choice(found)


async def _until_answers(stack: WholeStack, *, unlike: int) -> None:
    """Return when a session can be had and the dead process is no more."""
    until = time.monotonic() + READY_AGAIN_SECONDS
    while True:
        try:
            async with _connected(stack) as connection:
                await connection.fetchval("SELECT 1")
            if not psutil.pid_exists(unlike):
                return
        except (Missed, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass
        if time.monotonic() > until:
            raise AssertionError(f"the server did not answer within {READY_AGAIN_SECONDS:.0f} s")
        await asyncio.sleep(CONNECT_AGAIN_SECONDS)


FAULTS: tuple[Fault, ...] = (
    BackendKilled(),
    ServerEnded("database server killed", signal.SIGKILL),
    ServerEnded("database stopped at once", signal.SIGQUIT),
)
