"""F24: every kind of forged token at every door, over HTTP, websocket and SSE: one answer for all, and nothing done.

Doors come from the contract that the gateway publishes, `/openapi.json`, so that a new route is tried the day it is
there. The control: a genuine token is let through every one of these doors.
"""

import asyncio
import base64
import contextlib
import itertools
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, TCPConnector

import contexts
import main
from gateways import docs, page, server
from gateways.audit.evidence import Evidence
from gateways.auth import TOKEN_SUBPROTOCOL, Doorkeeper
from gateways.routes import Route
from infra import audit_key
from infra.audit_files import AuditFiles
from infra.avro.codec import Codec
from infra.tokens import Scope
from tests.faults.inputs import forgeries, forgeries_of_claims
from tests.faults.inputs.crafting import Crafter
from tests.faults.inputs.forgery import Forgery
from tests.faults.inputs.trials import Trial, Tried
from tests.kit.doors import Doors
from tests.projections.audit.tape import Tape as MemoryTape

FORGERIES = (*forgeries.FORGERIES, *forgeries_of_claims.FORGERIES)
ACCOUNT = "account-forged"
AT_ONCE = 8
"""Requests under way together."""
ANSWER_WAIT_S = 60.0
SIGNED_BY_OUTSIDERS = "/webhooks/"
HEAD_TOO_LARGE = {400, 431}
"""What the server answers before any door is asked."""
EVERY_SCOPE = list(Scope)


class Door(msgspec.Struct, frozen=True):
    """One way in: a method and a path with ids filled in; how the token is carried."""

    method: str
    path: str
    carrier: str = "bearer"

    @property
    def name(self) -> str:
        """As a finding names it."""
        return f"{self.method} {self.path} ({self.carrier})"

    def headers(self, token: str) -> dict[str, str]:
        """The token where this door looks for it."""
        match self.carrier:
            case "password":
                return {"Authorization": f"Basic {_basic(token)}"}
            case "subprotocol":
                return {"Sec-WebSocket-Protocol": f"tapeline.v1, {TOKEN_SUBPROTOCOL}{token}"}
            case "handshake":
                return {"Authorization": f"Bearer {token}", **HANDSHAKE}
            case _:
                return {"Authorization": f"Bearer {token}"}


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def _basic(token: str) -> str:
    return base64.b64encode(f"token:{token}".encode("utf-8", "surrogatepass")).decode()


