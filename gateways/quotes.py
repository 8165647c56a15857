"""The board -> prices as clients read them, by REST and on the stream."""

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Phase
from domain.kernel.money import Price
from domain.market_data.marks import Board


class QuoteView(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's prices."""

    symbol: Symbol
    bid: Price
    ask: Price
    last: Price


class QuotesView(msgspec.Struct, frozen=True, kw_only=True):
    """Prices on one mark, by symbol; `market_time` is the market's own."""

    sequence: int
    market_time: Micros
    observed_at: Micros
    session_date: str
    phase: Phase
    quotes: tuple[QuoteView, ...]


def quotes_view(board: Board, symbols: list[str]) -> QuotesView:
    """These symbols on the board; the ones that it does not know are left out."""
    return QuotesView(
        sequence=board.sequence,
        market_time=board.market_time,
        observed_at=board.observed_at,
        session_date=board.session_date,
        phase=board.phase,
        quotes=tuple(
            QuoteView(symbol=Symbol(symbol), bid=price.bid, ask=price.ask, last=price.last)
            for symbol in symbols
            if (price := board.prices.get(symbol)) is not None
        ),
    )
