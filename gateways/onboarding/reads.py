"""The checks of an account's owner -> how far each has come; never who the owner is."""

import msgspec
from aiohttp import web

from domain.kernel.ids import CheckId, Micros
from gateways.reads import Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown, view_of
from infra.tokens import Scope
from projections.onboarding import checks
from projections.onboarding.checks import CheckStatus

CHECKS = "/v1/accounts/{account_id}/kyc/checks"
CHECK = f"{CHECKS}/{{check_id}}"


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `due_at` is when it expires, waiting or passed, `approved_at` when the book heard of its pass."""

    account_id: str
    check_id: CheckId
    status: CheckStatus
    cause: str | None
    requested_at: Micros
    ended_at: Micros | None
    approved_at: Micros | None
    due_at: Micros


class CheckPage(msgspec.Struct, frozen=True, kw_only=True):
    """Checks, newest first; `next` is the key of the page after this one."""

    checks: tuple[CheckView, ...]
    next: str | None


async def read_check(call: Call, _: None) -> web.Response:
    """One check."""
    who = {"tenant": call.caller.tenant, "account_id": call.account_id}
    check_id = call.request.match_info["check_id"]
    row = await found(call, checks.kyc_checks, lambda: checks.check(call.services.database, **who, check_id=check_id))
    return reply(200, shown(view_of(CheckView, row)))


async def list_checks(call: Call, page: Page) -> web.Response:
    """A page of the account's checks."""
    await at_least(call, checks.kyc_checks)
    rows = await checks.checks(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    view = CheckPage(
        checks=tuple(view_of(CheckView, row) for row in rows),
        next=str(rows[-1].opened_version) if len(rows) == page.limit else None,
    )
    return reply(200, shown(view))


ROUTES = (
    Route(
        method="GET",
        path=CHECKS,
        handler=list_checks,
        summary="The checks of the account's owner, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: CheckPage},
    ),
    Route(
        method="GET",
        path=CHECK,
        handler=read_check,
        summary="One check of the account's owner",
        scope=Scope.READ,
        answers={200: CheckView},
    ),
)
"""Reads of onboarding."""
