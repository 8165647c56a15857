"""What the doors of billing show: price lists, charged fills, invoices and credit notes, with their tape positions."""

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.money import BasisPoints, Money, Price, Quantity
from gateways.journal import partitions_of

FILLS = "orders.events"


class RateRowView(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of some market dates, both ends included; without `ends_on` they hold for good."""

    begins_on: str
    ends_on: str | None
    per_share: Price
    basis_points: BasisPoints
    minimum: Money
    maximum: Money | None


class PriceListView(msgspec.Struct, frozen=True, kw_only=True):
    """One price list of the tenant."""

    list_version: int
    reason: str
    published_by: str
    published_at: Micros
    rows: tuple[RateRowView, ...]


class PriceListPage(msgspec.Struct, frozen=True, kw_only=True):
    """Price lists, newest first; `next` is the key of the page after this one, if there is one."""

    price_lists: tuple[PriceListView, ...]
    next: str | None


class FillPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where the fill that is counted stands on the tape."""

    topic: str
    partition: int
    sequence: int


class AccrualView(msgspec.Struct, frozen=True, kw_only=True):
    """A fill that was charged; `invoice_id` is there when it is on an invoice."""

    fill_event_id: str
    position: FillPosition
    order_id: str
    execution_id: str
    symbol: str
    session_date: str
    quantity: Quantity
    price: Price
    list_version: int
    commission: Money
    invoice_id: str | None
    accrued_at: Micros


class AccrualPage(msgspec.Struct, frozen=True, kw_only=True):
    """Charged fills, newest first; `next` is the key of the page after this one, if there is one."""

    accruals: tuple[AccrualView, ...]
    next: str | None


class InvoiceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice: as it was issued, what notes added to it, and what is owed for it."""

    invoice_id: str
    month: str
    fills: int
    total: Money
    corrected: Money
    owed: Money
    issued_by: str
    issued_at: Micros


class InvoicePage(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices, newest first; `next` is the key of the page after this one, if there is one."""

    invoices: tuple[InvoiceSummary, ...]
    next: str | None


class InvoiceLineView(msgspec.Struct, frozen=True, kw_only=True):
    """One fill on an invoice, and the event on the tape that it counts."""

    fill_event_id: str
    position: FillPosition
    execution_id: str
    symbol: str
    session_date: str
    quantity: Quantity
    price: Price
    list_version: int
    commission: Money


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice with a page of its lines, oldest fill first; `next` is the key of the page after this one."""

    invoice: InvoiceSummary
    lines: tuple[InvoiceLineView, ...]
    next: str | None


class CreditNoteSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A correction: `total` is added to the invoice, below zero when the account owes less."""

    credit_note_id: str
    invoice_id: str
    month: str
    list_version: int
    fills: int
    total: Money
    invoice_total: Money
    issued_at: Micros


class CreditNotePage(msgspec.Struct, frozen=True, kw_only=True):
    """Credit notes, newest first; `next` is the key of the page after this one, if there is one."""

    credit_notes: tuple[CreditNoteSummary, ...]
    next: str | None


class CreditLineView(msgspec.Struct, frozen=True, kw_only=True):
    """One fill that costs something else, and the event on the tape that it is about."""

    fill_event_id: str
    position: FillPosition
    billed: Money
    corrected: Money


class CreditNoteView(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note with a page of its lines; `next` is the key of the page after this one."""

    credit_note: CreditNoteSummary
    lines: tuple[CreditLineView, ...]
    next: str | None


def place_of(account_id: str, fill_sequence: int) -> FillPosition:
    """Where a fill of this account stands."""
    ((topic, partition),) = partitions_of(account_id, (FILLS,))
    return FillPosition(topic=topic, partition=partition, sequence=fill_sequence)
