"""One account's bill, or the price lists of one tenant: what billing must remember to decide."""

from typing import assert_never

import msgspec
from immutables import Map

from domain.billing import events as e
from domain.billing.events import InvoiceLine
from domain.billing.rates import PriceRow


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice with all its notes: what each line costs now, and the newest list that it was corrected by."""

    month: str
    lines: tuple[InvoiceLine, ...]
    list_version: int = 0


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """`accrued` holds fills that are on no invoice yet, `counted` every fill that ever was charged, both by event id.

    `list_version` and `rows` are those of the stream of a tenant's price lists, which has nothing else.
    """

    list_version: int = 0
    rows: tuple[PriceRow, ...] = ()
    accrued: Map[str, InvoiceLine] = Map()
    counted: Map[str, bool] = Map()
    invoices: Map[str, Invoice] = Map()


def evolve(bill: Bill, event: e.BillingEvent) -> Bill:
    """The bill after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.PriceListPublished():
            return replace(bill, list_version=event.list_version, rows=event.rows)
        case e.CommissionAccrued():
            line = InvoiceLine(fill=event.fill, list_version=event.list_version, commission=event.commission)
            return replace(
                bill,
                accrued=bill.accrued.set(event.fill.event_id, line),
                counted=bill.counted.set(event.fill.event_id, True),
            )
        case e.InvoiceIssued():
            with bill.accrued.mutate() as accrued:
                for line in event.lines:
                    accrued.pop(line.fill.event_id, None)
                left = accrued.finish()
            invoice = Invoice(month=event.month, lines=event.lines)
            return replace(bill, accrued=left, invoices=bill.invoices.set(event.invoice_id, invoice))
        case e.CreditNoteIssued():
            invoice = bill.invoices.get(event.invoice_id, Invoice(month=event.month, lines=()))
            return replace(bill, invoices=bill.invoices.set(event.invoice_id, _corrected(invoice, event)))
        case e.BillingRefused():
            return bill
        case _:
            assert_never(event)


def _corrected(invoice: Invoice, note: e.CreditNoteIssued) -> Invoice:
    now = {line.fill_event_id: line.corrected for line in note.lines}
    lines = tuple(
        msgspec.structs.replace(line, commission=now[line.fill.event_id], list_version=note.list_version)
        if line.fill.event_id in now
        else line
        for line in invoice.lines
    )
    return msgspec.structs.replace(invoice, lines=lines, list_version=note.list_version)
