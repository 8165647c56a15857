"""the market -> market_data.quotes, market_data.marks: keep every quote, and once a second the view that all share.

The same mark stands in every partition of `market_data.marks`, with the market's own time and session phase, so that
whoever reads one partition of accounts can read its marks beside it.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from urllib.parse import urlsplit

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Phase
from domain.kernel.money import parse_price, parse_quantity
from domain.market_data.marks import Board, Mark, MarkPrice, Quote, follow
from infra import telemetry
from infra.clock import instant
from infra.kafka.records import Outgoing
from infra.kafka.sender import SendFailed
from infra.settings import PARTITIONS, POLL_WAIT_MS
from streams.effects import Effect, Tools

NAME = "market_data.feed"
QUOTES, MARKS = "market_data.quotes", "market_data.marks"
MARK_EVERY_SECONDS = 1.0
"""Wall time between marks: fresh enough for collars and risk, few enough for every partition to hold them all."""
COMPLETE_EVERY_MARKS = 60
"""Every so many marks all symbols are named, so that a reader that starts anywhere soon knows every price."""
MARKS_BACK = 2 * COMPLETE_EVERY_MARKS
"""Marks read back at a start: a complete one is among them."""
RECONNECT_SECONDS = 0.5
"""Pause before the market is called again, also when it answers and hangs up at once."""
GREETING_SECONDS = 0.2
"""A market greets with its clock and every symbol's last quote: the first mark waits for them, or it would be old."""
SILENCE_SECONDS_MAX = 5.0
"""A market that says nothing for so long is lost: it promises its clock once a second, and old prices are no marks."""
GATHER_SECONDS = 0.02
"""Quotes of so long a time go to the tape together: one by one they cost the broker a request each, 500 a second."""
QUOTES_GATHERED_MAX = 500
"""Quotes that are sent together at most, in a burst before their time is up."""
SENDINGS_UNDER_WAY_MAX = 100
"""Such groups on their way to the tape at once; beyond it the market is read no further until they are there."""
LINE_BYTES_MAX = 65_536
"""Longest line the market may send."""
log = telemetry.logger(NAME)


class Line(msgspec.Struct, frozen=True):
    """One line of the market, quote or clock, with amounts as text."""

    type: str
    id: str = ""
    symbol: str = ""
    bid: str = ""
    ask: str = ""
    bid_size: str = ""
    ask_size: str = ""
    last: str = ""
    time: str = ""
    phase: str = ""
    date: str = ""


_read = msgspec.json.Decoder(Line).decode


