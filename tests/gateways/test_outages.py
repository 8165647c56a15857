"""What doors do when something behind them is away."""

import pytest

from infra.bus import Busy, NoDecision, OutcomeUnknown, Pending, Stopped
from tests.kit.doors import Client, Doors


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(OutcomeUnknown("x"), "outcome-unknown"), (Stopped("x"), "tape-stopped"), (Busy("x"), "busy")],
)
async def test_tells_when_to_repeat_an_order(trader: Client, doors: Doors, trouble: NoDecision, kind: str) -> None:
    doors.bus.trouble = trouble
    response, problem = await trader.place(key="walnut")
    assert response.status == 503
    assert problem["type"].endswith(kind)
    assert response.headers["Retry-After"]
    doors.bus.trouble = None
    response, _ = await trader.place(key="walnut")
    assert response.status == 201


async def test_says_that_the_outcome_is_unknown(trader: Client, doors: Doors) -> None:
    doors.bus.trouble = OutcomeUnknown("x")
    _, problem = await trader.place()
    assert problem["remedy"] == "Outcome unknown, repeat with the same key."


async def test_gives_a_receipt_when_the_wait_runs_out(trader: Client, doors: Doors) -> None:
    doors.bus.trouble = Pending("c1", ("orders.commands", 3, 70))
    response, receipt = await trader.place()
    assert (response.status, receipt["command_id"], receipt["status"]) == (202, "c1", "PENDING")
    assert response.headers["Location"].startswith(f"/v1/accounts/{trader.account_id}/receipts/c1?sent=")
    assert "Preference-Applied" not in response.headers
    response, receipt = await trader.ask("GET", response.headers["Location"])
    assert (response.status, receipt["status"]) == (202, "PENDING")


async def test_takes_orders_while_the_database_is_away_and_says_that_reads_are(trader: Client) -> None:
    response, _ = await trader.place()
    assert response.status == 201
    for path in ("/orders", "/orders/x", "/positions", "", "/cash", "/limits", "/risk", "/withdrawals"):
        response, problem = await trader.ask("GET", f"/v1/accounts/{{}}{path}")
        assert response.status == 503, path
        assert problem["type"].endswith("reads-unavailable")
        assert response.headers["Retry-After"]


async def test_takes_no_order_before_a_mark_was_seen(trader: Client, doors: Doors) -> None:
    doors.market = type(doors.market)()
    doors.services = doors.services
    object.__setattr__(doors.services.market, "_board", doors.market._board)
    response, problem = await trader.place()
    assert response.status == 503
    assert problem["type"].endswith("no-market")
    assert not doors.bus.sent


async def test_is_alive_and_ready_without_a_token(trader: Client) -> None:
    nobody = trader.with_token("")
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 404)):
        response, _ = await nobody.ask("GET", path)
        assert response.status == status
