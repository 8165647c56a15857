"""F21: clients that do not read, read slowly, fall silent, storm or come back with an old cursor, among good ones.

The gateway is the product's, over PostgreSQL and a bus in memory. A good follower must hear every event once, in order,
whatever the others do; whoever resumes from an old cursor too; who does not read is let go; memory comes to rest.
"""

import asyncio
import base64
import json
import os
import socket
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from aiohttp import ClientSession, WSMsgType

from deploy.local.postgres import LocalPostgres
from domain.kernel.ids import DepositId
from domain.kernel.messages import Issued
from gateways.orders import websocket
from gateways.partners import sse
from infra.avro.codec import Codec
from infra.telemetry import STREAM_CLIENTS
from tests.faults.inputs.trespassing import Installation
from tests.faults.inputs.trials import Trial, Tried
from tests.kit import orders as o

CLIENTS = 40
"""Hostile clients beside each other."""
EVENTS = 2_000
"""Events while they are there: more than a follower's queue and a small socket hold."""
SLOW_EVERY, SLOW_PAUSE_S = 100, 0.2
"""A slow reader stands still that long after so many events."""
RECEIVE_BUFFER_BYTES = 2_048
HEAR_WITHIN_S = 240.0
SEND_WAIT_S = 3.0
"""How long the gateway waits for who does not read, here; ten seconds where it is not tried by the hundred."""
SUBSCRIBE_WAIT_S = 3.0
GROWTH_BYTES_MAX = 256 * 2**20
"""What all of it may add to the memory of this process, clients and database driver included."""
KINDS = (
    "never reads",
    "reads slowly",
    "falls silent",
    "half a request",
    "storms",
    "an old cursor",
    "a partner that never reads",
)
RESET = struct.pack("ii", 1, 0)
"""Closing with this lingering sends a reset at once."""


class Follower:
    """A client that reads all: what it heard of its account, by number."""

    def __init__(self) -> None:
        self.numbers: list[tuple[str, int]] = []
        self.gaps = 0
        self.last_cursor = ""

    async def follow(self, installation: Installation, session: ClientSession, cursor: str, pause_s: float = 0) -> None:
        """Until it is cancelled; a gap is told and what follows goes on."""
        headers = {"Authorization": f"Bearer {installation.token('trader', installation.ours)}"}
        subscribe: dict[str, Any] = {"type": "subscribe", "accounts": [installation.ours.ids["account_id"]]}
        async with session.ws_connect(installation.url + "/v1/stream", headers=headers, max_msg_size=0) as opened:
            await opened.send_json(subscribe | ({"cursor": cursor} if cursor else {}))
            async for message in opened:
                if message.type is not WSMsgType.TEXT:
                    continue
                frame = json.loads(message.data)
                self.gaps += frame["type"] == "gap"
                self.last_cursor = frame.get("cursor", self.last_cursor)
                if frame["type"] == "event":
                    self.numbers.append((frame["key"], frame["number"]))
                    if pause_s and len(self.numbers) % SLOW_EVERY == 0:
                        await asyncio.sleep(pause_s)

    def wrong(self) -> str:
        """What was told twice, left out or out of order."""
        last: dict[str, int] = {}
        for key, number in self.numbers:
            if key in last and number != last[key] + 1:
                return f"{key}: {number} follows {last[key]}"
            last[key] = number
        return ""


async def run(count: int, seed: int, codec: Codec) -> Tried:
    """So many hostile clients, in rounds."""
    tried = Tried("F21")
    with tempfile.TemporaryDirectory(prefix="sockets-") as folder:
        database = LocalPostgres(Path(folder) / "postgres")
        database.start()
        waits = websocket.SEND_WAIT_S, websocket.SUBSCRIBE_WAIT_S, sse.SEND_WAIT_S
        websocket.SEND_WAIT_S, websocket.SUBSCRIBE_WAIT_S, sse.SEND_WAIT_S = SEND_WAIT_S, SUBSCRIBE_WAIT_S, SEND_WAIT_S
        try:
            installation = Installation(codec, Path(folder), database.dsn)
            async with installation.open() as session:
                memory = psutil.Process(os.getpid()).memory_info().rss
                for first in range(0, count, CLIENTS):
                    numbers = range(first, min(first + CLIENTS, count))
                    await _round(installation, session, [Trial(number, seed) for number in numbers], tried)
                grown = psutil.Process(os.getpid()).memory_info().rss - memory
                tried.figures["memory_grown_mib"] = round(grown / 2**20, 1)
                if grown > GROWTH_BYTES_MAX:
                    tried.broke("all", Trial(0, seed), f"memory grew by {grown} bytes")
        finally:
            websocket.SEND_WAIT_S, websocket.SUBSCRIBE_WAIT_S, sse.SEND_WAIT_S = waits
            database.discard()
    return tried


