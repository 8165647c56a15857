"""Requests to a whole installation: answered from the tape, then shown by the read models."""

import asyncio
import uuid

import pytest

from infra.tokens import Scope
from tests.kit.live import Live

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


async def test_opens_an_account_funds_it_and_places_an_order(live: Live) -> None:
    async with live.trader() as trader:
        response, order = await trader.place()
        assert response.status == 201, order
        position = response.headers["Tape-Position"]
        path = f"/v1/accounts/{{}}/orders/{order['order_id']}"
        response, found = await trader.ask("GET", path, Tape_Position=position)
        assert response.status == 200
        assert (found["status"], found["quantity"], found["reserved"]) == ("PLACED", "10", "1000.00")
        response, page = await trader.ask("GET", "/v1/accounts/{}/orders?limit=1")
        assert [each["order_id"] for each in page["orders"]] == [order["order_id"]]
        assert page["next"]
        response, page = await trader.ask("GET", f"/v1/accounts/{{}}/orders?limit=1&after={page['next']}")
        assert page == {"orders": [], "next": None}


async def test_answers_a_repeat_with_the_first_answer_after_a_restart(live: Live) -> None:
    key = uuid.uuid4().hex
    async with live.trader() as trader:
        _, first = await trader.place(key=key)
        live.stop_part("gateway")
        live.start_part("gateway")
        await live.until_ready(trader)
        response, again = await trader.place(key=key)
        assert (response.status, again["order_id"]) == (201, first["order_id"])
        response, _ = await trader.place(key=key, quantity="11")
        assert response.status == 422


async def test_a_token_of_another_tenant_moves_nothing_of_an_account_and_waits_for_nothing(live: Live) -> None:
    async with live.trader() as trader:
        rival = trader.with_token(live.token(trader.account_id, tenant="rival"))
        async with asyncio.timeout(4):  # Less than a gateway waits for a decision.
            answers = [
                await rival.place(),
                await rival.ask("POST", "/v1/accounts/{}/deposits", {"amount": "1.00"}),
                await rival.ask("POST", "/v1/accounts", {}),
            ]
        assert [response.status for response, _ in answers] == [404, 404, 404]
        assert {problem["detail"] for _, problem in answers} == {"There is nothing of yours here."}
        response, _ = await trader.place()
        assert response.status == 201


async def test_decides_once_what_is_asked_many_times_at_once(live: Live) -> None:
    async with live.trader() as trader:
        answers = await asyncio.gather(*(trader.place(key="same") for _ in range(20)))
        assert {response.status for response, _ in answers} == {201}
        assert len({order["order_id"] for _, order in answers}) == 1
        _, page = await trader.ask(
            "GET", "/v1/accounts/{}/orders", Tape_Position=answers[0][0].headers["Tape-Position"]
        )
        assert len(page["orders"]) == 1


async def test_gives_a_receipt_when_nobody_decides_and_the_decision_later(live: Live) -> None:
    async with live.trader() as trader:
        response, receipt = await trader.ask(
            "POST",
            "/v1/accounts/{}/orders",
            {"symbol": "AAPL", "side": "BUY", "kind": "MARKET", "quantity": "1"},
            Prefer="respond-async",
        )
        assert (response.status, receipt["status"]) == (202, "PENDING")
        async with asyncio.timeout(20):
            while True:
                response, receipt = await trader.ask("GET", response.headers.get("Location", str(response.url.path)))
                if response.status == 200:
                    break
                await asyncio.sleep(0.05)
        assert receipt["event"]["event_type"] == "OrderPlaced"


async def test_cancels_every_open_order(live: Live) -> None:
    async with live.trader() as trader:
        placed = [await trader.place(quantity=str(number + 1)) for number in range(3)]
        position = placed[-1][0].headers["Tape-Position"]
        await trader.ask("GET", "/v1/accounts/{}/orders", Tape_Position=position)
        response, cancelled = await trader.ask("POST", "/v1/accounts/{}/orders/cancel-all")
        assert response.status == 200
        assert {each["status"] for each in cancelled["orders"]} == {"CANCELLING"}
        assert {each["order_id"] for each in cancelled["orders"]} == {order["order_id"] for _, order in placed}


async def test_halts_an_account_by_the_risk_desk_and_no_account_of_another_tenant(live: Live) -> None:
    async with live.trader() as trader:
        desk = trader.with_token(live.token("*", [Scope.RISK, Scope.READ]))
        response, halt = await desk.ask("POST", "/v1/accounts/{}/halt", {"reason": "drill"})
        assert (response.status, halt["is_halted"]) == (200, True)
        async with asyncio.timeout(20):
            while (answer := await trader.place())[0].status != 409:
                await asyncio.sleep(0.05)
        assert answer[1]["reason"] == "HALTED"
        stranger = trader.with_token(live.token("*", [Scope.RISK, Scope.READ], tenant="other"))
        response, _ = await stranger.ask("POST", "/v1/accounts/{}/resume", {"reason": "none of mine"})
        assert response.status == 404
        response, _ = await stranger.ask("GET", "/v1/accounts/{}")
        assert response.status == 404
        told = answer[0].headers["Tape-Position"]
        response, risk = await desk.ask("GET", "/v1/accounts/{}/risk", Tape_Position=told)
        assert risk["is_halted"] is True


async def test_sets_limits_that_hold_orders(live: Live) -> None:
    async with live.trader() as trader:
        desk = trader.with_token(live.token("*", [Scope.RISK, Scope.READ]))
        limits = {
            "order_notional_max": "500.00",
            "gross_exposure_max": "100000.00",
            "orders_per_minute_max": 100,
            "reason": "new customer",
        }
        response, _ = await desk.ask("PUT", "/v1/accounts/{}/limits", limits)
        position = response.headers["Tape-Position"]
        response, found = await desk.ask("GET", "/v1/accounts/{}/limits", Tape_Position=position)
        assert (response.status, found["order_notional_max"], found["set_by"]) == (200, "500.00", "sub:ann")
        async with asyncio.timeout(20):
            while (answer := await trader.place())[0].status != 409:
                await asyncio.sleep(0.05)
        assert answer[1]["reason"] == "LIMIT_NOTIONAL"


async def test_says_how_far_a_read_model_is_behind(live: Live) -> None:
    async with live.trader() as trader:
        live.stop_part("projector")
        try:
            response, order = await trader.place()
            position = response.headers["Tape-Position"]
            response, problem = await trader.ask("GET", "/v1/accounts/{}/orders", Tape_Position=position)
            assert response.status == 503
            assert "events behind in orders.events" in problem["detail"]
            assert response.headers["Retry-After"]
        finally:
            live.start_part("projector")
        async with asyncio.timeout(20):
            while response.status != 200:
                response, _ = await trader.ask(
                    "GET", f"/v1/accounts/{{}}/orders/{order['order_id']}", Tape_Position=position
                )
