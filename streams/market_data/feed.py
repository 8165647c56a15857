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
"""Pause between two looks at what the market has said. Quotes of one look go to the tape together: one by one, 500 a
second, each costs a wake-up here and a request at the broker."""
LINE_BYTES_MAX = 65_536
"""Longest line the market may send, and as much of what it says as one look takes."""
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
    lines, quotes = Lines(reader), Quotes(tools)
    try:
        while not stop.is_set():
            heard = await lines.next(POLL_WAIT_MS / 1000)
            if heard:
                heard_at = loop.time()
            elif loop.time() - heard_at > SILENCE_SECONDS_MAX:
                raise ConnectionError(f"nothing was heard for {SILENCE_SECONDS_MAX:.0f} s")
            for line in map(_read, heard):
                if line.type == "quote":
                    quote = _quote(line, tools.clock())
                    marks.quote(quote)
                    quotes.add(quote)
                elif line.type == "clock":
                    if marks.clock(line) and knows_time:
                        due = await _shared(tools, marks, quotes)
                    elif not knows_time:
                        knows_time, due = True, loop.time() + GREETING_SECONDS
            quotes.send()
            if knows_time and loop.time() >= due:
                due = await _shared(tools, marks, quotes)
            await asyncio.sleep(GATHER_SECONDS)
    finally:
        lines.close()
        await quotes.settle()


async def _shared(tools: Tools, marks: Marks, quotes: "Quotes") -> float:
    """The next mark, after the quotes it is made of; gives when another is due."""
    await quotes.settle()
    value = tools.codec.encode_observed(marks.make(tools.clock()))
    await _settled([tools.sender.send(MARKS, b"", value, {}, partition) for partition in range(PARTITIONS)])
    return asyncio.get_running_loop().time() + MARK_EVERY_SECONDS


class Lines:
    """Whatever lines the market has said since they were last asked for."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._begun = b""
        self._reading: asyncio.Task[bytes] | None = None

    async def next(self, wait_s: float) -> list[bytes]:
        """Every whole line that is there, none when nothing comes in time. Raises ConnectionError and ValueError."""
        self._reading = self._reading or asyncio.create_task(self._reader.read(LINE_BYTES_MAX))
        await asyncio.wait({self._reading}, timeout=wait_s)
        if not self._reading.done():
            return []
        said, self._reading = self._reading.result(), None
        if not said:
            raise ConnectionError("it hung up")
        *whole, self._begun = (self._begun + said).split(b"\n")
        if len(self._begun) > LINE_BYTES_MAX:
            raise ValueError(f"a line has more than {LINE_BYTES_MAX} bytes")
        return whole

    def close(self) -> None:
        """Nothing more is read."""
        if self._reading is not None:
            self._reading.cancel()


class Quotes:
    """Quotes on their way to the tape, those of one look together; a mark settles them once a second."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gathered: list[Outgoing] = []
        self._under_way: set[asyncio.Task[list[int]]] = set()

    def add(self, quote: Quote) -> None:
        """One more of this group."""
        self._gathered.append(Outgoing(quote.symbol.encode(), self._tools.codec.encode_observed(quote), {}))

    def send(self) -> None:
        """The group goes out; whoever asks next begins another."""
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._under_way.add(asyncio.create_task(self._tools.sender.send_all(QUOTES, gathered)))

    async def settle(self) -> None:
        """Send what was gathered and wait for all that is under way."""
        self.send()
        await _settled(self._under_way)
        self._under_way.clear()


async def _settled(under_way: Iterable[Awaitable[object]]) -> None:
    """A quote or a mark that the tape did not take in time is old news: it is said and left, the market goes on."""
    for failure in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(failure, SendFailed):
            log.warning("not kept", why=str(failure))
        elif isinstance(failure, BaseException):
            raise failure


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
