"""market_data.marks -> the prices as this gateway saw them last: what an order placed now is decided on."""

import msgspec
from aiohttp import web

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Phase
from domain.kernel.money import Price
from domain.market_data.marks import Board
from gateways.problems import not_found
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope


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


async def list_quotes(call: Call, _: None) -> web.Response:
    """All symbols."""
    board = call.services.market.board()
    return reply(200, shown(quotes_view(board, sorted(board.prices))))


async def read_quote(call: Call, _: None) -> web.Response:
    """One symbol."""
    view = quotes_view(call.services.market.board(), [call.request.match_info["symbol"]])
    if not view.quotes:
        raise not_found()
    return reply(200, shown(view))


ROUTES = (
    Route(
        method="GET",
        path="/v1/quotes",
        handler=list_quotes,
        summary="Prices of all symbols",
        scope=Scope.READ,
        answers={200: QuotesView},
    ),
    Route(
        method="GET",
        path="/v1/quotes/{symbol}",
        handler=read_quote,
        summary="Prices of one symbol",
        scope=Scope.READ,
        answers={200: QuotesView},
    ),
)
"""Routes of market data."""
