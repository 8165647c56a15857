"""What is wrong with a request is said by its field, and nothing is sent."""

from typing import Any

import msgspec
import pytest

from gateways.http import BODY_BYTES_MAX
from tests.kit.doors import Client, Doors

ORDER = {"symbol": "AAPL", "side": "BUY", "kind": "LIMIT", "quantity": "10", "limit_price": "100.00"}


def order(**changes: Any) -> bytes:
    return msgspec.json.encode(ORDER | changes)


def without(name: str) -> bytes:
    return msgspec.json.encode({key: value for key, value in ORDER.items() if key != name})


BODIES = [
    pytest.param(b"{", 400, None, id="cut short"),
    pytest.param(b"", 400, None, id="empty"),
    pytest.param(b"\xff\xfe", 400, None, id="no text"),
    pytest.param(b"[1,2]", 400, "body", id="no object"),
    pytest.param(b"[" * 10_000, 400, None, id="nested too deep"),
    pytest.param(b"NaN", 400, None, id="a constant alone"),
    pytest.param(order().replace(b'"10"', b"NaN"), 400, "quantity", id="NaN"),
    pytest.param(order().replace(b'"10"', b"-Infinity"), 400, "quantity", id="infinity"),
    pytest.param(order().replace(b'"10"', b'"10","quantity":"20"'), 400, "quantity", id="a name twice"),
    pytest.param(order(note="hello"), 400, "note", id="unknown field"),
    pytest.param(without("side"), 400, "side", id="missing field"),
    pytest.param(order(side="HOLD"), 400, "side", id="no such side"),
    pytest.param(order(quantity=10), 400, "quantity", id="a number that is no text"),
    pytest.param(order(quantity=1.5), 400, "quantity", id="a float"),
    pytest.param(order(quantity=True), 400, "quantity", id="a truth value"),
    pytest.param(order(quantity="NaN"), 422, "quantity", id="NaN as text"),
    pytest.param(order(quantity="1e3"), 422, "quantity", id="an exponent"),
    pytest.param(order(quantity="1e999999999"), 422, "quantity", id="a huge exponent"),
    pytest.param(order(quantity="\u0661\u0660"), 422, "quantity", id="other digits"),
    pytest.param(order(quantity="0"), 422, "quantity", id="zero quantity"),
    pytest.param(order(quantity="-1"), 422, "quantity", id="negative quantity"),
    pytest.param(order(quantity="9" * 18), 422, "quantity", id="more than can be held"),
    pytest.param(order(limit_price="-100.00"), 422, "limit_price", id="negative price"),
    pytest.param(order(limit_price="100.000000001"), 422, "limit_price", id="over-precise price"),
    pytest.param(order(limit_price="1.0000000000000000000000000001"), 422, "limit_price", id="far over-precise price"),
    pytest.param(order(limit_price=None), 422, "limit_price", id="LIMIT without a limit"),
    pytest.param(order(kind="MARKET"), 422, "limit_price", id="MARKET with a limit"),
    pytest.param(order(symbol="NOPE"), 422, "symbol", id="unknown symbol"),
    pytest.param(order(symbol="no; drop"), 400, "symbol", id="no symbol"),
    pytest.param(order(symbol="A" * 10_000), 400, "symbol", id="a long symbol"),
]


@pytest.mark.parametrize(("body", "status", "field"), BODIES)
async def test_names_the_wrong_field_of_an_order(
    trader: Client, doors: Doors, body: bytes, status: int, field: str | None
) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts/{}/orders", raw=body)
    assert (response.status, problem.get("field")) == (status, field), problem
    assert response.content_type == "application/problem+json"
    assert problem["remedy"]
    assert problem["status"] == status
    assert not doors.bus.sent


async def test_says_what_a_field_lacks_in_words_of_its_own(trader: Client) -> None:
    said = [
        (await trader.ask("POST", "/v1/accounts/{}/orders", raw=body))[1]["detail"]
        for body in (order(note="hello"), without("side"))
    ]
    assert said == ["`note`: is no field of this request", "`side`: is needed"]


async def test_names_the_limit_of_a_body(trader: Client, doors: Doors) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts/{}/orders", raw=b" " * (BODY_BYTES_MAX + 1))
    assert response.status == 413
    assert str(BODY_BYTES_MAX) in problem["detail"]
    assert not doors.bus.sent


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
async def test_takes_no_other_content_type(trader: Client, doors: Doors, kind: str) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts/{}/orders", ORDER, Content_Type=kind)
    assert (response.status, problem["field"]) == (415, "Content-Type")
    assert not doors.bus.sent


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/accounts/{}/orders", ORDER),
        ("PUT", "/v1/accounts/{}/orders/x", {"quantity": "1", "limit_price": "1"}),
        ("DELETE", "/v1/accounts/{}/orders/x", None),
        ("POST", "/v1/accounts/{}/orders/cancel-all", None),
        ("POST", "/v1/accounts/{}/deposits", {"amount": "1.00"}),
        ("POST", "/v1/accounts/{}/withdrawals", {"amount": "1.00"}),
    ],
)
@pytest.mark.parametrize("key", [None, "with space", "x" * 256, "ключ"])
async def test_moves_nothing_without_a_key(
    trader: Client, doors: Doors, method: str, path: str, body: Any, key: str | None
) -> None:
    response, problem = await trader.ask(method, path, body, key=key)
    assert (response.status, problem["field"]) == (400, "Idempotency-Key")
    assert not doors.bus.sent


@pytest.mark.parametrize("amount", ["0", "-5.00", "1.001", "NaN", 5, None, "", " 1.00", "1,000.00"])
async def test_names_the_amount_of_a_deposit(trader: Client, doors: Doors, amount: Any) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts/{}/deposits", {"amount": amount})
    assert response.status in (400, 422)
    assert problem["field"] == "amount"
    assert not doors.bus.sent


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("after=x", "after"),
        ("nonsense=1", "nonsense"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_names_the_wrong_parameter_of_a_page(trader: Client, query: str, field: str) -> None:
    response, problem = await trader.ask("GET", f"/v1/accounts/{{}}/orders?{query}")
    assert (response.status, problem["field"]) == (400, field)


async def test_tells_an_unknown_path_and_method_as_problems(trader: Client) -> None:
    response, problem = await trader.ask("GET", "/v1/nothing")
    assert (response.status, problem["title"]) == (404, "Not Found")
    response, problem = await trader.ask("PATCH", "/v1/accounts/{}/orders")
    assert (response.status, problem["title"]) == (405, "Method Not Allowed")
