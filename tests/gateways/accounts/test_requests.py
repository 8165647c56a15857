"""Opening an account, and cash in and out."""

from infra.tokens import Scope
from tests.kit.doors import Client, Doors


async def test_opens_exactly_the_account_of_the_token(trader: Client) -> None:
    response, account = await trader.ask("POST", "/v1/accounts", {})
    assert response.status == 201
    assert account == {"account_id": trader.account_id, "owner": "ann", "currency": "USD"}
    assert response.headers["Location"] == f"/v1/accounts/{trader.account_id}"


async def test_opens_an_account_once(trader: Client) -> None:
    first = await trader.ask("POST", "/v1/accounts", {}, key=None)
    again = await trader.ask("POST", "/v1/accounts", {}, key=None)
    assert (again[0].status, again[1]) == (201, first[1])
    response, problem = await trader.ask("POST", "/v1/accounts", {}, key="another")
    assert (response.status, problem["reason"]) == (409, "ALREADY_OPEN")


async def test_opens_no_account_for_a_token_of_none(trader: Client, doors: Doors) -> None:
    operator = trader.with_token(doors.token("*", list(Scope)))
    response, _ = await operator.ask("POST", "/v1/accounts", {})
    assert response.status == 403
    assert not doors.bus.sent


async def test_names_the_currency_that_is_not_held(trader: Client) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts", {"currency": "XYZ"})
    assert (response.status, problem["reason"], problem["field"]) == (422, "CURRENCY", "currency")


async def test_receives_a_deposit_once(trader: Client) -> None:
    await trader.ask("POST", "/v1/accounts", {})
    first = await trader.ask("POST", "/v1/accounts/{}/deposits", {"amount": "2500.5"}, key="d1")
    assert (first[0].status, first[1]["amount"], first[1]["status"]) == (201, "2500.50", "RECEIVED")
    again = await trader.ask("POST", "/v1/accounts/{}/deposits", {"amount": "2500.5"}, key="d1")
    assert again[1] == first[1]
    response, _ = await trader.ask("POST", "/v1/accounts/{}/deposits", {"amount": "9.00"}, key="d1")
    assert response.status == 422


async def test_begins_a_withdrawal(trader: Client) -> None:
    await trader.ask("POST", "/v1/accounts", {})
    response, withdrawal = await trader.ask("POST", "/v1/accounts/{}/withdrawals", {"amount": "10.00"})
    assert (response.status, withdrawal["status"]) == (201, "PENDING")


async def test_takes_no_cash_before_the_account_is_open(trader: Client) -> None:
    response, problem = await trader.ask("POST", "/v1/accounts/{}/deposits", {"amount": "10.00"})
    assert (response.status, problem["reason"]) == (409, "NOT_OPEN")
