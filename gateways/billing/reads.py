"""The read models of billing -> price lists, charged fills, invoices and credit notes."""

from itertools import groupby

from aiohttp import web

from gateways.billing.views import (
    AccrualPage,
    AccrualView,
    CreditLineView,
    CreditNotePage,
    CreditNoteSummary,
    CreditNoteView,
    InvoiceLineView,
    InvoicePage,
    InvoiceSummary,
    InvoiceView,
    PriceListPage,
    PriceListView,
    RateRowView,
    place_of,
)
from gateways.reads import Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown, view_of
from infra.tokens import Scope
from projections.billing import accruals, credit_notes, invoices, price_lists

ACCOUNT = "/v1/accounts/{account_id}"
PRICE_LISTS = "/v1/billing/price-lists"


async def list_price_lists(call: Call, page: Page) -> web.Response:
    """A page of the tenant's price lists, newest first."""
    await at_least(call, price_lists.price_lists)
    rows = await price_lists.lists(
        call.services.database, tenant=call.caller.tenant, limit=page.limit, before=page.after_number()
    )
    views = []
    for list_version, group in groupby(rows, key=lambda row: row.list_version):
        of_list = list(group)
        first = of_list[0]
        views.append(
            PriceListView(
                list_version=list_version,
                reason=first.reason,
                published_by=first.published_by,
                published_at=first.published_at,
                rows=tuple(view_of(RateRowView, row) for row in of_list),
            )
        )
    following = str(views[-1].list_version) if len(views) == page.limit else None
    return reply(200, shown(PriceListPage(price_lists=tuple(views), next=following)))


async def list_accruals(call: Call, page: Page) -> web.Response:
    """A page of the fills that were charged, newest first."""
    await at_least(call, accruals.charged_fills)
    rows = await accruals.accruals(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    views = tuple(view_of(AccrualView, row, position=place_of(call.account_id, row.fill_sequence)) for row in rows)
    following = str(rows[-1].fill_sequence) if len(rows) == page.limit else None
    return reply(200, shown(AccrualPage(accruals=views, next=following)))


async def list_invoices(call: Call, page: Page) -> web.Response:
    """A page of the account's invoices, newest first."""
    await at_least(call, invoices.invoices_issued)
    rows = await invoices.invoices(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].opened_version) if len(rows) == page.limit else None
    return reply(200, shown(InvoicePage(invoices=tuple(view_of(InvoiceSummary, row) for row in rows), next=following)))


async def read_invoice(call: Call, page: Page) -> web.Response:
    """An invoice with its lines; each names the event that it counts."""
    database, invoice_id = call.services.database, call.request.match_info["invoice_id"]
    row = await found(
        call,
        invoices.invoices_issued,
        lambda: invoices.invoice(
            database, tenant=call.caller.tenant, account_id=call.account_id, invoice_id=invoice_id
        ),
    )
    after = page.after_number()
    lines = await invoices.invoice_lines(database, of=row, limit=page.limit, after=-1 if after is None else after)
    view = InvoiceView(
        invoice=view_of(InvoiceSummary, row),
        lines=tuple(
            view_of(InvoiceLineView, line, position=place_of(call.account_id, line.fill_sequence)) for line in lines
        ),
        next=str(lines[-1].number) if len(lines) == page.limit else None,
    )
    return reply(200, shown(view))


async def list_credit_notes(call: Call, page: Page) -> web.Response:
    """A page of the account's credit notes, newest first."""
    await at_least(call, credit_notes.notes_issued)
    rows = await credit_notes.credit_notes(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].opened_version) if len(rows) == page.limit else None
    notes = tuple(view_of(CreditNoteSummary, row) for row in rows)
    return reply(200, shown(CreditNotePage(credit_notes=notes, next=following)))


async def read_credit_note(call: Call, page: Page) -> web.Response:
    """A credit note with its lines."""
    database, credit_note_id = call.services.database, call.request.match_info["credit_note_id"]
    row = await found(
        call,
        credit_notes.notes_issued,
        lambda: credit_notes.credit_note(
            database, tenant=call.caller.tenant, account_id=call.account_id, credit_note_id=credit_note_id
        ),
    )
    after = page.after_number()
    lines = await credit_notes.credit_lines(database, of=row, limit=page.limit, after=-1 if after is None else after)
    view = CreditNoteView(
        credit_note=view_of(CreditNoteSummary, row),
        lines=tuple(
            view_of(CreditLineView, line, position=place_of(call.account_id, line.fill_sequence)) for line in lines
        ),
        next=str(lines[-1].number) if len(lines) == page.limit else None,
    )
    return reply(200, shown(view))


ROUTES = (
    Route(
        method="GET",
        path=PRICE_LISTS,
        handler=list_price_lists,
        summary="The tenant's price lists, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: PriceListPage},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/accruals",
        handler=list_accruals,
        summary="Fills that were charged, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: AccrualPage},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/invoices",
        handler=list_invoices,
        summary="The account's invoices, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: InvoicePage},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/invoices/{{invoice_id}}",
        handler=read_invoice,
        summary="An invoice and the fills that it counts",
        scope=Scope.READ,
        query=Page,
        answers={200: InvoiceView},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/credit-notes",
        handler=list_credit_notes,
        summary="The account's credit notes, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: CreditNotePage},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/credit-notes/{{credit_note_id}}",
        handler=read_credit_note,
        summary="A credit note and the fills that it corrects",
        scope=Scope.READ,
        query=Page,
        answers={200: CreditNoteView},
    ),
)
"""Reads of billing."""
