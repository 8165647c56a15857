"""The rules of price lists, commissions, invoices and credit notes."""

import re
from collections.abc import Sequence
from typing import assert_never

from domain.billing import commands as c
from domain.billing import events as e
from domain.billing.commands import BillingCommand
from domain.billing.events import BillingEvent, BillingRefused, CreditLine, InvoiceLine, Refusal
from domain.billing.price_lists import fault_of
from domain.billing.rates import PriceRow, commission, month_of, rates_on
from domain.billing.state import Bill, evolve
from domain.kernel.decider import Decider
from domain.kernel.money import Money

AGENT = "agent:"
"""Actors that watch the tape begin with this."""
LINES_MAX = 5_000
"""Lines of one invoice: about a megabyte on the tape. A month with more fills has a further invoice."""
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


def decide(bill: Bill, command: BillingCommand) -> BillingEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.PublishPriceList():
            return publish(bill, command)
        case c.AccrueCommission():
            return accrue(bill, command)
        case c.IssueInvoice():
            return invoice(bill, command)
        case c.IssueCreditNote():
            return correct(bill, command)
        case _:
            assert_never(command)


def publish(bill: Bill, command: c.PublishPriceList) -> BillingEvent:
    """A list is whole in itself: each date between its first and its last has one row."""
    if not command.reason.strip():
        return BillingRefused(reference="reason", reason=Refusal.REASON_MISSING)
    fault = fault_of(command.rows, bill.rows)
    if fault is not None:
        reason, reference = fault
        return BillingRefused(reference=reference, reason=reason)
    return e.PriceListPublished(list_version=bill.list_version + 1, rows=command.rows, reason=command.reason)


def accrue(bill: Bill, command: c.AccrueCommission) -> BillingEvent:
    """A fill is charged once, by whichever list was known first; a corrected list corrects the invoice."""
    fill = command.fill
    if not command.actor.startswith(AGENT):
        return BillingRefused(reference=fill.event_id, reason=Refusal.FORBIDDEN_ACTOR)
    if fill.event_id in bill.counted:
        return BillingRefused(reference=fill.event_id, reason=Refusal.ALREADY_ACCRUED)
    charged = commission(command.rates, fill.quantity, fill.price)
    return e.CommissionAccrued(fill=fill, list_version=command.list_version, rates=command.rates, commission=charged)


def invoice(bill: Bill, command: c.IssueInvoice) -> BillingEvent:
    """All that is accrued in the month and on no invoice yet, oldest first; what comes later has the next invoice."""
    if not _MONTH.fullmatch(command.month):
        return BillingRefused(reference=command.month, reason=Refusal.MONTH)
    if command.invoice_id in bill.invoices:
        return BillingRefused(reference=command.invoice_id, reason=Refusal.DUPLICATE_INVOICE)
    due = [line for line in bill.accrued.values() if month_of(line.fill.session_date) == command.month]
    if not due:
        return BillingRefused(reference=command.month, reason=Refusal.NOTHING_TO_INVOICE)
    due.sort(key=lambda line: line.fill.sequence)
    lines = tuple(due[:LINES_MAX])
    return e.InvoiceIssued(invoice_id=command.invoice_id, month=command.month, lines=lines, total=total_of(lines))


def correct(bill: Bill, command: c.IssueCreditNote) -> BillingEvent:
    """The difference between the invoice as it stands and the same fills by the corrected list."""
    if not command.actor.startswith(AGENT):
        return BillingRefused(reference=command.invoice_id, reason=Refusal.FORBIDDEN_ACTOR)
    known = bill.invoices.get(command.invoice_id)
    if known is None:
        return BillingRefused(reference=command.invoice_id, reason=Refusal.UNKNOWN_INVOICE)
    if command.list_version <= known.list_version:
        return BillingRefused(reference=command.invoice_id, reason=Refusal.OUTDATED_PRICE_LIST)
    differing = differences(known.lines, command.rows, command.list_version)
    if not differing:
        return BillingRefused(reference=command.invoice_id, reason=Refusal.NOTHING_TO_CORRECT)
    total = Money(sum(line.corrected - line.billed for line in differing))
    return e.CreditNoteIssued(
        credit_note_id=command.credit_note_id,
        invoice_id=command.invoice_id,
        month=known.month,
        list_version=command.list_version,
        lines=differing,
        total=total,
        invoice_total=Money(total_of(known.lines) + total),
    )


def differences(lines: Sequence[InvoiceLine], rows: Sequence[PriceRow], list_version: int) -> tuple[CreditLine, ...]:
    """The lines of an invoice that cost something else by this list; a line that a newer list priced stays."""
    found = []
    for line in lines:
        rates = rates_on(rows, line.fill.session_date)
        if rates is None or line.list_version >= list_version:
            continue
        corrected = commission(rates, line.fill.quantity, line.fill.price)
        if corrected != line.commission:
            found.append(
                CreditLine(
                    fill_event_id=line.fill.event_id,
                    fill_sequence=line.fill.sequence,
                    billed=line.commission,
                    corrected=corrected,
                )
            )
    return tuple(found)


def total_of(lines: Sequence[InvoiceLine]) -> Money:
    """What these lines cost together."""
    return Money(sum(line.commission for line in lines))


billing: Decider[Bill, BillingCommand, BillingEvent] = Decider(Bill(), decide, evolve)
