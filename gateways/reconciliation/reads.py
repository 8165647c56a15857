"""The breaks that are known -> lists of them, and each with the messages of both sides and their tape positions."""

import msgspec
from aiohttp import web

from domain.kernel.ids import Micros, Symbol
from domain.kernel.money import Price, Quantity
from domain.reconciliation.commands import Kind, Origin
from gateways.problems import Problem
from gateways.reads import PAGE_MAX, Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown, view_of
from infra.tokens import EVERY_ACCOUNT, Scope
from projections.reconciliation import breaks

BREAKS = "/v1/accounts/{account_id}/breaks"
OPEN_BREAKS = "/v1/reconciliation/breaks"


class BreakSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One break; `reference` is the venue's id of the execution or of the statement. Open until `closed_at`."""

    account_id: str
    break_id: str
    kind: Kind
    reference: str
    order_id: str
    since: Micros
    market_time: Micros
    opened_at: Micros
    explanation: str | None
    explained_by: str | None
    explained_at: Micros | None
    closed_reason: str | None
    closed_by: str | None
    closed_at: Micros | None


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as both sides tell it, sales below zero; a side that says nothing has zeros."""

    symbol: Symbol
    ours: Quantity
    theirs: Quantity
    our_price: Price
    their_price: Price


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the event `said_by` named: its id and its tape position.

    `place` is the sequence of an event, the offset of a record of the feed.
    """

    said_by: str
    origin: Origin
    id: str
    topic: str
    partition: int
    place: int


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """A break with what each side says, the event that opened it, and the messages of both sides."""

    summary: BreakSummary
    opened_event_id: str
    differences: tuple[DifferenceView, ...]
    evidence: tuple[EvidenceView, ...]


class BreakPage(msgspec.Struct, frozen=True, kw_only=True):
    """Breaks; `next` is the key of the page after this one."""

    breaks: tuple[BreakSummary, ...]
    next: str | None


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of the venue that agreed with our executions."""

    statement_id: str
    session_date: str
    executions: int
    matched_at: Micros


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """Statements that agreed, newest first."""

    statements: tuple[StatementView, ...]
    next: str | None


async def list_breaks(call: Call, page: Page) -> web.Response:
    """A page of the account's breaks, newest first."""
    await at_least(call, breaks.breaks)
    rows = await breaks.by_account(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].opened_version) if len(rows) == page.limit else None
    return reply(200, shown(BreakPage(breaks=tuple(view_of(BreakSummary, row) for row in rows), next=following)))


async def list_open(call: Call, page: Page) -> web.Response:
    """A page of what is open in the whole tenant, by account."""
    if call.caller.account != EVERY_ACCOUNT:
        raise Problem(
            403,
            "account-named",
            "The open breaks concern every account of the tenant.",
            remedy="Use a token that was minted for all accounts (`--account '*'`), or list those of your account.",
        )
    await at_least(call, breaks.breaks)
    account_id, _, break_id = (page.after or "").rpartition("/")
    rows = await breaks.open_breaks(
        call.services.database, tenant=call.caller.tenant, limit=page.limit, after=(account_id, break_id)
    )
    following = f"{rows[-1].account_id}/{rows[-1].break_id}" if len(rows) == page.limit else None
    return reply(200, shown(BreakPage(breaks=tuple(view_of(BreakSummary, row) for row in rows), next=following)))


async def read_break(call: Call, _: None) -> web.Response:
    """A break with the messages of both sides."""
    database, break_id = call.services.database, call.request.match_info["break_id"]
    row = await found(
        call,
        breaks.breaks,
        lambda: breaks.by_id(database, tenant=call.caller.tenant, account_id=call.account_id, break_id=break_id),
    )
    differences = await breaks.differences(database, of=row, limit=PAGE_MAX)
    evidence = await breaks.evidence(database, of=row, limit=PAGE_MAX)
    view = BreakView(
        summary=view_of(BreakSummary, row),
        opened_event_id=row.opened_event_id,
        differences=tuple(view_of(DifferenceView, each) for each in differences),
        evidence=tuple(
            EvidenceView(
                said_by=each.said_by,
                origin=each.origin,
                id=each.evidence_id,
                topic=each.evidence_topic,
                partition=each.partition,  # A key has the same partition number in every topic.
                place=each.place,
            )
            for each in evidence
        ),
    )
    return reply(200, shown(view))


async def list_statements(call: Call, page: Page) -> web.Response:
    """A page of the statements that agreed, newest first."""
    await at_least(call, breaks.breaks)
    rows = await breaks.statements(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].version) if len(rows) == page.limit else None
    views = tuple(view_of(StatementView, row) for row in rows)
    return reply(200, shown(StatementPage(statements=views, next=following)))


ROUTES = (
    Route(
        method="GET",
        path=BREAKS,
        handler=list_breaks,
        summary="The account's breaks, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: BreakPage},
    ),
    Route(
        method="GET",
        path=f"{BREAKS}/{{break_id}}",
        handler=read_break,
        summary="A break with the messages of both sides",
        scope=Scope.READ,
        answers={200: BreakView},
    ),
    Route(
        method="GET",
        path="/v1/accounts/{account_id}/statements",
        handler=list_statements,
        summary="The venue's statements that agreed, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: StatementPage},
    ),
    Route(
        method="GET",
        path=OPEN_BREAKS,
        handler=list_open,
        summary="What is open in the whole tenant",
        scope=Scope.READ,
        query=Page,
        answers={200: BreakPage},
    ),
)
"""Reads of reconciliation."""
