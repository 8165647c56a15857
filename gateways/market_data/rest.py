"""market_data.marks -> the prices as this gateway saw them last: what an order placed now is decided on."""

from aiohttp import web

from gateways.problems import not_found
from gateways.quotes import QuotesView, quotes_view
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope


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
