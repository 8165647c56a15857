"""The market feed: one view a second for every partition, numbered on through restarts, and never an old one."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.money import parse_price
from domain.market_data.marks import Board, Mark, MarkPrice, Quote
from infra.avro.codec import Codec
from infra.catalogue import Feed, fed
from infra.clock import instant
from infra.kafka.records import Arrived
from infra.kafka.topics import declare
from infra.settings import PARTITIONS, Settings
from streams.market_data import feed
from tests.kit.hosting import PATIENCE_S, Broker, Life, at_work, dies
from tests.simulators.kit import program

pytestmark = pytest.mark.kafka
MORNING = "2012-06-04T09:30:00-04:00"
EVERY = range(PARTITIONS)


class ToldMarket:
    """A market that says what the test tells it to say, and greets whoever comes as a market does."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self._clock: dict[str, Any] = {}
        self._quotes: dict[str, dict[str, Any]] = {}
        self._server: asyncio.Server | None = None
        self._greets = True
        self.port = 0
        self.callers = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, *, greets: bool = True) -> AsyncIterator["ToldMarket"]:
        """Open, with AAPL at 100 and the morning's clock."""
        market = cls()
        market._greets = greets
        await market.come_back()
        market.clock(Phase.OPEN)
        market.quote("AAPL", "100.00")
        try:
            yield market
        finally:
            market.go_away()

    async def come_back(self) -> None:
        """Take callers, on the port of the first time."""
        self._server = await asyncio.start_server(self._welcome, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def go_away(self) -> None:
        """Cut everybody off."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def clock(self, phase: Phase, time: str = MORNING) -> None:
        self._clock = {"type": "clock", "time": time, "phase": phase, "date": time[:10], "day": 1, "days": 1}
        self.say(json.dumps(self._clock))

    def quote(self, symbol: str, last: str, number: int = 1) -> None:
        amounts = {"bid": last, "ask": last, "bid_size": "10", "ask_size": "10", "last": last}
        self._quotes[symbol] = {
            "type": "quote",
            "id": f"{symbol}-{number}",
            "symbol": symbol,
            "time": MORNING,
            **amounts,
        }
        self.say(json.dumps(self._quotes[symbol]))

    def say(self, line: str) -> None:
        """Any line."""
        for writer in self._writers:
            writer.write(line.encode() + b"\n")

    async def _welcome(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        self._writers.append(writer)
        for line in (self._clock, *self._quotes.values()) if self._greets else ():
            writer.write(json.dumps(line).encode() + b"\n")


class Street:
    """What the feed has written."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def settings(self, port: int) -> Settings:
        return Settings(kafka=self.broker.bootstrap, market_url=f"tcp://127.0.0.1:{port}")

    async def marks(self, enough: Callable[[list[Mark]], bool], partition: int = 0) -> list[Mark]:
        """The marks of one partition, once they are enough."""
        found = await self.broker.read(feed.MARKS, lambda found: enough(list(map(self._mark, found))), [partition])
        return list(map(self._mark, found))

    async def now(self, partition: int = 0) -> list[Mark]:
        """The marks of one partition that are there now."""
        return [self._mark(each) for each in await self.broker.all_of(feed.MARKS) if each.partition == partition]

    def _mark(self, arrived: Arrived) -> Mark:
        return self.broker.codec.decode_observed(arrived.value, Mark)


@pytest.fixture
def street(kafka: LocalKafka, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> Street:
    run = f"street-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(feed, "QUOTES", f"{run}.quotes")
    monkeypatch.setattr(feed, "MARKS", f"{run}.marks")
    declare(kafka.bootstrap, fed(run, [Feed("quotes", Quote), Feed("marks", Mark)]))
    return Street(Broker(kafka.bootstrap, codec))


def count(number: int) -> Callable[[list[Mark]], bool]:
    return lambda marks: len(marks) >= number


async def test_every_partition_holds_the_same_marks_in_the_same_order(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        held = [await street.marks(count(3), partition) for partition in EVERY]
    assert [mark.sequence for mark in held[0][:3]] == [0, 1, 2]
    assert all(marks[:3] == held[0][:3] for marks in held)


async def test_marks_come_once_a_second(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        marks = await street.marks(count(4))
    pauses = [after.observed_at - before.observed_at for before, after in itertools.pairwise(marks)]
    assert all(pause >= 0.9e6 * feed.MARK_EVERY_SECONDS for pause in pauses), pauses
    assert sum(pauses) / len(pauses) < 2e6 * feed.MARK_EVERY_SECONDS, pauses


async def test_a_mark_names_what_changed_and_the_first_one_everything(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        market.quote("MSFT", "30.00")
        await street.marks(count(1))
        market.quote("AAPL", "101.00")
        marks = await street.marks(lambda marks: any(_last(mark, "AAPL") == "101.00" for mark in marks))
    assert (marks[0].is_complete, _last(marks[0], "AAPL"), marks[0].phase) == (True, "100.00", Phase.OPEN)
    assert marks[0].market_time == instant(MORNING)
    assert set(marks[-1].prices) == {"AAPL"}
    assert not marks[-1].is_complete


def _last(mark: Mark, symbol: str) -> str:
    return f"{mark.prices[symbol].last / 10**8:.2f}" if symbol in mark.prices else ""


async def test_a_change_of_phase_is_a_mark_at_once(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        await street.marks(count(1))
        for minute in range(5):
            market.clock(Phase.CLOSED, f"2012-06-04T16:0{minute}:00-04:00")
            market.clock(Phase.OPEN, f"2012-06-05T09:3{minute}:00-04:00")
        marks = await street.marks(lambda marks: len(marks) > 10)
    phases = [(mark.phase, mark.session_date) for mark in marks]
    for phase in ((Phase.CLOSED, "2012-06-04"), (Phase.OPEN, "2012-06-05")):
        assert phases.count(phase) >= 5
    changes = [mark for mark in marks if mark.session_date == "2012-06-04" and mark.phase is Phase.CLOSED]
    assert changes[-1].observed_at - changes[0].observed_at < 1e6 * feed.MARK_EVERY_SECONDS


async def test_quotes_are_kept_as_they_came_by_symbol(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        await street.marks(count(1))
        for number in range(2, 12):
            market.quote("MSFT", "30.00", number)
        arrived = await street.broker.read(feed.QUOTES, 11)
    quotes = [street.broker.codec.decode_observed(each.value, Quote) for each in arrived]
    assert [each.source_id for each in quotes if each.symbol == "MSFT"] == [f"MSFT-{number}" for number in range(2, 12)]
    assert {each.key.decode() for each in arrived} == {"AAPL", "MSFT"}


async def test_numbers_and_prices_go_on_after_a_restart(street: Street) -> None:
    async with ToldMarket.open() as market:
        for run in (1, 2, 3):
            async with street.broker.tools(street.settings(market.port)) as tools, at_work(feed.feed, tools):
                await street.marks(count(2 * run))
    for partition in EVERY:
        marks = await street.now(partition)
        assert [mark.sequence for mark in marks] == list(range(len(marks)))


async def test_a_mark_that_was_cut_short_by_a_kill_is_made_good_by_the_next(street: Street) -> None:
    async with ToldMarket.open() as market:
        where, life = (
            street.settings(market.port),
            Life("send", after=8),
        )  # A group of quotes, four of the first mark, two of the second.
        async with street.broker.tools(where, life) as tools:
            with contextlib.suppress(BaseExceptionGroup, Exception):
                async with at_work(feed.feed, tools) as task:
                    await dies(task, life)
        assert life.is_over
        lasts = [(await street.now(partition))[-1].sequence for partition in EVERY]
        assert lasts == [1, 1, 0, 0]
        torn = max(lasts)
        async with street.broker.tools(where) as tools, at_work(feed.feed, tools):
            for partition in EVERY:
                marks = await street.marks(lambda marks: bool(marks) and marks[-1].sequence > torn, partition)
                again = next(mark for mark in marks if mark.sequence > torn)
                assert (again.sequence, again.is_complete) == (torn + 1, True)
                assert _last(again, "AAPL") == "100.00"


async def test_a_market_that_is_lost_and_back_is_heard_again(street: Street) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools) as task,
    ):
        before = (await street.marks(count(1)))[-1]
        market.go_away()
        market.quote("AAPL", "105.00", 2)
        await market.come_back()
        marks = await street.marks(lambda marks: any(_last(mark, "AAPL") == "105.00" for mark in marks))
        assert not task.done()
    assert [mark.sequence for mark in marks] == list(range(len(marks)))
    assert before.sequence < marks[-1].sequence


async def test_no_mark_is_made_before_the_market_has_told_its_time(street: Street) -> None:
    async with (
        ToldMarket.open(greets=False) as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        async with asyncio.timeout(PATIENCE_S):
            while not market.callers:
                await asyncio.sleep(0.01)
        market.quote("AAPL", "100.00", 2)
        await street.broker.read(feed.QUOTES, 1)
        market.clock(Phase.OPEN)
        first = (await street.marks(count(1)))[0]
    assert (first.sequence, first.phase, first.market_time) == (0, Phase.OPEN, instant(MORNING))


async def test_a_market_without_a_word_is_called_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SILENCE_SECONDS_MAX", 0.3)
    async with (
        ToldMarket.open(greets=False) as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
        asyncio.timeout(PATIENCE_S),
    ):
        while market.callers < 2:
            await asyncio.sleep(0.01)
    assert await street.now() == []


@pytest.mark.parametrize(
    "line", ["no json", '{"type":"quote","symbol":"AAPL","bid":"x"}', '{"type":"clock"}', "x" * 70_000]
)
async def test_a_line_that_cannot_be_read_ends_the_call_and_not_the_process(street: Street, line: str) -> None:
    async with (
        ToldMarket.open() as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools) as task,
    ):
        await street.marks(count(1))
        market.say(line)
        async with asyncio.timeout(PATIENCE_S):
            while market.callers < 2:
                await asyncio.sleep(0.01)
        marks = await street.marks(count(3))
        assert not task.done()
    assert marks[-1].phase is Phase.OPEN


async def test_a_played_day_of_the_market_simulator_is_marked_through_all_its_phases(
    street: Street, tmp_path: Path
) -> None:
    fast = ("--speed", "4000", "--steps-per-day", "60", "--days", "1", "--wait-for-clients", "1")
    async with (
        program("market", tmp_path / "log", *fast) as market,
        street.broker.tools(street.settings(market.port)) as tools,
        at_work(feed.feed, tools),
    ):
        marks = await street.marks(lambda marks: marks[-1:] != [] and marks[-1].phase is Phase.CLOSED)
    assert list(dict.fromkeys(mark.phase for mark in marks)) == [Phase.PRE_OPEN, Phase.OPEN, Phase.CLOSED]
    times = [mark.market_time for mark in marks]
    assert times == sorted(times)
    assert set().union(*(mark.prices for mark in marks)) == {"AAPL", "GOOG", "IBM", "MSFT", "FB"}


def test_every_sixtieth_mark_names_all_symbols() -> None:
    price = MarkPrice(bid=parse_price("1"), ask=parse_price("1"), last=parse_price("1"))
    marks = feed.Marks(Board(sequence=-1, prices={"AAPL": price}))
    made = [marks.make(Micros(1)) for _ in range(2 * feed.COMPLETE_EVERY_MARKS + 1)]
    assert [mark.sequence for mark in made if mark.is_complete] == [0, 60, 120]
    assert [mark.sequence for mark in made if mark.prices] == [0, 60, 120]
