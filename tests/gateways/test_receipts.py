"""Not waiting for a decision, and what its receipt tells later: waiting, decided, set aside, or never sent."""

import pytest

from gateways import cursor, openapi, receipts
from infra.bus import Pending
from infra.kafka.sender import murmur2_partition
from infra.settings import PARTITIONS
from tests.kit.doors import ROUTES, Client, Doors


def sent(trader: Client, offset: int) -> tuple[str, int, int]:
    return "orders.commands", murmur2_partition(trader.account_id.encode(), PARTITIONS), offset


def token(trader: Client, offset: int) -> str:
    topic, partition, _ = sent(trader, offset)
    return cursor.encode({(topic, partition): offset})


@pytest.fixture
def journal_knows_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of a gateway in memory is its bus, and has everything at once."""

    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr(receipts, "reflects_all", at_once)


async def test_says_that_the_preference_was_applied_and_where_to_ask(trader: Client, doors: Doors) -> None:
    doors.bus.trouble = Pending("c1", sent(trader, 2**40))
    order = {"symbol": "AAPL", "side": "BUY", "kind": "MARKET", "quantity": "1"}
    response, receipt = await trader.ask("POST", "/v1/accounts/{}/orders", order, Prefer="wait=1, respond-async")
    assert (response.status, receipt["status"]) == (202, "PENDING")
    assert response.headers["Preference-Applied"] == "respond-async"
    assert response.headers["Retry-After"] == "1"
    response, receipt = await trader.ask("GET", response.headers["Location"])
    assert (response.status, receipt["status"]) == (202, "PENDING")


async def test_has_the_decision_once_there_is_one(trader: Client) -> None:
    _, order = await trader.place()
    path = f"/v1/accounts/{{}}/receipts/{order['order_id']}"
    for address in (path, f"{path}?sent={token(trader, 0)}"):
        response, receipt = await trader.ask("GET", address)
        assert (response.status, receipt["status"], receipt["event"]["event_type"]) == (200, "DECIDED", "OrderPlaced")


async def test_a_refusal_is_a_decision_too(trader: Client, doors: Doors) -> None:
    await trader.place(quantity="1000000")
    response, receipt = await trader.ask("GET", f"/v1/accounts/{{}}/receipts/{doors.bus.sent[-1].command_id}")
    assert (response.status, receipt["event"]["event_type"]) == (200, "OrderRefused")


async def test_finds_nothing_of_a_command_that_nobody_sent(trader: Client) -> None:
    response, problem = await trader.ask("GET", "/v1/accounts/{}/receipts/never-sent")
    assert (response.status, problem["type"]) == (404, "urn:tapeline:problem:not-found")


@pytest.mark.usefixtures("journal_knows_it_all")
async def test_says_when_the_decider_went_past_a_command_without_deciding_it(trader: Client, doors: Doors) -> None:
    await trader.place()
    place = ("orders.events", sent(trader, 0)[1])
    passed = doors.fanout.decided(place) - 1
    response, receipt = await trader.ask("GET", f"/v1/accounts/{{}}/receipts/lost?sent={token(trader, passed)}")
    assert (response.status, receipt["status"], receipt["event"]) == (200, "SET_ASIDE", None)
    waiting = doors.fanout.decided(place) + 1
    response, receipt = await trader.ask("GET", f"/v1/accounts/{{}}/receipts/late?sent={token(trader, waiting)}")
    assert (response.status, receipt["status"]) == (202, "PENDING")


async def test_tells_nobody_of_another_accounts_command(trader: Client, doors: Doors) -> None:
    _, order = await trader.place()
    other = trader.with_token(doors.token("other"))
    other.account_id = "other"
    response, _ = await other.ask("GET", f"/v1/accounts/{{}}/receipts/{order['order_id']}")
    assert response.status == 404


async def test_names_an_address_that_was_changed(trader: Client) -> None:
    response, problem = await trader.ask("GET", "/v1/accounts/{}/receipts/c1?sent=nonsense")
    assert (response.status, problem["field"]) == (400, "sent")


def test_the_contract_says_what_a_receipt_is_on_every_command() -> None:
    document = openapi.document(ROUTES)
    for route in ROUTES:
        if route.method != "GET" and not route.is_signed:
            operation = document["paths"][route.path][route.method.lower()]
            answer = operation["responses"]["202"]
            assert {"Location", "Preference-Applied"} <= set(answer["headers"])
            assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ReceiptView")
            assert "Prefer" in [each["name"] for each in operation["parameters"]]


async def test_tells_of_anothers_command_what_it_tells_of_one_that_nobody_sent(trader: Client, doors: Doors) -> None:
    _, order = await trader.place()
    stranger = trader.with_token(doors.token("account-of-another", tenant="other"))
    for address in ("", f"?sent={token(trader, 2**40)}"):
        path = "/v1/accounts/account-of-another/receipts/"
        answers = [await stranger.ask("GET", f"{path}{name}{address}") for name in (order["order_id"], "never-sent")]
        assert answers[0][0].status == answers[1][0].status
        assert {**answers[0][1], "command_id": ""} == {**answers[1][1], "command_id": ""}
