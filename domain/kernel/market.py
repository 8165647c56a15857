"""The market as somebody saw it: what an order carries so that its decision can be made again from the tape."""

from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.money import Price


class Phase(StrEnum):
    """The part of a trading day that a market is in."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's market as the gateway last saw it on the marks.

    `sequence` names the mark, `market_time` is the market's own time, `observed_at` the wall time of the mark.
    """

    sequence: int
    market_time: Micros
    observed_at: Micros
    phase: Phase
    price: Price

    @property
    def session_date(self) -> str:
        """The day of the session, 2012-03-05: the sessions of the markets we trade lie within one day of UTC."""
        return _date_of(self.market_time // _DAY_US)


@lru_cache(maxsize=4_096)
def _date_of(day: int) -> str:
    """Written once for each day: it is asked for with every order."""
    return (_EPOCH + timedelta(days=day)).isoformat()


_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
