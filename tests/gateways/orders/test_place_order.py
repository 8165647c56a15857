"""A POSTed order, from the answer to the repeat."""

from tests.kit.doors import Client, Doors


async def test_answers_with_the_order_and_its_place_on_the_tape(trader: Client) -> None:
    response, order = await trader.place()
    assert response.status == 201
    assert (order["status"], order["quantity"], order["limit_price"]) == ("PLACED", "10", "100.00")
    assert response.headers["Location"] == f"/v1/accounts/{trader.account_id}/orders/{order['order_id']}"
    assert response.headers["Tape-Position"]


async def test_answers_a_repeat_with_the_first_answer(trader: Client, doors: Doors) -> None:
    first = await trader.place(key="walnut")
    sent = len(doors.bus.sent)
    again = await trader.place(key="walnut")
    assert again[1] == first[1]
    assert again[0].status == 201
    assert len(doors.bus.sent) == sent


async def test_refuses_another_body_under_the_same_key(trader: Client) -> None:
    await trader.place(key="walnut")
    response, problem = await trader.place(key="walnut", quantity="11")
    assert response.status == 422
    assert problem["field"] == "Idempotency-Key"
    assert response.content_type == "application/problem+json"


async def test_tells_a_refusal_of_what_was_asked_with_its_field(trader: Client) -> None:
    response, problem = await trader.place(limit_price="150.00")
    assert (response.status, problem["reason"], problem["field"]) == (422, "COLLAR", "limit_price")


async def test_tells_a_refusal_of_state_as_a_conflict(trader: Client) -> None:
    response, problem = await trader.place(quantity="1000000")
    assert (response.status, problem["reason"]) == (409, "BUYING_POWER")


async def test_refuses_an_account_that_may_not_trade(trader: Client, doors: Doors) -> None:
    other = trader.with_token(doors.token("unopened"))
    other.account_id = "unopened"
    response, problem = await other.place()
    assert (response.status, problem["reason"]) == (409, "NOT_OPEN")


async def test_cancels_and_replaces_what_was_placed(trader: Client) -> None:
    _, order = await trader.place()
    path = f"/v1/accounts/{{}}/orders/{order['order_id']}"
    response, change = await trader.ask("PUT", path, {"quantity": "5", "limit_price": "99.50"})
    assert (response.status, change["status"], change["order_version"]) == (200, "REPLACING", 2)
    response, change = await trader.ask("DELETE", path)
    assert (response.status, change["status"]) == (200, "CANCELLING")
    response, problem = await trader.ask("DELETE", path)
    assert (response.status, problem["reason"]) == (409, "CANCEL_PENDING")


async def test_finds_no_order_of_another(trader: Client) -> None:
    response, _ = await trader.ask("DELETE", "/v1/accounts/{}/orders/unknown")
    assert response.status == 404
    response, _ = await trader.ask("PUT", "/v1/accounts/{}/orders/unknown", {"quantity": "5", "limit_price": "99.50"})
    assert response.status == 404
