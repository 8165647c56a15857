"""The market over a real socket: who comes late, who cannot keep up, and how it ends."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from simulators import amounts
from simulators.market import days
from tests.simulators.kit import PATIENCE_S, Json, Program, program

FAST = ("--speed", "20000", "--steps-per-day", "60")
"""A market day in about one and a half wall seconds."""


@contextlib.asynccontextmanager
async def listener(market: Program) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", market.port)
    try:
        yield reader
    finally:
        writer.close()


async def heard(reader: asyncio.StreamReader, enough: Callable[[Json], bool]) -> list[Json]:
    lines: list[Json] = []
    async with asyncio.timeout(PATIENCE_S):
        while not lines or not enough(lines[-1]):
            lines.append(json.loads(await reader.readline()))
    return lines


def is_end(line: Json) -> bool:
    return bool(line["type"] == "end")


async def test_a_played_day_has_its_phases_and_its_four_real_prices(tmp_path: Path) -> None:
    async with program("market", tmp_path / "log", *FAST, "--days", 1, "--wait-for-clients", 1) as market:
        async with listener(market) as reader:
            lines = await heard(reader, is_end)
            clock_after_the_end = (await heard(reader, lambda _: True))[0]
        assert await market.stop() == 0
    phases = [line["phase"] for line in lines if line["type"] == "clock"]
    assert list(dict.fromkeys(phases)) == ["PRE_OPEN", "OPEN", "CLOSED"]
    assert clock_after_the_end["phase"] == "CLOSED"
    for day in days.sessions(count=1)[0].days:
        last = [amounts.parse(line["last"]) for line in lines if line.get("symbol") == day.symbol]
        assert (last[0], max(last), min(last), last[-1]) == (day.open, day.high, day.low, day.close)


async def test_two_markets_with_one_seed_say_the_same_quotes(tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        starting = program("market", tmp_path / "log", *FAST, "--days", 1, "--wait-for-clients", 1)
        async with starting as market, listener(market) as reader:
            said.append([line for line in await heard(reader, is_end) if line["type"] == "quote"])
    assert said[0] == said[1]


async def test_a_late_client_hears_the_clock_and_each_current_quote_first(tmp_path: Path) -> None:
    async with program("market", tmp_path / "log", *FAST, "--days", 1) as market:
        async with listener(market) as early:
            await heard(early, is_end)
        async with listener(market) as late:
            first = await heard(late, is_end)
    assert [line["type"] for line in first] == ["clock", *["quote"] * 5, "end"]
    assert {line["id"][-6:] for line in first[1:-1]} == {"000059"}


async def test_a_slow_client_is_cut_and_others_hear_everything(tmp_path: Path) -> None:
    busy = ("--speed", "5000", "--steps-per-day", "3000", "--days", "1", "--wait-for-clients", "2")
    async with program("market", tmp_path / "log", *busy, "--client-lines", 5000) as market:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", market.port))
        with slow:
            async with listener(market) as reader:
                lines = await heard(reader, is_end)
    assert sum(line["type"] == "quote" for line in lines) == 3000 * 5
    assert f"cut client 127.0.0.1:{slow_port(market.log)}" in market.log.read_text()
    assert market.log.read_text().count("cut client") == 1


def slow_port(log: Path) -> str:
    """The slow client connected first."""
    return next(line for line in log.read_text().splitlines() if "joined" in line).split(":")[-1].split()[0]
