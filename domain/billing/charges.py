"""One account fill by fill, and what must be asked of its bill: a charge, an invoice, a correction.

A fill waits here until billing says that it is charged: for the mark that tells its date, for a price list that covers
this date, for an answer. What is asked has an id derived from what it is about, and the bill counts no fill twice.
Each command is stamped later than all before it, so that none comes too late to be told from a repeat.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias, TypeVar

import msgspec
from immutables import Map

from domain.billing import events as b
from domain.billing.commands import AccrueCommission, BillingCommand, Fill, IssueCreditNote, IssueInvoice
from domain.billing.events import BillingEvent, PriceList, Refusal
from domain.billing.rates import month_of, rates_on
from domain.billing.terms import Terms
from domain.kernel.ids import Micros, derived
from domain.kernel.messages import Issued, Recorded
from domain.market_data.marks import Board
from domain.orders.events import OrderEvent, OrderFilled

ACTOR = "agent:billing.charges"
RULE = "charges"

V = TypeVar("V")

ANSWER_US_MAX = 30_000_000
"""After this long without an answer we ask again: the command was lost on its way, or set aside as stale."""
ASKED_AT_ONCE_MAX = 500
"""Fills that are charged in one step; the others are charged in the next, a mark later."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A fill that billing has not charged yet. `month` is known once it was asked for, so many `times`."""

    fill: Fill
    recorded_at: Micros
    correlation_id: str
    month: str = ""
    asked_at: Micros = Micros(-ANSWER_US_MAX)
    times: int = 0


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice: its market dates, and the price list by which nothing remains to be corrected."""

    dates: tuple[str, ...]
    list_version: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, by which list, and when."""

    list_version: int
    at: Micros


class Charges(msgspec.Struct, frozen=True, kw_only=True):
    """`due` counts charged fills that are on no invoice, by month; `asked` holds invoices and corrections under way.

    `settled` is the list by which all invoices are right.
    """

    tenant: str = ""
    account_id: str = ""
    at: Micros = Micros(0)
    waiting: Map[str, Waiting] = Map()
    due: Map[str, int] = Map()
    invoices: Map[str, Billed] = Map()
    asked: Map[str, Asked] = Map()
    settled: int = 0


class Cause(msgspec.Struct, frozen=True):
    """What made us look, with the time and the ids that a command takes from it."""

    id: str
    at: Micros
    correlation_id: str = ""


Step: TypeAlias = tuple[Charges, Sequence[Issued[BillingCommand]]]


def on_event(state: Charges, recorded: Recorded[OrderEvent | BillingEvent], board: Board, terms: Terms) -> Step:
    """The account after this event, and what must be asked of its bill."""
    event = recorded.event
    if isinstance(event, OrderFilled):
        state = _filled(state, recorded, event)
    elif isinstance(event, b.CommissionAccrued | b.InvoiceIssued | b.CreditNoteIssued | b.BillingRefused):
        state = _told(state, recorded, event)
    else:
        return state, ()
    return _looked(state, board, terms, Cause(recorded.event_id, recorded.recorded_at, recorded.correlation_id))


def on_mark(state: Charges, board: Board, terms: Terms) -> Step:
    """The account at a later time of the market, or after another price list."""
    # A feed that starts again counts from zero: the wall time keeps its marks apart from those of the run before.
    cause = Cause(f"market_data.marks/{board.sequence}@{board.observed_at}", board.observed_at)
    return _looked(state, board, terms, cause)


def _looked(state: Charges, board: Board, terms: Terms, cause: Cause) -> Step:
    """What must be asked now. An account with nothing to do comes back as it was."""
    newest = terms.newest(state.tenant)
    if newest is None or (not state.waiting and not state.due and state.settled >= newest.list_version):
        return state, ()
    asking = _Asking(state, cause)
    is_through = asking.charges(board, terms, newest)
    asking.invoices(board, is_through)
    asking.corrections(terms, newest)
    return asking.state, asking.commands


def _filled(state: Charges, recorded: Recorded[OrderEvent | BillingEvent], event: OrderFilled) -> Charges:
    fill = Fill(
        event_id=recorded.event_id,
        sequence=recorded.sequence,
        order_id=event.order_id,
        execution_id=event.execution_id,
        symbol=event.symbol,
        session_date="",
        quantity=event.quantity,
        price=event.price,
    )
    waiting = Waiting(fill=fill, recorded_at=recorded.recorded_at, correlation_id=recorded.correlation_id)
    return msgspec.structs.replace(
        state,
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        waiting=state.waiting.set(fill.event_id, waiting),
    )


def _told(state: Charges, recorded: Recorded[OrderEvent | BillingEvent], event: BillingEvent) -> Charges:
    """What billing says of the account, whoever asked for it."""
    replace = msgspec.structs.replace
    state = replace(state, tenant=recorded.tenant, account_id=recorded.stream_id, at=max(state.at, recorded.at))
    match event:
        case b.CommissionAccrued():
            month = month_of(event.fill.session_date)
            due = state.due.set(month, state.due.get(month, 0) + 1)
            return replace(state, waiting=_without(state.waiting, event.fill.event_id), due=due)
        case b.InvoiceIssued():
            left = state.due.get(event.month, 0) - len(event.lines)
            due = state.due.set(event.month, left) if left > 0 else _without(state.due, event.month)
            dates = tuple(sorted({line.fill.session_date for line in event.lines}))
            billed = Billed(dates=dates, list_version=min(line.list_version for line in event.lines))
            return replace(
                state,
                due=due,
                invoices=state.invoices.set(event.invoice_id, billed),
                asked=_without(state.asked, event.month),
                settled=min(state.settled, billed.list_version),
            )
        case b.CreditNoteIssued():
            return _corrected(state, event.invoice_id, event.list_version)
        case b.BillingRefused(reason=Refusal.ALREADY_ACCRUED):
            return replace(state, waiting=_without(state.waiting, event.reference))
        case b.BillingRefused(reason=Refusal.NOTHING_TO_CORRECT | Refusal.OUTDATED_PRICE_LIST):
            asked = state.asked.get(event.reference)
            return state if asked is None else _corrected(state, event.reference, asked.list_version)
        case b.BillingRefused() | b.PriceListPublished():
            return state


