"""Requests of those who reconcile -> reconciliation.commands: explain a break, close one that is settled."""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import StringConstraints

from domain.kernel.ids import BreakId
from domain.reconciliation import events as e
from domain.reconciliation.commands import CloseBreak, ExplainBreak
from domain.reconciliation.events import Refusal
from gateways.answers import Refusals, Refused, accepted
from gateways.http import Body
from gateways.reads import belongs_to_tenant
from gateways.reconciliation import reads
from gateways.reconciliation.reads import BREAKS
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope

RECONCILIATION_REFUSALS: Refusals = {
    Refusal.UNKNOWN_BREAK: Refused("The account has no such break.", "List its breaks.", "break_id", 404),
    Refusal.ALREADY_CLOSED: Refused("The break is closed.", "Read it: it says why and by whom."),
    Refusal.REASON_MISSING: Refused("A reason is needed.", "Say why.", "reason", 422),
}

Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True)]


class ReasonBody(Body):
    """What was found out, or why the break is settled."""

    reason: Reason

    def to_explanation(self, break_id: str) -> ExplainBreak:
        """The command that explains."""
        return ExplainBreak(break_id=BreakId(break_id), reason=self.reason)

    def to_closing(self, break_id: str) -> CloseBreak:
        """The command that closes."""
        return CloseBreak(break_id=BreakId(break_id), reason=self.reason, evidence=())


class BreakChangedView(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of the break, and whether that closed it."""

    account_id: str
    break_id: str
    reason: str
    is_closed: bool


async def explain(call: Call, body: ReasonBody) -> web.Response:
    """200 when the explanation is kept, or the refusal."""
    return await _decide(call, body.to_explanation(call.request.match_info["break_id"]), is_closed=False)


async def close(call: Call, body: ReasonBody) -> web.Response:
    """200 when the break is closed, or the refusal."""
    return await _decide(call, body.to_closing(call.request.match_info["break_id"]), is_closed=True)


async def _decide(call: Call, command: ExplainBreak | CloseBreak, *, is_closed: bool) -> web.Response:
    await belongs_to_tenant(call)
    answer = await call.decide("reconciliation", command)
    headers = accepted(answer, e.REFUSALS, RECONCILIATION_REFUSALS)
    view = BreakChangedView(
        account_id=call.account_id, break_id=command.break_id, reason=command.reason, is_closed=is_closed
    )
    return reply(200, shown(view), headers)


ROUTES = (
    Route(
        method="POST",
        path=f"{BREAKS}/{{break_id}}/explain",
        handler=explain,
        summary="Say what is known about a break",
        scope=Scope.RISK,
        body=ReasonBody,
        answers={200: BreakChangedView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{BREAKS}/{{break_id}}/close",
        handler=close,
        summary="Close a break that is settled",
        scope=Scope.RISK,
        body=ReasonBody,
        answers={200: BreakChangedView},
        needs_key=True,
    ),
    *reads.ROUTES,
)
"""Routes of reconciliation."""
