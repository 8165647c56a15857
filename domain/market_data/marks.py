"""What the market said: quotes as they came, and marks, the one view of all prices that every partition shares."""

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Market, Phase
from domain.kernel.messages import Observed
from domain.kernel.money import Price, Quantity


class Quote(Observed, frozen=True, kw_only=True):
    """One symbol's best bid and ask and its last trade; `source_id` is the market's own id, repeats are possible."""

    source_id: str
    symbol: Symbol
    bid: Price
    ask: Price
    bid_size: Quantity
    ask_size: Quantity
    last: Price
    market_time: Micros
    observed_at: Micros


class MarkPrice(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's prices on a mark."""

    bid: Price
    ask: Price
    last: Price


class Mark(Observed, frozen=True, kw_only=True):
    """All prices that changed since the mark before (all of them when `is_complete`), with the market's time and phase.

    `sequence` is dense per feed run; the same record stands in every partition of `market_data.marks`.
    """

    sequence: int
    market_time: Micros
    session_date: str
    phase: Phase
    observed_at: Micros
    is_complete: bool
    prices: dict[str, MarkPrice]


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The latest prices of all symbols: the fold of marks."""

    sequence: int = -1
    market_time: Micros = Micros(0)
    session_date: str = ""
    phase: Phase = Phase.CLOSED
    observed_at: Micros = Micros(0)
    prices: dict[str, MarkPrice] = {}

    def market(self, symbol: Symbol) -> Market | None:
        """The symbol's market as an order carries it; None when no mark has named it."""
        price = self.prices.get(symbol)
        if price is None:
            return None
        return Market(
            sequence=self.sequence,
            market_time=self.market_time,
            observed_at=self.observed_at,
            phase=self.phase,
            price=price.last,
        )


def follow(board: Board, mark: Mark) -> Board:
    """The board after this mark."""
    prices = mark.prices if mark.is_complete else {**board.prices, **mark.prices}
    return Board(
        sequence=mark.sequence,
        market_time=mark.market_time,
        session_date=mark.session_date,
        phase=mark.phase,
        observed_at=mark.observed_at,
        prices=prices,
    )
