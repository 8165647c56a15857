"""Orders over a socket: the commands, the answers and the refusals of REST, under the same keys."""

import asyncio
import uuid
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

from infra.bus import Pending
from infra.tokens import Scope
from tests.gateways.orders.test_stream import connect
from tests.gateways.test_asyncapi import keeps_its_promise
from tests.kit.doors import Client, Doors

ORDER: dict[str, Any] = {
    "symbol": "AAPL",
    "side": "BUY",
    "kind": "LIMIT",
    "quantity": "10",
    "limit_price": "100.00",
}


async def subscribed(client: Client) -> ClientWebSocketResponse:
    socket = await connect(client)
    await socket.send_json({"type": "subscribe"})
    return socket


async def asked(socket: ClientWebSocketResponse, kind: str, **fields: Any) -> dict[str, Any]:
    """The answer to one request."""
    request = {"type": kind, "request_id": "r-1", "idempotency_key": uuid.uuid4().hex} | fields
    await socket.send_json(request)
    answer: dict[str, Any] = await socket.receive_json(timeout=5)
    assert answer["request_id"] == request["request_id"]
    keeps_its_promise(answer)
    return answer


async def test_places_replaces_and_cancels(trader: Client) -> None:
    socket = await subscribed(trader)
    placed = await asked(socket, "place", order=ORDER)
    order_id = placed["answer"]["order_id"]
    assert (placed["type"], placed["status"], placed["answer"]["status"]) == ("accepted", 201, "PLACED")
    assert placed["location"] == f"/v1/accounts/{trader.account_id}/orders/{order_id}"
    assert placed["tape_position"]
    terms = {"quantity": "5", "limit_price": "99.50"}
    replaced = await asked(socket, "replace", order_id=order_id, terms=terms)
    assert (replaced["status"], replaced["answer"]["status"]) == (200, "REPLACING")
    cancelled = await asked(socket, "cancel", order_id=order_id)
    assert (cancelled["status"], cancelled["answer"]["status"]) == (200, "CANCELLING")
    await socket.close()


async def test_one_key_is_one_order_whatever_the_door(trader: Client, doors: Doors) -> None:
    socket = await subscribed(trader)
    over_rest = await trader.place(key="walnut")
    sent = len(doors.bus.sent)
    over_socket = await asked(socket, "place", idempotency_key="walnut", order=ORDER)
    assert over_socket["answer"] == over_rest[1]
    assert len(doors.bus.sent) == sent
    other = await asked(socket, "place", idempotency_key="walnut", order=ORDER | {"quantity": "11"})
    assert (other["type"], other["problem"]["field"]) == ("refused", "Idempotency-Key")
    await socket.close()


async def test_refuses_as_rest_does(trader: Client) -> None:
    socket = await subscribed(trader)
    for changes in ({"limit_price": "150.00"}, {"quantity": "1000000"}, {"symbol": "NONE"}):
        _, problem = await trader.place(**changes)
        refused = await asked(socket, "place", order=ORDER | changes)
        assert (refused["type"], refused["problem"]) == ("refused", problem)
    _, problem = await trader.ask("DELETE", "/v1/accounts/{}/orders/unknown")
    assert (await asked(socket, "cancel", order_id="unknown"))["problem"] == problem
    await socket.close()


async def test_names_a_wrong_field_and_goes_on(trader: Client) -> None:
    socket = await subscribed(trader)
    refused = await asked(socket, "place", order=ORDER | {"quantity": 10})
    assert refused["problem"]["field"] == "order.quantity"
    refused = await asked(socket, "place", idempotency_key="", order=ORDER)
    assert refused["problem"]["field"] == "idempotency_key"
    assert (await asked(socket, "place", order=ORDER))["type"] == "accepted"
    await socket.close()


async def test_needs_the_scope_to_trade_and_the_tokens_own_account(trader: Client, doors: Doors) -> None:
    reader = trader.with_token(doors.token(trader.account_id, (Scope.READ,)))
    socket = await subscribed(reader)
    assert (await asked(socket, "place", order=ORDER))["problem"]["status"] == 403
    await socket.close()
    socket = await subscribed(trader)
    assert (await asked(socket, "place", account_id="other", order=ORDER))["problem"]["status"] == 404
    await socket.close()


async def test_shares_the_rate_of_its_token(doors: Doors) -> None:
    async with doors.open(requests_per_second_max=1) as trader:
        socket = await subscribed(trader)
        statuses = set()
        async with asyncio.timeout(5):
            while 429 not in statuses:
                answer = await asked(socket, "cancel", order_id="unknown")
                statuses.add(answer["problem"]["status"])
        await socket.close()
    assert statuses <= {404, 429}


async def test_answers_each_request_under_its_own_id(trader: Client) -> None:
    socket = await subscribed(trader)
    wanted = {f"r-{number}": str(number + 1) for number in range(20)}
    for request_id, quantity in wanted.items():
        order = ORDER | {"quantity": quantity}
        await socket.send_json(
            {"type": "place", "request_id": request_id, "idempotency_key": request_id, "order": order}
        )
    answers = [await socket.receive_json(timeout=5) for _ in wanted]
    assert {each["request_id"]: each["answer"]["quantity"] for each in answers} == wanted
    await socket.close()


async def test_gives_a_receipt_when_nobody_decides(trader: Client, doors: Doors) -> None:
    socket = await subscribed(trader)
    doors.bus.trouble = Pending("c1", ("orders.commands", 0, 2**40))
    answer = await asked(socket, "place", order=ORDER)
    assert (answer["type"], answer["status"], answer["answer"]["status"]) == ("accepted", 202, "PENDING")
    response, _ = await trader.ask("GET", answer["location"])
    assert response.status == 202
    await socket.close()


async def test_ends_for_what_is_no_request(trader: Client) -> None:
    for message in ('{"type": "subscribe"}', '{"type": "shout"}', "[]", "no json"):
        socket = await subscribed(trader)
        await socket.send_str(message)
        refusal = await socket.receive_json(timeout=5)
        assert (refusal["type"], bool(refusal["remedy"])) == ("error", True)
        assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
