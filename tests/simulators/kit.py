"""Small verbs for the simulators' tests: start a program, script a market, trade at a venue."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
"""Longest wait for anything that should happen at once; two cores may be busy."""
POLL_S = 0.02

Json = dict[str, Any]


class Program:
    """One of the simulators, as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    async def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to leave; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)


@contextlib.asynccontextmanager
async def program(name: str, log: Path, *args: object) -> AsyncIterator[Program]:
    """Start `python -m simulators.<name>` on a free port and wait until it is ready; stderr goes to `log`."""
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"simulators.{name}", "--port", "0", *map(str, args)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
        assert ready.startswith(f"{name} ready on "), _text(log)
        yield Program(process, int(ready.rsplit(":", 1)[1]), log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def becomes(venue: Program, name: str, value: object) -> None:
    """Wait until the venue's health says so."""
    async with asyncio.timeout(PATIENCE_S):
        for _ in itertools.count():
            if (await read(venue, "/healthz"))[name] == value:
                return
            await asyncio.sleep(POLL_S)


def _text(log: Path) -> str:
    return log.read_text()


class ScriptedMarket:
    """A market that says what the test tells it to say, to whoever listens."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self._now: list[bytes] = []
        self.port = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator["ScriptedMarket"]:
        """Its door, with the market open on a day of 2012 and one quote of AAPL at 100.00 to 100.10."""
        market = cls()
        server = await asyncio.start_server(market._welcome, "127.0.0.1", 0)
        market.port = server.sockets[0].getsockname()[1]
        market.clock("OPEN")
        market.quote("100.00", "100.10")
        try:
            yield market
        finally:
            server.close()
            for writer in market._writers:
                writer.close()

    def clock(self, phase: str, date: str = "2012-06-04") -> None:
        """Time passes."""
        self._say({"type": "clock", "time": "", "phase": phase, "date": date, "day": 1, "days": 1})

    def quote(self, bid: str, ask: str, size: str = "1000", symbol: str = "AAPL") -> None:
        """The street moves."""
        self._say({"type": "quote", "symbol": symbol, "bid": bid, "ask": ask, "bid_size": size, "ask_size": size})

    def hang_up(self) -> None:
        """Cut every listener off, and say nothing to those who come back."""
        self._now = []
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def _say(self, message: Json) -> None:
        self._now = [*self._now, json.dumps(message).encode() + b"\n"][-2:]
        for writer in self._writers:
            writer.write(self._now[-1])

    async def _welcome(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(self._now))
        self._writers.append(writer)


class Customer:
    """One websocket at the venue, with everything it was told."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.told: list[Json] = []

    async def ask(self, **message: object) -> None:
        """Send one message."""
        await self._ws.send_str(json.dumps(message))

    async def buy(self, order_id: str, quantity: int = 10, limit: str | None = None, **more: object) -> None:
        """A DAY order for AAPL, at any price unless there is a limit."""
        kind = "MARKET" if limit is None else "LIMIT"
        order: Json = {"type": "new", "client_order_id": order_id, "account": "ann", "symbol": "AAPL", "side": "BUY"}
        order |= {"kind": kind, "quantity": str(quantity), "limit": limit, "time_in_force": "DAY"}
        await self.ask(**(order | more))

    async def hears(self, enough: Callable[[list[Json]], bool]) -> list[Json]:
        """Listen until that is enough; everything heard so far."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self.told):
                self.told.append(json.loads(await self._ws.receive_str()))
        return self.told

    async def hears_until_cut(self) -> list[Json]:
        """Listen until the venue hangs up."""
        async with asyncio.timeout(PATIENCE_S):
            async for message in self._ws:
                self.told.append(json.loads(message.data))
        return self.told

    @property
    def types(self) -> list[str]:
        """What was told, in short."""
        return [message["type"] for message in self.told]


@contextlib.asynccontextmanager
async def customer(venue: Program, after: int = 0) -> AsyncIterator[Customer]:
    """Connect and resume."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{venue.port}/orders") as ws:
        who = Customer(ws)
        await who.ask(type="resume", after=after)
        yield who


async def read(venue: Program, path: str) -> Json:
    """GET a JSON document of the venue."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{venue.port}{path}") as answer:
        assert answer.status == 200, await answer.text()
        found: Json = await answer.json()
        return found
