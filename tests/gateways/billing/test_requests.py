"""Price lists and invoices at the door: who may, what is refused and why."""

from typing import Any

import pytest

from domain.kernel.messages import Issued
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit.bills import accrue, fill
from tests.kit.doors import Client, Doors

LISTS = "/v1/billing/price-lists"
ROW = {"begins_on": "2012-01-01", "per_share": "0.005", "basis_points": "2.5", "minimum": "1.00", "maximum": "50.00"}
LIST = {"rows": [ROW], "reason": "spring"}


@pytest.fixture
async def biller(trader: Client, doors: Doors) -> Client:
    return trader.with_token(doors.token(EVERY_ACCOUNT, [Scope.BILLING, Scope.READ]))


@pytest.fixture
async def accountant(trader: Client, doors: Doors) -> Client:
    """A token for one account may invoice it."""
    return trader.with_token(doors.token(trader.account_id, [Scope.BILLING]))


async def test_a_price_list_is_published_for_the_whole_tenant(biller: Client, doors: Doors) -> None:
    response, published = await biller.ask("POST", LISTS, LIST)
    assert (response.status, published) == (201, {"list_version": 1, "rows": 1, "reason": "spring"})
    (sent,) = [each for each in doors.bus.sent if each.tenant == "acme" and each.stream_id.startswith("prices/")]
    rates = sent.command.rows[0].rates
    assert (sent.stream_id, sent.command.rows[0].ends_on) == ("prices/acme", None)
    assert (rates.per_share, rates.basis_points, rates.minimum, rates.maximum) == (500_000, 250_000_000, 100, 5_000)


async def test_the_same_key_publishes_once(biller: Client) -> None:
    _, first = await biller.ask("POST", LISTS, LIST, key="once")
    _, second = await biller.ask("POST", LISTS, LIST, key="once")
    assert first == second == {"list_version": 1, "rows": 1, "reason": "spring"}


async def test_a_receipt_of_a_price_list_leads_to_its_decision(biller: Client, doors: Doors) -> None:
    await biller.ask("POST", LISTS, LIST, key="once")
    (sent,) = [each for each in doors.bus.sent if each.stream_id.startswith("prices/")]
    response, receipt = await biller.ask("GET", f"/v1/accounts/*/receipts/{sent.command_id}")
    assert (response.status, receipt["event"]["event_type"]) == (200, "PriceListPublished")
    rival = biller.with_token(doors.token(EVERY_ACCOUNT, [Scope.READ], tenant="rival"))
    assert (await rival.ask("GET", f"/v1/accounts/*/receipts/{sent.command_id}"))[0].status == 404


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([ROW | {"ends_on": "2012-02-28"}, ROW | {"begins_on": "2012-03-01"}], "GAP"),
        ([ROW | {"ends_on": "2012-03-01"}, ROW | {"begins_on": "2012-03-01"}], "OVERLAP"),
        ([ROW, ROW | {"begins_on": "2012-03-01"}], "OVERLAP"),
        ([ROW | {"begins_on": "2012-02-30"}], "DATE"),
        ([ROW | {"minimum": "2.00", "maximum": "1.00"}], "RATES"),
    ],
)
async def test_a_list_that_is_not_whole_is_refused_with_the_reason(
    biller: Client, rows: list[dict[str, Any]], reason: str
) -> None:
    response, problem = await biller.ask("POST", LISTS, {"rows": rows, "reason": "spring"})
    assert (response.status, problem["reason"], problem["field"]) == (422, reason, "rows")


@pytest.mark.parametrize(
    "change", [{"per_share": 0.005}, {"per_share": "-1"}, {"basis_points": "x"}, {"begins_on": "spring"}, {"more": "1"}]
)
async def test_a_row_that_is_none_reaches_no_decider(biller: Client, doors: Doors, change: dict[str, Any]) -> None:
    response, problem = await biller.ask("POST", LISTS, {"rows": [ROW | change], "reason": "spring"})
    assert response.status in (400, 422)
    assert problem["field"] == f"rows.0.{next(iter(change))}"
    assert not [each for each in doors.bus.sent if each.stream_id.startswith("prices/")]


async def test_only_those_who_bill_all_accounts_publish(trader: Client, accountant: Client) -> None:
    assert (await trader.ask("POST", LISTS, LIST))[0].status == 403
    response, problem = await accountant.ask("POST", LISTS, LIST)
    assert (response.status, problem["type"].rpartition(":")[2]) == (403, "account-named")


async def test_an_invoice_counts_what_was_charged(accountant: Client, doors: Doors) -> None:
    response, problem = await accountant.ask("POST", "/v1/accounts/{}/invoices", {"month": "2012-03"})
    assert (response.status, problem["reason"]) == (409, "NOTHING_TO_INVOICE")
    charge = Issued(
        command=accrue(fill(1)),
        command_id="charge",
        tenant="acme",
        stream_id=accountant.account_id,
        causation_id="",
        correlation_id="",
    )
    doors.bus.decide("billing", charge)
    response, issued = await accountant.ask("POST", "/v1/accounts/{}/invoices", {"month": "2012-03"}, key="march")
    assert (response.status, issued["fills"], issued["total"]) == (201, 1, "1.00")
    assert response.headers["Location"].endswith(f"/invoices/{issued['invoice_id']}")
    assert (await accountant.ask("POST", "/v1/accounts/{}/invoices", {"month": "2012-03"}, key="march"))[1] == issued


async def test_a_month_is_checked_at_the_door(accountant: Client) -> None:
    response, problem = await accountant.ask("POST", "/v1/accounts/{}/invoices", {"month": "2012-13"})
    assert (response.status, problem["reason"]) == (422, "MONTH")
    response, problem = await accountant.ask("POST", "/v1/accounts/{}/invoices", {"month": "March"})
    assert (response.status, problem["field"]) == (400, "month")


async def test_a_trader_invoices_nobody_and_sees_nobody_elses(trader: Client) -> None:
    assert (await trader.ask("POST", "/v1/accounts/{}/invoices", {"month": "2012-03"}))[0].status == 403
    for what in ("accruals", "invoices", "invoices/x", "credit-notes", "credit-notes/x"):
        assert (await trader.ask("GET", f"/v1/accounts/somebody/{what}"))[0].status == 404
