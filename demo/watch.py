"""The tape as an analyst reads it: every event counted as it comes, holdings and halts folded, marks followed.

Nothing of it comes from the customers or from Postgres, so that what the screen shows can be set beside what they saw.
"""

import asyncio
from collections import Counter, defaultdict

from demo.breaks import Breaks
from domain.billing import events as b
from domain.kernel.ids import Symbol
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import Quantity, notional
from domain.market_data.marks import Board, Mark, follow
from domain.orders import events as o
from domain.risk import events as r
from infra.avro.codec import Codec
from infra.kafka.chain import Link
from infra.kafka.chain import follow as chain
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived, Partition
from infra.settings import PARTITIONS

MARKS = "market_data.marks"
TAKE_MAX = 2_000
"""Records taken together while watching."""


class Watch:
    """What the tape says so far."""

    def __init__(self, reader: Reader, codec: Codec, contexts: list[str]) -> None:
        self.events: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.board = Board()
        self.halted: dict[str, set[str]] = defaultdict(set)
        self.breaches = 0
        self.cleared = 0
        self.breaks = Breaks()
        self.charged: set[str] = set()
        """Accounts that owe something."""
        self.holdings: Counter[Symbol] = Counter()
        self._links: dict[Partition, Link] = {}
        self._reader = reader
        self._codec = codec
        self._topics = [f"{context}.events" for context in contexts]

    async def run(self) -> None:
        """Follow until cancelled."""
        starts = {(topic, number): BEGINNING for topic in self._topics for number in range(PARTITIONS)}
        await self._reader.assign({**starts, (MARKS, 0): BEGINNING})
        while True:
            for arrived in await self._reader.take(TAKE_MAX, 100):
                self._take(arrived)
            await asyncio.sleep(0)

    @property
    def exposure(self) -> int:
        """Value of all holdings of all accounts at the last prices, in cents."""
        prices = {symbol: price.last for symbol, price in self.board.prices.items()}
        return sum(
            notional(Quantity(abs(held)), prices[symbol]) for symbol, held in self.holdings.items() if symbol in prices
        )

    def _take(self, arrived: Arrived) -> None:
        if arrived.topic == MARKS:
            self.board = follow(self.board, self._codec.decode_observed(arrived.value, Mark))
            return
        recorded = self._codec.decode_event(arrived.value)
        place = (arrived.topic, arrived.partition)
        link = self._links.get(place, Link())
        self._links[place] = chain(link, recorded, arrived.value, place=f"{arrived.topic}[{arrived.partition}]")
        self.events[f"{arrived.topic.partition('.')[0]} {type(recorded.event).__name__}"] += 1
        self._fold(recorded)

    def _fold(self, recorded: Recorded[Event]) -> None:
        self.breaks.take(recorded)
        match recorded.event:
            case o.OrderRefused(reason=reason) | o.BookRefused(reason=reason):
                self.refusals[str(reason)] += 1
            case o.OrderFilled() as event:
                sign = 1 if event.side == "BUY" else -1
                self.holdings[event.symbol] += sign * event.quantity
            case o.TradingHalted(cause=cause):
                self.halted[recorded.stream_id].add(cause)
            case o.TradingResumed(cause=cause):
                self.halted[recorded.stream_id].discard(cause)
            case r.LimitBreached():
                self.breaches += 1
            case b.CommissionAccrued():
                self.charged.add(recorded.stream_id)
            case r.BreachCleared():
                self.cleared += 1
            case _:
                pass
