"""Requests of owners and officers -> onboarding.commands: check who owns an account, end a check early.

Who it is about is sealed here, before anything is sent: from this door on it is ciphertext.
"""

import msgspec
from aiohttp import web

from domain.kernel.ids import CheckId, Micros
from domain.onboarding import events as e
from domain.onboarding.events import Refusal
from domain.onboarding.reports import APPLICANT_CONTEXT
from gateways.answers import Refusals, Refused, accepted
from gateways.onboarding import reads, webhook
from gateways.onboarding.bodies import ExpireBody, KycCheckBody
from gateways.onboarding.reads import CHECK, CHECKS
from gateways.problems import Problem, unavailable
from gateways.reads import belongs_to_tenant
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.kms.port import KeysUnavailable
from infra.sealing import Erased
from infra.tokens import Scope
from projections.onboarding.checks import CheckStatus

KYC_REFUSALS: Refusals = {
    Refusal.CHECK_PENDING: Refused("A check of this account is under way.", "Read it and wait for its end."),
    Refusal.DUPLICATE_CHECK: Refused("This check was requested before.", "Use a new Idempotency-Key for a new one."),
    Refusal.LIMIT_CHECKS: Refused("The account was checked too often.", "Ask an officer of compliance."),
    Refusal.UNKNOWN_CHECK: Refused("The account has no such check.", "Check its id.", "check_id", 404),
    Refusal.ALREADY_DECIDED: Refused("The check was decided.", "Read it."),
    Refusal.ALREADY_EXPIRED: Refused("The check holds no longer already.", "Request a new one."),
}


class RequestedView(msgspec.Struct, frozen=True, kw_only=True):
    """A check that waits for the vendor; unanswered, it expires at `due_at`."""

    account_id: str
    check_id: CheckId
    status: CheckStatus
    due_at: Micros


class ExpiredView(msgspec.Struct, frozen=True, kw_only=True):
    """A check that holds no longer; `is_halted` says that the account's trading rested on it."""

    account_id: str
    check_id: CheckId
    status: CheckStatus
    is_halted: bool


async def request_check(call: Call, body: KycCheckBody) -> web.Response:
    """201 with a check that waits for the vendor, or the refusal."""
    sealed = await _sealed(call, body)
    answer = await call.decide("onboarding", body.to_command(call.command_id, sealed))
    headers = accepted(answer, e.REFUSALS, KYC_REFUSALS)
    headers["Location"] = f"/v1/accounts/{call.account_id}/kyc/checks/{call.command_id}"
    requested = answer.recorded.event
    view = RequestedView(
        account_id=call.account_id, check_id=requested.check_id, status=CheckStatus.WAITING, due_at=requested.due_at
    )
    return reply(201, shown(view), headers)


async def expire_check(call: Call, body: ExpireBody) -> web.Response:
    """200 when the check holds no longer, or the refusal."""
    await belongs_to_tenant(call)
    check_id = call.request.match_info["check_id"]
    answer = await call.decide("onboarding", body.to_command(check_id))
    headers = accepted(answer, e.REFUSALS, KYC_REFUSALS)
    expired = answer.recorded.event
    view = ExpiredView(
        account_id=call.account_id, check_id=expired.check_id, status=CheckStatus.EXPIRED, is_halted=expired.revokes
    )
    return reply(200, shown(view), headers)


async def _sealed(call: Call, body: KycCheckBody) -> bytes:
    try:
        return await call.services.vault.seal(call.caller.tenant, call.account_id, body.plaintext(), APPLICANT_CONTEXT)
    except Erased as erased:
        raise Problem(
            410, "erased", "The personal data of this account was erased for good.", remedy="Open another account."
        ) from erased
    except KeysUnavailable as away:
        raise unavailable(
            "keys-unavailable", "Personal data cannot be sealed now.", "Repeat with the same key."
        ) from away


ROUTES = (
    Route(
        method="POST",
        path=CHECKS,
        handler=request_check,
        summary="Have the account's owner checked",
        scope=Scope.TRADE,
        body=KycCheckBody,
        answers={201: RequestedView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{CHECK}/expire",
        handler=expire_check,
        summary="End a check early",
        scope=Scope.RISK,
        body=ExpireBody,
        answers={200: ExpiredView},
        needs_key=True,
    ),
    *reads.ROUTES,
    *webhook.ROUTES,
)
"""Routes of onboarding."""