def doors_of(contract: dict[str, Any]) -> list[Door]:
    """Every operation of the contract; the socket by its handshake too, one read by each way to carry a token."""
    found = []
    for path, operations in contract["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda match: ACCOUNT if match[1] == "account_id" else "1", path)
        found += [Door(method.upper(), filled) for method in operations]
    found += [Door("GET", "/v1/stream", "handshake"), Door("GET", "/v1/stream", "subprotocol")]
    return [*found, Door("GET", "/subjects", "password")]


class Gateway:
    """The gateway of the product, all its routes, over a bus in memory: whatever got in would be seen there."""

    def __init__(self, codec: Codec, folder: Path) -> None:
        self.doors = Doors(codec, folder)
        self.folder = folder
        self.url = ""
        verifier = audit_key.signer(folder).verifier
        self.routes = main.routes(lambda: Evidence(AuditFiles(folder), verifier, MemoryTape))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[ClientSession]:
        """The doors, and somebody before them."""
        routes = self.routes
        keeper = Doorkeeper(self.doors.verifier, 10**9)
        app = server.application(routes, self.doors.services, keeper, lambda: (True, ""))
        app.add_routes([*docs.routes(routes, tuple(contexts.carried())), *page.routes()])
        runner = await server.serve(app, "127.0.0.1", 0)
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            async with ClientSession(connector=TCPConnector(limit=AT_ONCE)) as session:
                yield session
        finally:
            await self.doors.services.sockets.close()
            await runner.cleanup()
            await self.doors.database.close()


def outsiders(routes: list[Route]) -> set[str]:
    """Paths where a signature stands for a token."""
    return {route.path for route in routes if route.is_signed}


async def run(count: int, seed: int, codec: Codec) -> Tried:
    """So many pairs of kind and door, all of them when there are no more."""
    tried = Tried("F24")
    with tempfile.TemporaryDirectory(prefix="forging-") as folder:
        gateway = Gateway(codec, Path(folder))
        genuine = gateway.doors.token(ACCOUNT, EVERY_SCOPE, ttl_s=86_400)
        crafter = Crafter(Path(folder), genuine)
        async with gateway.open() as session:
            contract = await (await session.get(gateway.url + "/openapi.json")).json()
            signed = outsiders(gateway.routes)
            doors = [door for door in doors_of(contract) if door.path not in signed]
            tried.operations["doors"] = len(doors)
            tried.operations["kinds"] = len(FORGERIES)
            await _control(gateway, session, doors)
            pairs = list(itertools.islice(_pairs(doors), count))
            at_once = asyncio.Semaphore(AT_ONCE)
            expected = await _refused(gateway, session)

            async def knock(number: int, door: Door, forgery: Forgery) -> None:
                async with at_once:
                    trial = Trial(number, seed)
                    token = forgery.make(crafter, trial.chance())
                    why = await _tried(gateway, session, door, forgery, token, expected)
                    tried.kinds[forgery.name] += 1
                    if why:
                        tried.broke(f"{forgery.name} at {door.name}", trial, why)

            for first in range(0, len(pairs), 1_000):
                batch = pairs[first : first + 1_000]
                await asyncio.gather(*(knock(first + at, *pair) for at, pair in enumerate(batch)))
        done = len(gateway.doors.bus.sent) + len(gateway.doors.feeds.sent)
        if done:
            tried.broke("all", Trial(0, seed), f"{done} commands were sent for tokens that are none")
    return tried


def _pairs(doors: list[Door]) -> Iterator[tuple[Door, Forgery]]:
    """Every kind at every door, once: each round tries all kinds, each kind at the next door."""
    for first in range(len(doors)):
        for number, forgery in enumerate(FORGERIES):
            yield doors[(first + number) % len(doors)], forgery


async def _refused(gateway: Gateway, session: ClientSession) -> bytes:
    """The one answer for all of them: that of no token."""
    async with session.get(gateway.url + "/v1/quotes") as response:
        assert response.status == 401
        return await response.read()


async def _control(gateway: Gateway, session: ClientSession, doors: list[Door]) -> None:
    """A genuine token is let through each door: what comes then is not 401."""
    genuine = gateway.doors.token(ACCOUNT, EVERY_SCOPE, ttl_s=600)
    for door in doors:
        status, _ = await _asked(gateway, session, door, genuine)
        assert status not in {401, 0}, f"{door.name}: a genuine token is refused: the trials show nothing"
    gateway.doors.bus.sent.clear()


async def _tried(
    gateway: Gateway, session: ClientSession, door: Door, forgery: Forgery, token: str, expected: bytes
) -> str:
    """Why this was not refused as it must be."""
    try:
        status, body = await _asked(gateway, session, door, token)
    except ValueError as error:
        # What no client can send as a header: the bytes go over a socket of our own.
        status, body = await _raw(gateway, door, token)
        if status == 0:
            return f"no answer to bytes that no client sends ({error})"
    if forgery.is_huge:
        return "" if status in {401, *HEAD_TOO_LARGE} else f"answered {status}"
    if status == 400 and not body.startswith(b"{"):
        return "" if _is_no_header(token) else f"answered {status}: {body[:200]!r}"
    if status != 401:
        return f"answered {status}: {body[:200]!r}"
    return "" if body == expected else f"another refusal than that of no token: {body[:200]!r}"


def _is_no_header(token: str) -> bool:
    """Bytes that may not stand in a header: the server turns them away before any door."""
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in token)


async def _asked(gateway: Gateway, session: ClientSession, door: Door, token: str) -> tuple[int, bytes]:
    headers = door.headers(token)
    if door.method != "GET":
        headers |= {"Idempotency-Key": "forged", "Content-Type": "application/json"}
    data = None if door.method == "GET" else b"{}"
    async with asyncio.timeout(ANSWER_WAIT_S):
        async with session.request(door.method, gateway.url + door.path, headers=headers, data=data) as response:
            body = b"" if response.status in {101, 200} else await response.read()
            if response.status in {101, 200}:
                response.close()  # A stream would go on.
            return response.status, body


async def _raw(gateway: Gateway, door: Door, token: str) -> tuple[int, bytes]:
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{door.method} {door.path} HTTP/1.1", f"Host: {host}", "Connection: close", "Content-Length: 0"]
    lines += [f"{name}: {value}" for name, value in door.headers(token).items() if name != "Connection"]
    writer.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass"))
    try:
        async with asyncio.timeout(ANSWER_WAIT_S):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]), body) if head.startswith(b"HTTP/") else (0, answer)