def _corrected(state: Charges, invoice_id: str, list_version: int) -> Charges:
    invoices, billed = state.invoices, state.invoices.get(invoice_id)
    if billed is not None:
        version = max(billed.list_version, list_version)
        invoices = invoices.set(invoice_id, msgspec.structs.replace(billed, list_version=version))
    return msgspec.structs.replace(state, invoices=invoices, asked=_without(state.asked, invoice_id))


class _Asking:
    """One look at the account: the commands that come of it, and the state that remembers them."""

    def __init__(self, state: Charges, cause: Cause) -> None:
        self.state = state
        self.commands: list[Issued[BillingCommand]] = []
        self._cause = cause

    def charges(self, board: Board, terms: Terms, newest: PriceList) -> bool:
        """Charge what can be charged; False when there was more than one step takes."""
        for waiting in self._unasked():
            date = terms.date_at(waiting.recorded_at, board.observed_at)
            rates = rates_on(newest.rows, date) if date else None
            if rates is None:
                continue
            if len(self.commands) >= ASKED_AT_ONCE_MAX:
                return False
            fill = msgspec.structs.replace(waiting.fill, session_date=date)
            # Asked again it is another command: a known one would not be answered, and the bill knows its fills.
            command_id = derived(RULE, fill.event_id, newest.list_version, waiting.times)
            at = self._stamp()
            command = AccrueCommission(at=at, actor=ACTOR, fill=fill, list_version=newest.list_version, rates=rates)
            self._issue(command, command_id, waiting.correlation_id, fill.event_id)
            asked = msgspec.structs.replace(
                waiting, month=month_of(date), asked_at=self._cause.at, times=waiting.times + 1
            )
            self.state = msgspec.structs.replace(self.state, waiting=self.state.waiting.set(fill.event_id, asked))
        return True

    def invoices(self, board: Board, is_through: bool) -> None:
        """Invoice each month that is over in market time, once the answers on its fills are there."""
        open_months = {waiting.month for waiting in self.state.waiting.values()}
        for month in sorted(self.state.due):
            if not is_through or month in open_months or not month < month_of(board.session_date):
                continue
            if self._is_asked(month, 0):
                continue
            invoice_id = derived("invoice", self.state.account_id, month, len(self.state.invoices))
            command = IssueInvoice(at=self._stamp(), actor=ACTOR, invoice_id=invoice_id, month=month)
            self._issue(command, derived(RULE, invoice_id), "", self._cause.id)
            self._remember(month, 0)

    def corrections(self, terms: Terms, newest: PriceList) -> None:
        """Have every invoice priced again that a newer list may change."""
        version = newest.list_version
        if self.state.settled >= version:
            return
        behind = [(key, billed) for key, billed in self.state.invoices.items() if billed.list_version < version]
        for invoice_id, billed in sorted(behind):
            if not terms.differ(self.state.tenant, billed.list_version, billed.dates):
                self.state = _corrected(self.state, invoice_id, version)
            elif not self._is_asked(invoice_id, version):
                note_id = derived("credit_note", invoice_id, version)
                command = IssueCreditNote(
                    at=self._stamp(),
                    actor=ACTOR,
                    credit_note_id=note_id,
                    invoice_id=invoice_id,
                    list_version=version,
                    rows=newest.rows,
                )
                self._issue(command, derived(RULE, note_id), "", self._cause.id)
                self._remember(invoice_id, version)
        settled = min((billed.list_version for billed in self.state.invoices.values()), default=version)
        self.state = msgspec.structs.replace(self.state, settled=settled)

    def _unasked(self) -> Iterator[Waiting]:
        found = [
            waiting for waiting in self.state.waiting.values() if self._cause.at - waiting.asked_at >= ANSWER_US_MAX
        ]
        yield from sorted(found, key=lambda waiting: waiting.fill.sequence)

    def _is_asked(self, key: str, list_version: int) -> bool:
        asked = self.state.asked.get(key)
        return asked is not None and asked.list_version == list_version and self._cause.at - asked.at < ANSWER_US_MAX

    def _remember(self, key: str, list_version: int) -> None:
        asked = Asked(list_version=list_version, at=self._cause.at)
        self.state = msgspec.structs.replace(self.state, asked=self.state.asked.set(key, asked))

    def _stamp(self) -> Micros:
        at = Micros(max(self.state.at + 1, self._cause.at))
        self.state = msgspec.structs.replace(self.state, at=at)
        return at

    def _issue(self, command: BillingCommand, command_id: str, correlation_id: str, causation_id: str) -> None:
        self.commands.append(
            Issued(
                command=command,
                command_id=command_id,
                tenant=self.state.tenant,
                stream_id=self.state.account_id,
                causation_id=causation_id,
                correlation_id=correlation_id or self._cause.correlation_id or command_id,
            )
        )


def _without(entries: Map[str, V], key: str) -> Map[str, V]:
    return entries.delete(key) if key in entries else entries
