"""Limits and halts by hand."""

import pytest

from infra.tokens import Scope
from tests.kit.doors import Client, Doors

LIMITS = {
    "order_notional_max": "500.00",
    "gross_exposure_max": "0",
    "orders_per_minute_max": 10,
    "reason": "new customer",
}


@pytest.fixture
async def desk(trader: Client, doors: Doors) -> Client:
    return trader.with_token(doors.token(trader.account_id, [Scope.RISK]))


async def test_sets_limits_of_which_zero_allows_nothing(desk: Client) -> None:
    response, limits = await desk.ask("PUT", "/v1/accounts/{}/limits", LIMITS)
    assert response.status == 200
    assert (limits["order_notional_max"], limits["gross_exposure_max"]) == ("500.00", "0.00")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_notional_max": "-1"}, "order_notional_max"),
        ({"gross_exposure_max": "1.001"}, "gross_exposure_max"),
        ({"orders_per_minute_max": -1}, "orders_per_minute_max"),
        ({"orders_per_minute_max": "10"}, "orders_per_minute_max"),
        ({"reason": "  "}, "reason"),
    ],
)
async def test_names_the_limit_that_is_wrong(desk: Client, doors: Doors, change: dict[str, object], field: str) -> None:
    response, problem = await desk.ask("PUT", "/v1/accounts/{}/limits", LIMITS | change)
    assert response.status in (400, 422)
    assert problem["field"] == field
    assert not doors.bus.sent


async def test_halts_and_resumes_once_each(desk: Client) -> None:
    for path, state, refusal in (("halt", True, "ALREADY_HALTED"), ("resume", False, "NOT_HALTED")):
        response, halt = await desk.ask("POST", f"/v1/accounts/{{}}/{path}", {"reason": "drill"})
        assert (response.status, halt["is_halted"]) == (200, state)
        response, problem = await desk.ask("POST", f"/v1/accounts/{{}}/{path}", {"reason": "drill"})
        assert (response.status, problem["reason"]) == (409, refusal)
