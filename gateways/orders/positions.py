"""The positions read model and the newest prices -> what an account holds."""

from aiohttp import web

from domain.kernel.ids import Symbol
from domain.kernel.money import Price
from domain.market_data.marks import Board
from gateways.orders.views import PositionPage, position_view
from gateways.reads import Page, at_least
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope
from projections.orders import positions


async def list_positions(call: Call, page: Page) -> web.Response:
    """A page of the account's holdings by symbol."""
    await at_least(call, positions.positions)
    rows = await positions.by_account(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        after=page.after or "",
    )
    board = call.services.market.board()
    following = rows[-1].symbol if len(rows) == page.limit else None
    views = tuple(position_view(row, _last(board, row.symbol)) for row in rows if row.quantity or row.realized)
    return reply(200, shown(PositionPage(positions=views, next=following)))


def _last(board: Board, symbol: Symbol) -> Price | None:
    price = board.prices.get(symbol)
    return None if price is None else price.last


ROUTES = (
    Route(
        method="GET",
        path="/v1/accounts/{account_id}/positions",
        handler=list_positions,
        summary="What the account holds",
        scope=Scope.READ,
        query=Page,
        answers={200: PositionPage},
    ),
)
"""Routes of holdings."""
