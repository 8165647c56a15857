"""A day's path -> its quotes: bid and ask around each price of the path, and the price itself as the last trade."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

from simulators import amounts
from simulators.amounts import CENT, SCALE
from simulators.market import bridge, sessions
from simulators.market.days import Day

ROUND_LOT = 100 * SCALE
LOTS_MAX = 20
"""Sizes run from one round lot to twenty, so that a large market order meets its end and is filled in parts."""
SPREAD_HALF_CENTS = (0, 1, 1, 2)
"""How far bid and ask may lie from the last price; the two are never equal."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What the market shows of one symbol at one moment."""

    id: str
    symbol: str
    bid: int
    ask: int
    bid_size: int
    ask_size: int
    last: int
    time: datetime

    def message(self) -> dict[str, object]:
        """The quote as it travels."""
        return {
            "type": "quote",
            "id": self.id,
            "symbol": self.symbol,
            "bid": amounts.price_text(self.bid),
            "ask": amounts.price_text(self.ask),
            "bid_size": amounts.quantity_text(self.bid_size),
            "ask_size": amounts.quantity_text(self.ask_size),
            "last": amounts.price_text(self.last),
            "time": self.time.isoformat(timespec="microseconds"),
        }


def of_day(day: Day, *, seed: int, steps: int, lap: int = 1) -> Iterator[Quote]:
    """The day's quotes, evenly from the opening bell to one step before the closing bell.

    The same day played again in a later lap has ids of its own.
    """
    random = Random(f"{seed}|{day.symbol}|{day.date}|spread")
    opening = sessions.open_at(day.date)
    step = (sessions.close_at(day.date) - opening) / steps
    suffix = f"-{lap}" if lap > 1 else ""
    for place, last in enumerate(bridge.path(day, seed=seed, steps=steps)):
        bid, ask = _around(last, random)
        yield Quote(
            id=f"{day.symbol}-{day.date}-{place:06}{suffix}",
            symbol=day.symbol,
            bid=bid,
            ask=ask,
            bid_size=random.randint(1, LOTS_MAX) * ROUND_LOT,
            ask_size=random.randint(1, LOTS_MAX) * ROUND_LOT,
            last=last,
            time=opening + step * place,
        )


def _around(last: int, random: Random) -> tuple[int, int]:
    """The last trade was at the bid, at the ask or between them; both stand on whole cents."""
    bid = last // CENT * CENT - random.choice(SPREAD_HALF_CENTS) * CENT
    ask = -(-last // CENT) * CENT + random.choice(SPREAD_HALF_CENTS) * CENT
    return (bid, ask) if bid < ask else (bid, ask + CENT)
