"""One symbol's order book: price-time priority between customers and the street. Pure, integers only.

The street is whoever stands behind the market's quotes. Each quote takes its two old orders away and enters two new
ones, as anybody's order is entered: they meet customers' crossing orders first, and what is left rests behind the
customers who were there before.
"""

from bisect import bisect_left, insort_right
from dataclasses import dataclass, field
from enum import StrEnum

STREET = ""
"""The id of the street's orders; no customer's order has an empty one."""


class Side(StrEnum):
    """Which way shares move."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def other(self) -> "Side":
        """The side that this one meets."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(slots=True, eq=False)
class Entry:
    """An order as the book sees it; without a limit it takes any price."""

    id: str
    side: Side
    limit: int | None
    leaves: int

    @property
    def rank(self) -> int:
        """Smaller is better: an order without a limit before all others, then the best price."""
        if self.limit is None:
            return -(2**63)
        return -self.limit if self.side is Side.BUY else self.limit


@dataclass(frozen=True, slots=True)
class Quote:
    """Where the street stands, and for how much."""

    symbol: str
    bid: int
    bid_size: int
    ask: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class Trade:
    """Two orders met. The one that was there first set the price, unless it had none."""

    maker: str
    taker: str
    quantity: int
    price: int


@dataclass(slots=True)
class Book:
    """Both sides, best first, and among equals the earliest first."""

    sides: dict[Side, list[Entry]] = field(default_factory=lambda: {Side.BUY: [], Side.SELL: []})

    def enter(self, taker: Entry) -> list[Trade]:
        """Trade with the other side as far as prices meet; the rest rests."""
        trades = []
        makers = self.sides[taker.side.other]
        while taker.leaves and (maker := _first_that_meets(makers, taker)) is not None:
            trades.append(_trade(maker, taker))
            if not maker.leaves:
                makers.remove(maker)
        if taker.leaves:
            self.rest(taker)
        return trades

    def rest(self, entry: Entry) -> None:
        """Queue an order behind all that are as good."""
        insort_right(self.sides[entry.side], entry, key=_rank)

    def remove(self, entry: Entry) -> None:
        """Take an order out, if it is in."""
        queue = self.sides[entry.side]
        for place in range(bisect_left(queue, entry.rank, key=_rank), len(queue)):
            if queue[place] is entry:
                del queue[place]
                return

    def quote(self, quote: Quote) -> list[Trade]:
        """The street moves to new prices and sizes."""
        self.withdraw()
        trades = self.enter(Entry(STREET, Side.BUY, quote.bid, quote.bid_size))
        return trades + self.enter(Entry(STREET, Side.SELL, quote.ask, quote.ask_size))

    def withdraw(self) -> None:
        """The street goes home."""
        for side, queue in self.sides.items():
            self.sides[side] = [entry for entry in queue if entry.id != STREET]


def _rank(entry: Entry) -> int:
    return entry.rank


def _first_that_meets(makers: list[Entry], taker: Entry) -> Entry | None:
    for maker in makers:
        if maker.limit is None and taker.limit is None:
            continue  # Two orders without a limit have no price to meet at; both wait for somebody who names one.
        if maker.limit is None or taker.limit is None or maker.rank <= -taker.rank:
            return maker
        return None
    return None


def _trade(maker: Entry, taker: Entry) -> Trade:
    quantity = min(maker.leaves, taker.leaves)
    maker.leaves -= quantity
    taker.leaves -= quantity
    price = taker.limit if maker.limit is None else maker.limit
    if price is None:
        raise AssertionError("two orders without a limit met")
    return Trade(maker.id, taker.id, quantity, price)
