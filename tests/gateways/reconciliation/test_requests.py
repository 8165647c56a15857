"""Explaining and closing breaks at the door."""

import pytest

from domain.kernel.ids import BreakId, Micros, OrderId
from domain.kernel.messages import Issued
from domain.reconciliation.commands import Kind, OpenBreak
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit.doors import Client, Doors

WHY = {"reason": "their line was down"}


@pytest.fixture
async def desk(trader: Client, doors: Doors) -> Client:
    """Somebody who reconciles, and a break of the account."""
    command = OpenBreak(
        actor="agent:reconciliation.matching",
        break_id=BreakId("b1"),
        kind=Kind.MISSING_HERE,
        reference="x1",
        order_id=OrderId("o1"),
        differences=(),
        evidence=(),
        since=Micros(1),
        market_time=Micros(7),
    )
    await doors.bus.send(
        "reconciliation",
        Issued(
            command=command,
            command_id="open-b1",
            tenant="acme",
            stream_id=trader.account_id,
            causation_id="",
            correlation_id="",
        ),
    )
    return trader.with_token(doors.token(trader.account_id, [Scope.RISK]))


async def test_a_break_is_explained_and_closed_once(desk: Client) -> None:
    response, said = await desk.ask("POST", "/v1/accounts/{}/breaks/b1/explain", WHY)
    assert (response.status, said["reason"], said["is_closed"]) == (200, WHY["reason"], False)
    response, said = await desk.ask("POST", "/v1/accounts/{}/breaks/b1/close", WHY)
    assert (response.status, said["is_closed"]) == (200, True)
    response, problem = await desk.ask("POST", "/v1/accounts/{}/breaks/b1/close", WHY)
    assert (response.status, problem["reason"]) == (409, "ALREADY_CLOSED")


async def test_a_break_that_the_account_does_not_have_is_not_found(desk: Client) -> None:
    response, problem = await desk.ask("POST", "/v1/accounts/{}/breaks/b2/explain", WHY)
    assert (response.status, problem["reason"]) == (404, "UNKNOWN_BREAK")


@pytest.mark.parametrize("body", [{"reason": " "}, {"reason": "x" * 501}, {}, {"reason": 5}])
async def test_a_reason_is_needed(desk: Client, body: dict[str, object]) -> None:
    response, problem = await desk.ask("POST", "/v1/accounts/{}/breaks/b1/close", body)
    assert (response.status, problem["field"]) == (400, "reason")


async def test_nobody_closes_a_break_without_the_scope(desk: Client, doors: Doors) -> None:
    reader = desk.with_token(doors.token(desk.account_id, [Scope.READ, Scope.TRADE]))
    response, _ = await reader.ask("POST", "/v1/accounts/{}/breaks/b1/close", WHY)
    assert response.status == 403


async def test_what_is_open_in_the_tenant_is_for_those_who_oversee_all_accounts(desk: Client, doors: Doors) -> None:
    one = desk.with_token(doors.token(desk.account_id, [Scope.READ]))
    assert (await one.ask("GET", "/v1/reconciliation/breaks"))[0].status == 403
    every = desk.with_token(doors.token(EVERY_ACCOUNT, [Scope.READ]))
    assert (await every.ask("GET", "/v1/reconciliation/breaks"))[0].status == 503, "no database listens here"
