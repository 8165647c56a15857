"""The risk board -> what an account is held to, what it was beyond, what halts it."""

import msgspec
from aiohttp import web

from domain.kernel.ids import Micros
from domain.kernel.money import Money
from domain.risk.commands import Measure
from gateways.reads import PAGE_MAX, Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown, view_of
from infra.tokens import Scope
from projections.risk import board

ACCOUNT = "/v1/accounts/{account_id}"


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """What the account is held to, by whom and why."""

    order_notional_max: Money
    gross_exposure_max: Money
    orders_per_minute_max: int
    reason: str
    set_by: str
    set_at: Micros


class HaltHeldView(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that halts the account now."""

    cause: str
    reason: str
    halted_at: Micros


class BreachView(msgspec.Struct, frozen=True, kw_only=True):
    """A time beyond a limit: `observed` and `allowed` are cents of exposure or a count of orders, by the measure."""

    breach_id: str
    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int
    opened_at: Micros
    cleared_at: Micros | None


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """An account's risk: breaches newest first; `next` is the key of the page of breaches after this one."""

    account_id: str
    is_halted: bool
    limits: LimitsView | None
    halts: tuple[HaltHeldView, ...]
    breaches: tuple[BreachView, ...]
    next: str | None


async def read_limits(call: Call, _: None) -> web.Response:
    """The account's limits; 404 when none were ever set."""
    services, tenant = call.services, call.caller.tenant
    row = await found(
        call, board.board, lambda: board.limits(services.database, tenant=tenant, account_id=call.account_id)
    )
    return reply(200, shown(view_of(LimitsView, row)))


async def read_risk(call: Call, page: Page) -> web.Response:
    """Limits, the halts that hold, and a page of breaches."""
    await at_least(call, board.board)
    database, tenant, account_id = call.services.database, call.caller.tenant, call.account_id
    limits = await board.limits(database, tenant=tenant, account_id=account_id)
    halts = await board.halts(database, tenant=tenant, account_id=account_id, limit=PAGE_MAX)
    breaches = await board.breaches(
        database, tenant=tenant, account_id=account_id, limit=page.limit, before=page.after_number()
    )
    held = tuple(
        HaltHeldView(cause=row.cause, reason=row.reason, halted_at=row.halted_at)
        for row in halts
        if row.resumed_at is None
    )
    view = RiskView(
        account_id=account_id,
        is_halted=bool(held),
        limits=None if limits is None else view_of(LimitsView, limits),
        halts=held,
        breaches=tuple(view_of(BreachView, each) for each in breaches),
        next=str(breaches[-1].opened_version) if len(breaches) == page.limit else None,
    )
    return reply(200, shown(view))


ROUTES = (
    Route(
        method="GET",
        path=f"{ACCOUNT}/limits",
        handler=read_limits,
        summary="The account's limits",
        scope=Scope.READ,
        answers={200: LimitsView},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/risk",
        handler=read_risk,
        summary="The account's limits, halts and breaches",
        scope=Scope.READ,
        query=Page,
        answers={200: RiskView},
    ),
)
"""Reads of risk."""
