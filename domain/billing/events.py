"""What trading costs: price lists, commissions, invoices, and the notes that correct them."""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from domain.billing.commands import Fill
from domain.billing.rates import PriceRow, Rates
from domain.kernel.messages import Event, Observed
from domain.kernel.money import Money


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    REASON_MISSING = "REASON_MISSING"
    ROWS = "ROWS"
    DATE = "DATE"
    RATES = "RATES"
    OVERLAP = "OVERLAP"
    GAP = "GAP"
    SHORTENED = "SHORTENED"
    ALREADY_ACCRUED = "ALREADY_ACCRUED"
    MONTH = "MONTH"
    DUPLICATE_INVOICE = "DUPLICATE_INVOICE"
    NOTHING_TO_INVOICE = "NOTHING_TO_INVOICE"
    UNKNOWN_INVOICE = "UNKNOWN_INVOICE"
    OUTDATED_PRICE_LIST = "OUTDATED_PRICE_LIST"
    NOTHING_TO_CORRECT = "NOTHING_TO_CORRECT"


class PriceListPublished(Event, frozen=True, kw_only=True):
    """Fills are charged by these rows from here on; `list_version` counts the lists of the tenant from 1."""

    list_version: int
    rows: tuple[PriceRow, ...]
    reason: str


class CommissionAccrued(Event, frozen=True, kw_only=True):
    """A fill was charged; it is due with the invoice of its month."""

    fill: Fill
    list_version: int
    rates: Rates
    commission: Money


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One fill on an invoice, and the list that it was charged by."""

    fill: Fill
    list_version: int
    commission: Money


class InvoiceIssued(Event, frozen=True, kw_only=True):
    """The account owes the total of these lines; each names the event that it counts."""

    invoice_id: str
    month: str
    lines: tuple[InvoiceLine, ...]
    total: Money


class CreditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One fill that costs something else by the corrected list."""

    fill_event_id: str
    fill_sequence: int
    billed: Money
    corrected: Money


class CreditNoteIssued(Event, frozen=True, kw_only=True):
    """An invoice was priced again: `total` is added to it, below zero when the account owes less than it was billed.

    `invoice_total` is what the account owes for the invoice with all its notes.
    """

    credit_note_id: str
    invoice_id: str
    month: str
    list_version: int
    lines: tuple[CreditLine, ...]
    total: Money
    invoice_total: Money


class BillingRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the fill, invoice, month or date that the command named."""

    reference: str
    reason: Refusal


class PriceList(Observed, frozen=True, kw_only=True):
    """A copy of a published price list for those who charge: the same record stands in every partition of the feed.

    `sequence` is that of the event which it copies; a repeat is the same record.
    """

    sequence: int
    tenant: str
    list_version: int
    rows: tuple[PriceRow, ...]


BillingEvent: TypeAlias = PriceListPublished | CommissionAccrued | InvoiceIssued | CreditNoteIssued | BillingRefused
REFUSALS = (BillingRefused,)
