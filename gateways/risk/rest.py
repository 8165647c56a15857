"""Requests of the risk desk -> risk.commands: limits, and halts by hand."""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import Field, StringConstraints

from domain.kernel.money import Money
from domain.risk import events as e
from domain.risk.commands import LiftHalt, OrderHalt, SetLimits
from domain.risk.events import Refusal
from gateways.amounts import LimitText
from gateways.answers import Refusals, Refused, accepted
from gateways.http import Body
from gateways.reads import belongs_to_tenant
from gateways.risk import reads
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope

ACCOUNT = "/v1/accounts/{account_id}"
ORDERS_PER_MINUTE_MAX = 1_000_000
"""Largest order rate that can be allowed: more than one account can send."""
RISK_REFUSALS: Refusals = {
    Refusal.ALREADY_HALTED: Refused("The account is halted by hand already.", "Lift that halt first."),
    Refusal.NOT_HALTED: Refused("The account is not halted by hand.", "Read its risk: another cause may halt it."),
    Refusal.LIMIT_BELOW_ZERO: Refused("A limit is below zero.", "Correct it.", "limits", 422),
    Refusal.REASON_MISSING: Refused("A reason is needed.", "Say why.", "reason", 422),
}

Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True)]


class LimitsBody(Body):
    """All limits of an account, and why they are set."""

    order_notional_max: LimitText
    gross_exposure_max: LimitText
    orders_per_minute_max: Annotated[int, Field(strict=True, ge=0, le=ORDERS_PER_MINUTE_MAX)]
    reason: Reason

    def to_command(self) -> SetLimits:
        """The command."""
        return SetLimits(
            order_notional_max=self.order_notional_max,
            gross_exposure_max=self.gross_exposure_max,
            orders_per_minute_max=self.orders_per_minute_max,
            reason=self.reason,
        )


class ReasonBody(Body):
    """Why trading is halted or goes on."""

    reason: Reason

    def to_halt(self) -> OrderHalt:
        """The command that halts."""
        return OrderHalt(reason=self.reason)

    def to_resume(self) -> LiftHalt:
        """The command that lifts the halt."""
        return LiftHalt(reason=self.reason)


class LimitsSetView(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that hold from now on."""

    account_id: str
    order_notional_max: Money
    gross_exposure_max: Money
    orders_per_minute_max: int
    reason: str


class HaltView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody halts the account by hand; limits that are breached may halt it besides."""

    account_id: str
    is_halted: bool
    reason: str


async def set_limits(call: Call, body: LimitsBody) -> web.Response:
    """200 with the limits, or the refusal."""
    await belongs_to_tenant(call)
    answer = await call.decide("risk", body.to_command())
    headers = accepted(answer, e.REFUSALS, RISK_REFUSALS)
    limits = msgspec.structs.asdict(answer.recorded.event)
    return reply(200, shown(LimitsSetView(account_id=call.account_id, **limits)), headers)


async def halt(call: Call, body: ReasonBody) -> web.Response:
    """200 when the halt is ordered, or the refusal."""
    await belongs_to_tenant(call)
    answer = await call.decide("risk", body.to_halt())
    headers = accepted(answer, e.REFUSALS, RISK_REFUSALS)
    return reply(200, shown(HaltView(account_id=call.account_id, is_halted=True, reason=body.reason)), headers)


async def resume(call: Call, body: ReasonBody) -> web.Response:
    """200 when the halt by hand is lifted, or the refusal."""
    await belongs_to_tenant(call)
    answer = await call.decide("risk", body.to_resume())
    headers = accepted(answer, e.REFUSALS, RISK_REFUSALS)
    return reply(200, shown(HaltView(account_id=call.account_id, is_halted=False, reason=body.reason)), headers)


ROUTES = (
    Route(
        method="PUT",
        path=f"{ACCOUNT}/limits",
        handler=set_limits,
        summary="Set the account's limits",
        scope=Scope.RISK,
        body=LimitsBody,
        answers={200: LimitsSetView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{ACCOUNT}/halt",
        handler=halt,
        summary="Halt the account's trading by hand",
        scope=Scope.RISK,
        body=ReasonBody,
        answers={200: HaltView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{ACCOUNT}/resume",
        handler=resume,
        summary="Lift the halt by hand",
        scope=Scope.RISK,
        body=ReasonBody,
        answers={200: HaltView},
        needs_key=True,
    ),
    *reads.ROUTES,
)
"""Routes of risk."""
