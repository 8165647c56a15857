"""The tape in, doubts out: every invoice and note of an account computed again from fills, price lists and marks alone.

Nothing is believed that billing says of itself: a fill is looked up where a line says that it stands, its date among
the marks, its price in the list that the line names. Whoever can read the topics can do the same.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from domain.billing import events as b
from domain.billing.commands import Fill
from domain.billing.events import BillingEvent
from domain.billing.rates import PriceRow, commission, month_of, rates_on
from domain.billing.terms import Terms
from domain.kernel.messages import Recorded
from domain.kernel.money import Money
from domain.market_data.marks import Board
from domain.orders.events import OrderEvent, OrderFilled


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the tape holds: the account's own events, the tenant's price lists, and the marks as `terms` and `board`."""

    orders: tuple[Recorded[OrderEvent], ...]
    billing: tuple[Recorded[BillingEvent], ...]
    lists: Mapping[int, tuple[PriceRow, ...]]
    terms: Terms
    board: Board


def doubts(account: Account) -> list[str]:
    """Everything that an account was billed and that the tape does not bear out, in words; none when all is right."""
    fills = {recorded.event_id: recorded for recorded in account.orders if isinstance(recorded.event, OrderFilled)}
    return list(_doubts(account, fills))


def waiting(account: Account) -> list[str]:
    """The ids of fills that are not charged: too new, or no list covers their date."""
    charged = {e.event.fill.event_id for e in account.billing if isinstance(e.event, b.CommissionAccrued)}
    return [e.event_id for e in account.orders if isinstance(e.event, OrderFilled) and e.event_id not in charged]


def _doubts(account: Account, fills: Mapping[str, Recorded[OrderEvent]]) -> Iterator[str]:
    seen: set[str] = set()
    costs: dict[str, dict[str, Money]] = {}
    for recorded in account.billing:
        match recorded.event:
            case b.InvoiceIssued() as invoice:
                yield from _invoice_doubts(account, fills, invoice, seen)
                costs[invoice.invoice_id] = {line.fill.event_id: line.commission for line in invoice.lines}
            case b.CreditNoteIssued() as note:
                yield from _note_doubts(account, fills, note, costs.setdefault(note.invoice_id, {}))
            case _:
                continue


def _invoice_doubts(
    account: Account, fills: Mapping[str, Recorded[OrderEvent]], invoice: b.InvoiceIssued, seen: set[str]
) -> Iterator[str]:
    name = f"invoice {invoice.invoice_id}"
    for line in invoice.lines:
        if line.fill.event_id in seen:
            yield f"{name}: fill {line.fill.event_id} is counted twice"
        seen.add(line.fill.event_id)
        found = _fill_on_tape(account, fills, line.fill.event_id)
        if found != line.fill:
            yield f"{name}: fill {line.fill.event_id} is not on the tape as the line has it"
        if month_of(line.fill.session_date) != invoice.month:
            yield f"{name}: fill {line.fill.event_id} is of {line.fill.session_date}"
        cost = _cost(account, line.fill, line.list_version)
        if cost != line.commission:
            yield f"{name}: fill {line.fill.event_id} costs {cost}, not {line.commission}, by list {line.list_version}"
    if invoice.total != sum(line.commission for line in invoice.lines):
        yield f"{name}: its lines do not add up to {invoice.total}"


def _note_doubts(
    account: Account, fills: Mapping[str, Recorded[OrderEvent]], note: b.CreditNoteIssued, costs: dict[str, Money]
) -> Iterator[str]:
    name = f"credit note {note.credit_note_id}"
    for line in note.lines:
        if costs.get(line.fill_event_id) != line.billed:
            yield f"{name}: fill {line.fill_event_id} did not cost {line.billed} on the invoice"
        fill = _fill_on_tape(account, fills, line.fill_event_id)
        cost = None if fill is None else _cost(account, fill, note.list_version)
        if cost != line.corrected:
            yield f"{name}: fill {line.fill_event_id} costs {cost}, not {line.corrected}, by list {note.list_version}"
        costs[line.fill_event_id] = line.corrected
    if note.total != sum(line.corrected - line.billed for line in note.lines):
        yield f"{name}: its lines do not add up to {note.total}"
    if note.invoice_total != sum(costs.values()):
        yield f"{name}: the invoice with its notes is not {note.invoice_total}"


def _fill_on_tape(account: Account, fills: Mapping[str, Recorded[OrderEvent]], event_id: str) -> Fill | None:
    """The fill as the tape has it."""
    recorded = fills.get(event_id)
    if recorded is None or not isinstance(recorded.event, OrderFilled):
        return None
    event = recorded.event
    return Fill(
        event_id=event_id,
        sequence=recorded.sequence,
        order_id=event.order_id,
        execution_id=event.execution_id,
        symbol=event.symbol,
        session_date=account.terms.date_at(recorded.recorded_at, account.board.observed_at),
        quantity=event.quantity,
        price=event.price,
    )


def _cost(account: Account, fill: Fill, list_version: int) -> Money | None:
    """What the fill costs by this list, or None when the list does not price it."""
    rates = rates_on(account.lists.get(list_version, ()), fill.session_date)
    return None if rates is None else commission(rates, fill.quantity, fill.price)


def lists_of(recorded: Iterable[Recorded[BillingEvent]]) -> dict[int, tuple[PriceRow, ...]]:
    """The price lists in these events, by their numbers."""
    return {e.event.list_version: e.event.rows for e in recorded if isinstance(e.event, b.PriceListPublished)}
