"""The market as somebody saw it: what an order carries so that its decision can be made again from the tape."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

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
        return (_EPOCH + timedelta(microseconds=self.market_time)).date().isoformat()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
