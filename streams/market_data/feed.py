"""the market -> market_data.quotes, market_data.marks: keep every quote, and once a second the view that all share.

The same mark stands in every partition of `market_data.marks`, with the market's own time and session phase, so that
whoever reads one partition of accounts can read its marks beside it.
"""

import asyncio
from urllib.parse import urlsplit

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Phase
from domain.kernel.money import parse_price, parse_quantity
from domain.market_data.marks import Mark, MarkPrice, Quote
from infra import telemetry
from infra.clock import instant
from infra.settings import PARTITIONS, POLL_WAIT_MS
from streams.effects import Effect, Tools

NAME = "market_data.feed"
QUOTES, MARKS = "market_data.quotes", "market_data.marks"
MARK_EVERY_SECONDS = 1.0
"""Wall time between marks: fresh enough for collars and risk, few enough for every partition to hold them all."""
COMPLETE_EVERY_MARKS = 60
"""Every so many marks all symbols are named, so that a reader that starts anywhere soon knows every price."""
RECONNECT_SECONDS = 0.5
"""Pause before the market is called again."""
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
    """The prices since the last mark, and the marks made of them."""

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence
        self._prices: dict[str, MarkPrice] = {}
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
        """The next mark."""
        is_complete = self._sequence % COMPLETE_EVERY_MARKS == 0
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
    """Listen to the market, calling again when it is lost."""
    marks = Marks(await _next_sequence(tools))
    address = urlsplit(tools.settings.market_url)
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=LINE_BYTES_MAX)
        except OSError as error:
            log.warning("the market does not answer", url=tools.settings.market_url, why=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)
            continue
        is_ready.set()
        try:
            await _listen(tools, marks, reader, stop)
        finally:
            writer.close()


async def _listen(tools: Tools, marks: Marks, reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    under_way: set[asyncio.Task[int]] = set()
    reading = asyncio.ensure_future(reader.readline())
    while not stop.is_set():
        await asyncio.wait({reading}, timeout=POLL_WAIT_MS / 1000)
        is_worth_a_mark = False
        if reading.done():
            text = reading.result()
            if not text:
                return
            line = _read(text)
            if line.type == "quote":
                quote = _quote(line, tools.clock())
                marks.quote(quote)
                under_way.add(asyncio.create_task(_keep(tools, quote)))
            elif line.type == "clock":
                is_worth_a_mark = marks.clock(line)
            reading = asyncio.ensure_future(reader.readline())
        if is_worth_a_mark or loop.time() >= due:
            await asyncio.gather(*under_way)
            under_way.clear()
            await _mark(tools, marks.make(tools.clock()))
            due = loop.time() + MARK_EVERY_SECONDS
    reading.cancel()


async def _keep(tools: Tools, quote: Quote) -> int:
    return await tools.sender.send(QUOTES, quote.symbol.encode(), tools.codec.encode_observed(quote), {})


async def _mark(tools: Tools, mark: Mark) -> None:
    value = tools.codec.encode_observed(mark)
    await asyncio.gather(*(tools.sender.send(MARKS, b"", value, {}, partition) for partition in range(PARTITIONS)))


async def _next_sequence(tools: Tools) -> int:
    """One more than the last mark in any partition, so that a restart does not number two marks alike."""
    reader = tools.readers(f"{NAME}-last")
    try:
        ends, begins = await reader.ends(MARKS), await reader.begins(MARKS)
        places = {(MARKS, number): end - 1 for number, end in ends.items() if end > begins[number]}
        if not places:
            return 0
        await reader.assign(places)
        last = -1
        while any(reader.position().get(place, 0) <= offset for place, offset in places.items()):
            for arrived in await reader.take(PARTITIONS, POLL_WAIT_MS):
                last = max(last, tools.codec.decode_observed(arrived.value, Mark).sequence)
        return last + 1
    finally:
        await reader.close()


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
