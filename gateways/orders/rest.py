"""Requests of traders -> orders.commands, and orders as the blotter has them."""

import asyncio

import msgspec
from aiohttp import web

from domain.kernel.ids import OrderId, derived
from domain.orders import events as e
from gateways.answers import accepted
from gateways.orders import positions
from gateways.orders.bodies import PlaceOrderBody, ReplaceOrderBody, cancel
from gateways.orders.refusals import ORDER_REFUSALS
from gateways.orders.views import CancelAllView, CancelView, ChangeView, OrderPage, OrderView, order_view
from gateways.problems import not_found
from gateways.reads import Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.bus import Pending
from infra.tokens import Scope
from projections.orders import blotter

ORDERS = "/v1/accounts/{account_id}/orders"
ORDER = f"{ORDERS}/{{order_id}}"
CANCELS_AT_ONCE_MAX = 50
"""Cancellations of one request that are under way together: one account is decided in one place anyway."""


async def place_order(call: Call, body: PlaceOrderBody) -> web.Response:
    """201 with the order, or the refusal."""
    command = body.to_command(order_id=OrderId(call.command_id), market=call.market(body.symbol))
    answer = await call.decide("orders", command)
    headers = accepted(answer, e.REFUSALS, ORDER_REFUSALS)
    row = blotter.fold(None, answer.recorded)
    assert row is not None
    row = msgspec.structs.replace(row, sequence=answer.recorded.sequence)
    headers["Location"] = f"/v1/accounts/{call.account_id}/orders/{row.order_id}"
    return reply(201, shown(order_view(row)), headers)


async def replace_order(call: Call, body: ReplaceOrderBody) -> web.Response:
    """200 when the venue is asked for the new terms, or the refusal."""
    placed = await _placed(call)
    command = body.to_command(order_id=placed.order_id, market=call.market(placed.symbol))
    answer = await call.decide("orders", command)
    headers = accepted(answer, e.REFUSALS, ORDER_REFUSALS)
    version = answer.recorded.event.order_version
    return reply(200, shown(ChangeView(order_id=placed.order_id, status="REPLACING", order_version=version)), headers)


async def cancel_order(call: Call, _: None) -> web.Response:
    """200 when the venue is asked to take the order back, or the refusal."""
    order_id = _order_id(call)
    answer = await call.decide("orders", cancel(order_id))
    headers = accepted(answer, e.REFUSALS, ORDER_REFUSALS)
    version = answer.recorded.event.order_version
    return reply(200, shown(ChangeView(order_id=order_id, status="CANCELLING", order_version=version)), headers)


async def cancel_all(call: Call, _: None) -> web.Response:
    """200 with what became of every order that was open, each cancelled by a command of its own."""
    rows = await blotter.open_orders(call.services.database, tenant=call.caller.tenant, account_id=call.account_id)
    gate = asyncio.Semaphore(CANCELS_AT_ONCE_MAX)

    async def one(order_id: OrderId) -> CancelView:
        async with gate:
            try:
                answer = await call.decide("orders", cancel(order_id), command_id=derived(call.command_id, order_id))
            except Pending:
                return CancelView(order_id=order_id, status="PENDING")
            event = answer.recorded.event
            return CancelView(order_id=order_id, status=str(getattr(event, "reason", "CANCELLING")))

    orders = await asyncio.gather(*(one(row.order_id) for row in rows))
    return reply(200, shown(CancelAllView(orders=tuple(orders))))


async def list_orders(call: Call, page: Page) -> web.Response:
    """A page of the account's orders, newest first."""
    await at_least(call, blotter.blotter)
    rows = await blotter.by_account(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].opened_version) if len(rows) == page.limit else None
    return reply(200, shown(OrderPage(orders=tuple(map(order_view, rows)), next=following)))


async def read_order(call: Call, _: None) -> web.Response:
    """One order."""
    services, tenant, order_id = call.services, call.caller.tenant, _order_id(call)
    row = await found(
        call,
        blotter.blotter,
        lambda: blotter.by_id(services.database, tenant=tenant, account_id=call.account_id, order_id=order_id),
    )
    return reply(200, shown(order_view(row)))


async def _placed(call: Call) -> e.OrderPlaced:
    """The order in the path, as it was placed: its id is the id of its command. Raises Problem: 404."""
    answer = await call.services.bus.find(_order_id(call))
    if answer is None:
        raise not_found()
    recorded = answer.recorded
    is_own = recorded.tenant == call.caller.tenant and recorded.stream_id == call.account_id
    if not is_own or not isinstance(recorded.event, e.OrderPlaced):
        raise not_found()
    return recorded.event


def _order_id(call: Call) -> OrderId:
    return OrderId(call.path["order_id"])


ROUTES = (
    Route(
        method="POST",
        path=ORDERS,
        handler=place_order,
        summary="Place an order",
        scope=Scope.TRADE,
        body=PlaceOrderBody,
        answers={201: OrderView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{ORDERS}/cancel-all",
        handler=cancel_all,
        summary="Cancel every open order",
        scope=Scope.TRADE,
        answers={200: CancelAllView},
        needs_key=True,
    ),
    Route(
        method="PUT",
        path=ORDER,
        handler=replace_order,
        summary="Replace a working LIMIT order",
        scope=Scope.TRADE,
        body=ReplaceOrderBody,
        answers={200: ChangeView},
        needs_key=True,
    ),
    Route(
        method="DELETE",
        path=ORDER,
        handler=cancel_order,
        summary="Cancel an order",
        scope=Scope.TRADE,
        answers={200: ChangeView},
        needs_key=True,
    ),
    Route(
        method="GET",
        path=ORDERS,
        handler=list_orders,
        summary="Orders of the account, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: OrderPage},
    ),
    Route(
        method="GET",
        path=ORDER,
        handler=read_order,
        summary="One order",
        scope=Scope.READ,
        answers={200: OrderView},
    ),
    *positions.ROUTES,
)
"""Routes of orders."""