async def _round(installation: Installation, session: ClientSession, trials: list[Trial], tried: Tried) -> None:
    """The hostile beside a good one, events meanwhile, then who heard what."""
    good, old = Follower(), []
    tasks = [asyncio.create_task(good.follow(installation, session, ""))]
    begun_at = time.monotonic()
    until = begun_at + HEAR_WITHIN_S
    while not good.last_cursor and time.monotonic() < until:
        await asyncio.sleep(0.05)
    begun = good.last_cursor
    hostile: list[socket.socket] = []
    for trial in trials:
        kind = KINDS[trial.number % len(KINDS)]
        tried.kinds[kind] += 1
        if kind in {"reads slowly", "an old cursor"}:
            follower = Follower()
            old.append((kind, trial, follower))
            pause_s = SLOW_PAUSE_S if kind == "reads slowly" else 0
            tasks.append(asyncio.create_task(follower.follow(installation, session, begun, pause_s)))
        else:
            hostile += await asyncio.to_thread(_hostile, installation, kind)
    last = await _events(installation)
    slowest = 0.0
    for kind, trial, follower in [("a good one", trials[0], good), *old]:
        while last not in follower.numbers and time.monotonic() < until:
            await asyncio.sleep(0.05)
        slowest = max(slowest, time.monotonic() - begun_at)
        tried.operations["events heard"] += len(follower.numbers)
        tried.operations["gaps told"] += follower.gaps
        why = follower.wrong() or ("" if last in follower.numbers else f"it did not hear {last}")
        if why:
            tried.broke(kind, trial, why)
    tried.figures["slowest_round_s"] = round(max(slowest, tried.figures.get("slowest_round_s", 0)), 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _let_go(trials, tried, time.monotonic() + HEAR_WITHIN_S)
    for each in hostile:
        each.close()


async def _let_go(trials: list[Trial], tried: Tried, until: float) -> None:
    """Whoever did not read is gone from the gateway although its own end still stands."""
    while (left := STREAM_CLIENTS._value.get()) and time.monotonic() < until:
        await asyncio.sleep(0.1)
    if left:
        tried.broke("never reads", trials[0], f"{left} streams of clients that do not read are still served")


async def _events(installation: Installation) -> tuple[str, int]:
    """So many events of the account, a few at a time, as a tape brings them; gives the last one."""
    account = installation.ours.ids["account_id"]
    recorded = None
    for number in range(EVENTS):
        issued = Issued(
            command=o.credit(1, deposit=DepositId(f"storm-{time.monotonic_ns()}-{number}")),
            command_id=f"storm-{time.monotonic_ns()}-{number}",
            tenant=installation.ours.name,
            stream_id=account,
            causation_id="",
            correlation_id="",
        )
        recorded = installation.doors.bus.decide("orders", issued).recorded
        if number % 50 == 0:
            await installation.catch_up()
            await asyncio.sleep(0.01)
    await installation.catch_up()
    assert recorded is not None
    return f"orders/{account}", recorded.version


def _hostile(installation: Installation, kind: str) -> list[socket.socket]:
    """One client of a kind, over sockets of its own; what it leaves open is given."""
    host, port = installation.url.removeprefix("http://").split(":")
    if kind == "storms":
        for _ in range(20):
            with socket.create_connection((host, int(port))) as one:
                one.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return []
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    one.connect((host, int(port)))
    if kind == "half a request":
        one.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthor")
    elif kind == "a partner that never reads":
        path = f"/v1/partners/subscriptions/{installation.ours.ids['subscription_id']}/stream"
        token = installation.token("partner", installation.ours)
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    else:
        token = installation.token("trader", installation.ours)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /v1/stream HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "Connection: Upgrade"]
        lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""]
        one.sendall("\r\n".join(lines).encode())
        if kind == "never reads":
            one.sendall(_frame({"type": "subscribe", "accounts": [installation.ours.ids["account_id"]]}))
    return [one]


def _frame(message: dict[str, Any]) -> bytes:
    """A text frame with a mask of zeros, below 126 bytes."""
    text = json.dumps(message).encode()
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text
