"""A message of a socket -> the REST route of the same wish: same commands, same command ids, same refusals.

Nothing is decided twice whatever the doors: a wish that is repeated over REST under its key finds the first answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from pydantic import Field, StringConstraints

from gateways.http import KEY_CHARACTERS_MAX, Body, validated
from gateways.orders import rest
from gateways.orders.bodies import PlaceOrderBody, ReplaceOrderBody
from gateways.performing import perform
from gateways.problems import problem_of
from gateways.routes import Call, Route
from gateways.views import Json

REQUEST_ID_CHARACTERS_MAX = 64
"""Longest id by which a client knows its own requests again: a UUID and a prefix."""
Key = Annotated[str, StringConstraints(pattern=rf"^[\x21-\x7e]{{1,{KEY_CHARACTERS_MAX}}}$")]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=REQUEST_ID_CHARACTERS_MAX)]


class Wish(Body):
    """What every request on a socket says: whose it is, and under which key it may be repeated."""

    request_id: RequestId
    idempotency_key: Key
    account_id: str = Field(default="", description="The token's own account when it is left out.")


class Place(Wish):
    """Place an order: POST …/orders on a socket."""

    type: Literal["place"]
    order: PlaceOrderBody


class Replace(Wish):
    """Replace a working LIMIT order: PUT …/orders/{order_id} on a socket."""

    type: Literal["replace"]
    order_id: str
    terms: ReplaceOrderBody


class Cancel(Wish):
    """Cancel an order: DELETE …/orders/{order_id} on a socket."""

    type: Literal["cancel"]
    order_id: str


WISHES: Mapping[str, type[Wish]] = {"place": Place, "replace": Replace, "cancel": Cancel}
_ROUTES = {route.handler: route for route in rest.ROUTES}


async def answered(call: Call, asked: dict[str, Any]) -> Json:
    """The frame that answers a request: what its REST route answers, or the problem it would have answered with."""
    request_id = asked.get("request_id")
    known_as = request_id[:REQUEST_ID_CHARACTERS_MAX] if isinstance(request_id, str) else ""
    try:
        call.doors.count(call.caller)
        response = await _performed(call, validated(WISHES[asked["type"]], asked))
    except Exception as error:  # noqa: BLE001  (a request that fails is answered; the socket and the others go on)
        return {"type": "refused", "request_id": known_as, "problem": problem_of(error).members()}
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return {
        "type": "accepted",
        "request_id": known_as,
        "status": response.status,
        "location": response.headers.get("Location"),
        "tape_position": response.headers.get("Tape-Position"),
        "answer": msgspec.Raw(response.body),
    }


async def _performed(call: Call, wish: Wish) -> web.StreamResponse:
    route, path, body = _asked(wish)
    path = {"account_id": wish.account_id or call.caller.account} | path
    call.doors.admit(call.caller, route, path["account_id"])
    same = Call(call.request, route, call.services, call.caller, wish.idempotency_key, call.doors, path)
    return await perform(same, body)


def _asked(wish: Wish) -> tuple[Route, dict[str, str], Any]:
    match wish:
        case Place():
            return _ROUTES[rest.place_order], {}, wish.order
        case Replace():
            return _ROUTES[rest.replace_order], {"order_id": wish.order_id}, wish.terms
        case Cancel():
            return _ROUTES[rest.cancel_order], {"order_id": wish.order_id}, None
        case _:
            raise TypeError(f"no wish: {type(wish).__name__}")