class Marks:
    """The prices since the last mark, and the marks made of them, which go on from those on the board."""

    def __init__(self, board: Board) -> None:
        self._first = self._sequence = board.sequence + 1
        self._prices = dict(board.prices)
        self._changed: set[str] = set()
        self._market_time = Micros(0)
        self._phase = Phase.CLOSED
        self._session_date = ""

    def quote(self, quote: Quote) -> None:
        """Take a symbol's newest prices."""
        self._prices[quote.symbol] = MarkPrice(bid=quote.bid, ask=quote.ask, last=quote.last)
        self._changed.add(quote.symbol)
        self._market_time = quote.market_time

    def clock(self, line: Line) -> bool:
        """Take the market's time; True when the phase or the day changed, which is worth a mark of its own."""
        before = (self._phase, self._session_date)
        self._market_time, self._phase, self._session_date = instant(line.time), Phase(line.phase), line.date
        return before != (self._phase, self._session_date)

    def make(self, observed_at: Micros) -> Mark:
        """The next mark; the first one is complete, since the mark before it may stand in some partitions only."""
        is_complete = self._sequence == self._first or self._sequence % COMPLETE_EVERY_MARKS == 0
        names = self._prices if is_complete else self._changed
        mark = Mark(
            sequence=self._sequence,
            market_time=self._market_time,
            session_date=self._session_date,
            phase=self._phase,
            observed_at=observed_at,
            is_complete=is_complete,
            prices={name: self._prices[name] for name in sorted(names)},
        )
        self._sequence += 1
        self._changed.clear()
        return mark


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Listen to the market, calling again when it is lost or cannot be understood."""
    marks = Marks(await _last_board(tools))
    address = urlsplit(tools.settings.market_url)
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=LINE_BYTES_MAX)
            is_ready.set()
            try:
                await _listen(tools, marks, reader, stop)
            finally:
                writer.close()
        except (OSError, ValueError) as error:
            log.warning("the market is lost", url=tools.settings.market_url, why=str(error))
        if not stop.is_set():
            is_ready.clear()
            await asyncio.sleep(RECONNECT_SECONDS)


async def _listen(tools: Tools, marks: Marks, reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    """Until the market hangs up. No mark is made before its clock was heard: what was heard earlier is old."""
    loop = asyncio.get_running_loop()
    heard_at, due, knows_time = loop.time(), loop.time(), False
    quotes = Quotes(tools)
    reading = asyncio.ensure_future(reader.readline())
    try:
        while not stop.is_set():
            await asyncio.wait({reading}, timeout=quotes.wait_s(POLL_WAIT_MS / 1000))
            is_worth_a_mark = False
            if reading.done():
                heard_at = loop.time()
                line = _line(reading.result())
                reading = asyncio.ensure_future(reader.readline())
                if line.type == "quote":
                    quote = _quote(line, tools.clock())
                    marks.quote(quote)
                    quotes.add(quote)
                elif line.type == "clock":
                    is_worth_a_mark = marks.clock(line) and knows_time
                    if not knows_time:
                        knows_time, due = True, loop.time() + GREETING_SECONDS
            elif loop.time() - heard_at > SILENCE_SECONDS_MAX:
                raise ConnectionError(f"nothing was heard for {SILENCE_SECONDS_MAX:.0f} s")
            if knows_time and (is_worth_a_mark or loop.time() >= due):
                await quotes.settle()
                await _mark(tools, marks.make(tools.clock()))
                due = loop.time() + MARK_EVERY_SECONDS
            else:
                await quotes.send_due()
    finally:
        reading.cancel()
        await quotes.settle()


class Quotes:
    """Quotes on their way to the tape, some milliseconds' worth of them together."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Outgoing] = []
        self._due = 0.0
        self._under_way: set[asyncio.Task[list[int]]] = set()

    def add(self, quote: Quote) -> None:
        """One more; the first of a group says when it goes."""
        if not self._gathered:
            self._due = self._loop.time() + GATHER_SECONDS
        self._gathered.append(Outgoing(quote.symbol.encode(), self._tools.codec.encode_observed(quote), {}))

    def wait_s(self, longest_s: float) -> float:
        """How long nothing has to be sent, at most so long."""
        return max(0.0, min(longest_s, self._due - self._loop.time())) if self._gathered else longest_s

    async def send_due(self) -> None:
        """Send the group when its time is up or it is full; returns when there is room for another."""
        if self._gathered and (self._loop.time() >= self._due or len(self._gathered) >= QUOTES_GATHERED_MAX):
            self._send()
            if len(self._under_way) >= SENDINGS_UNDER_WAY_MAX:
                await self.settle()

    async def settle(self) -> None:
        """Send what was gathered and wait for all that is under way: a mark comes after the quotes it is made of."""
        self._send()
        await _settled(self._under_way)
        self._under_way.clear()

    def _send(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._under_way.add(asyncio.create_task(self._tools.sender.send_all(QUOTES, gathered)))


def _line(text: bytes) -> Line:
    if not text.endswith(b"\n"):
        raise ConnectionError("it hung up")
    return _read(text)


async def _settled(under_way: Iterable[Awaitable[object]]) -> None:
    """A quote or a mark that the tape did not take in time is old news: it is said and left, the market goes on."""
    for failure in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(failure, SendFailed):
            log.warning("not kept", why=str(failure))
        elif isinstance(failure, BaseException):
            raise failure


async def _mark(tools: Tools, mark: Mark) -> None:
    value = tools.codec.encode_observed(mark)
    await _settled([tools.sender.send(MARKS, b"", value, {}, partition) for partition in range(PARTITIONS)])


async def _last_board(tools: Tools) -> Board:
    """The fold of the newest marks of all partitions: a restart goes on with their number and their prices."""
    reader = tools.readers(f"{NAME}-last")
    try:
        ends, begins = await reader.ends(MARKS), await reader.begins(MARKS)
        starts = {
            (MARKS, number): max(begins[number], end - MARKS_BACK)
            for number, end in ends.items()
            if end > begins[number]
        }
        marks: dict[int, Mark] = {}
        if starts:
            await reader.assign(starts)
        while any(reader.position().get(place, at) < ends[place[1]] for place, at in starts.items()):
            for arrived in await reader.take(MARKS_BACK, POLL_WAIT_MS):
                mark = tools.codec.decode_observed(arrived.value, Mark)
                marks[mark.sequence] = mark
    finally:
        await reader.close()
    board = Board()
    for _, mark in sorted(marks.items()):
        board = follow(board, mark)
    return board


def _quote(line: Line, observed_at: Micros) -> Quote:
    return Quote(
        source_id=line.id,
        symbol=Symbol(line.symbol),
        bid=parse_price(line.bid),
        ask=parse_price(line.ask),
        bid_size=parse_quantity(line.bid_size),
        ask_size=parse_quantity(line.ask_size),
        last=parse_price(line.last),
        market_time=instant(line.time),
        observed_at=observed_at,
    )


feed = Effect(NAME, run)
