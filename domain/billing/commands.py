"""Orders given to billing: publish a price list; charge a fill, invoice a month, correct an invoice of one account."""

from typing import TypeAlias

import msgspec

from domain.billing.rates import PriceRow, Rates
from domain.kernel.ids import ExecutionId, OrderId, Symbol
from domain.kernel.messages import Command
from domain.kernel.money import Price, Quantity


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """The event on `orders.events` that is charged, and what of it the price depends on.

    `event_id` and `sequence` say where it stands; `session_date` is the market's date when it was recorded.
    """

    event_id: str
    sequence: int
    order_id: OrderId
    execution_id: ExecutionId
    symbol: Symbol
    session_date: str
    quantity: Quantity
    price: Price


class PublishPriceList(Command, frozen=True, kw_only=True):
    """Charge by these rows, for all dates that they name; a list takes the place of the one before it."""

    rows: tuple[PriceRow, ...]
    reason: str


class AccrueCommission(Command, frozen=True, kw_only=True):
    """Charge one fill by these rates of this price list. Sent by the agent that watches fills."""

    fill: Fill
    list_version: int
    rates: Rates


class IssueInvoice(Command, frozen=True, kw_only=True):
    """Invoice what was accrued in a month of market dates and is on no invoice yet."""

    invoice_id: str
    month: str


class IssueCreditNote(Command, frozen=True, kw_only=True):
    """Price an invoice again by a corrected list. Sent by the agent that watches price lists."""

    credit_note_id: str
    invoice_id: str
    list_version: int
    rows: tuple[PriceRow, ...]


BillingCommand: TypeAlias = PublishPriceList | AccrueCommission | IssueInvoice | IssueCreditNote
