"""The venue as a program: what a customer is told over a real socket, through cuts, kills and a line that lies."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.simulators.kit import Customer, Json, Program, ScriptedMarket, becomes, customer, program, read


def venue_at(market: ScriptedMarket, tmp_path: Path, *more: object) -> contextlib.AbstractAsyncContextManager[Program]:
    where = ("--market", f"127.0.0.1:{market.port}", "--journal", tmp_path / "journal")
    return program("venue", tmp_path / "log", *where, *more)


def count(number: int) -> Callable[[list[Json]], bool]:
    return lambda told: len(told) >= number


async def test_an_order_is_accepted_and_filled_and_stands_in_drop_copy_and_statement(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path) as venue:
        async with customer(venue) as ann:
            await ann.buy("a-1", 10)
            accepted, filled = await ann.hears(count(2))
        assert (accepted["type"], accepted["seq"], accepted["client_order_id"]) == ("accepted", 1, "a-1")
        assert (filled["quantity"], filled["price"], filled["leaves"]) == ("10", "100.10", "0")
        assert (await read(venue, "/drop-copy?account=ann"))["executions"] == [filled]
        assert (await read(venue, "/drop-copy?account=bob"))["executions"] == []
        statement = await read(venue, "/statement?account=ann")
        assert (statement["holdings"], statement["cash"]) == ({"AAPL": "10"}, "-1001.00")
        assert await venue.stop() == 0


async def test_resume_brings_exactly_what_was_missed_then_what_is_new(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path) as venue:
        async with customer(venue) as ann:
            for number in range(5):
                await ann.buy(f"a{number}-1", 1)
            before = list(await ann.hears(count(10)))
        for after in range(10):
            async with customer(venue, after=after) as ann:
                assert await ann.hears(count(10 - after)) == before[after:]
        async with customer(venue, after=10) as ann:
            await ann.buy("b-1", limit="99")
            assert [m["seq"] for m in await ann.hears(count(1))] == [11]


async def test_every_customer_hears_every_message(tmp_path: Path) -> None:
    async with (
        ScriptedMarket.open() as market,
        venue_at(market, tmp_path) as venue,
        customer(venue) as ann,
        customer(venue) as bob,
    ):
        await ann.buy("a-1", limit="99")
        assert await ann.hears(count(1)) == await bob.hears(count(1))


async def test_a_killed_venue_comes_back_with_its_book_its_ids_and_its_seq(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market:
        async with venue_at(market, tmp_path) as venue, customer(venue) as ann:
            await ann.buy("a-1", 10, limit="99")
            await ann.buy("b-1", 10, limit="99")
            before = list(await ann.hears(count(2)))
            await venue.kill()
        with (tmp_path / "journal").open("ab") as torn:
            torn.write(b'{"date":"2012-06-04","told":{"type":"new","cli')
        async with venue_at(market, tmp_path) as venue, customer(venue) as ann:
            await ann.buy("a-1", 10, limit="99")
            await ann.hears(count(3))
            market.quote("98.00", "99.00", size="15")
            told = await ann.hears(count(5))
            holdings = (await read(venue, "/statement?account=ann"))["holdings"]
    assert told[:2] == before
    assert told[2]["reason"] == "duplicate_id"
    assert [(m["client_order_id"], m["quantity"], m["leaves"]) for m in told[3:]] == [
        ("a-1", "10", "0"),
        ("b-1", "5", "5"),
    ]
    assert [m["seq"] for m in told] == [1, 2, 3, 4, 5]
    assert holdings == {"AAPL": "15"}


async def test_a_venue_killed_in_the_midst_of_trading_does_nothing_twice(tmp_path: Path) -> None:
    names = [f"a{number}-1" for number in range(300)]
    async with ScriptedMarket.open() as market:
        async with venue_at(market, tmp_path) as venue, customer(venue) as ann:
            sending = asyncio.gather(*(ann.buy(name, 1) for name in names), return_exceptions=True)
            before = list(await ann.hears(count(100)))
            await venue.kill()
            await sending
        async with venue_at(market, tmp_path) as venue, customer(venue) as ann:
            for name in names:
                await ann.buy(name, 1)
            told = await ann.hears(lambda told: told[-1:] != [] and told[-1]["client_order_id"] == names[-1])
            told = await ann.hears(lambda told: Counter(m["type"] for m in told)["filled"] == len(names))
            executions = (await read(venue, "/drop-copy?account=ann"))["executions"]
    assert told[: len(before)] == before
    assert [m["seq"] for m in told] == list(range(1, len(told) + 1))
    assert sorted(m["client_order_id"] for m in executions) == sorted(names)


async def test_two_venues_do_not_share_a_journal(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path):
        with pytest.raises(AssertionError, match="another venue writes"):
            async with venue_at(market, tmp_path):
                pass


async def test_a_line_that_lies_repeats_and_swaps_but_the_drop_copy_is_clean(tmp_path: Path) -> None:
    bad = ("--duplicate", 0.3, "--reorder", 0.3, "--delay-ms", 5, "--seed", 7)
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path, *bad) as venue:
        async with customer(venue) as ann:
            for number in range(40):
                await ann.buy(f"a{number}-1", 1)
            told = await ann.hears(lambda told: {m["seq"] for m in told} == set(range(1, 81)))
        executions = (await read(venue, "/drop-copy?account=ann"))["executions"]
    heard = [m["seq"] for m in told]
    assert max(Counter(heard).values()) > 1
    assert heard != sorted(heard)
    assert [m["client_order_id"] for m in executions] == [f"a{number}-1" for number in range(40)]
    assert [m["seq"] for m in executions] == list(range(2, 81, 2))


async def test_a_dropped_connection_loses_nothing_for_who_resumes(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path, "--drop-connection", 0.2) as venue:
        told: list[Json] = []
        connections = 0
        async with customer(venue) as ann:
            for number in range(30):
                with contextlib.suppress(ConnectionError):
                    await ann.buy(f"a{number}-1", limit="99")
            told += await ann.hears_until_cut()
        last = (await read(venue, "/healthz"))["last_seq"]
        while len(told) < last:
            connections += 1
            async with customer(venue, after=len(told)) as ann:
                told += await heard_until(ann, last)
    assert [m["seq"] for m in told] == list(range(1, last + 1))
    assert connections > 0


async def heard_until(who: Customer, last: int) -> list[Json]:
    """Everything up to that number, or up to the cut."""
    with contextlib.suppress(TypeError):  # What aiohttp raises when a cut comes instead of text.
        await who.hears(lambda told: bool(told) and told[-1]["seq"] == last)
    return who.told


async def test_a_silent_market_takes_its_prices_away(tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path) as venue, customer(venue) as ann:
        await ann.buy("a-1", 1)
        await ann.hears(count(2))
        market.hang_up()
        await becomes(venue, "hears_market", False)
        await ann.buy("b-1", 1, limit="200")
        await ann.buy("c-1", 1, limit="200")
        assert [m["type"] for m in (await ann.hears(count(4)))[2:]] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    "first", ['{"type":"new"}', "[]", "no json", '{"type":"resume","after":7}', '{"type":"resume","after":-1}']
)
async def test_who_does_not_resume_first_is_told_how(tmp_path: Path, first: str) -> None:
    async with (
        ScriptedMarket.open() as market,
        venue_at(market, tmp_path) as venue,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{venue.port}/orders") as ws,
    ):
        await ws.send_str(first)
        said = await ws.receive()
    assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.POLICY_VIOLATION)
    assert said.extra


async def test_market_and_venue_trade_a_real_day_together(tmp_path: Path) -> None:
    pace = ("--speed", 5000, "--steps-per-day", 390, "--days", 1, "--wait-for-clients", 1)
    async with program("market", tmp_path / "market.log", *pace) as market:
        where = ("--market", f"127.0.0.1:{market.port}", "--journal", tmp_path / "journal")
        async with program("venue", tmp_path / "log", *where) as venue, customer(venue) as ann:
            await becomes(venue, "phase", "OPEN")
            await ann.buy("a-1", 25_000)
            await ann.buy("b-1", 10, limit="500")
            told = await ann.hears(lambda told: bool(told) and told[-1]["type"] == "expired")
    fills = [m for m in told if m["type"] == "filled"]
    assert len(fills) > 1, "a large market order is filled in parts"
    assert told[-1]["client_order_id"] == "b-1"
