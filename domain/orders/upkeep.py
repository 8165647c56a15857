"""What sagas tell a book: that it may trade, what cash came and went, which limits and halts hold."""

from typing import assert_never

from domain.kernel.money import AMOUNT_MAX, Money
from domain.orders import commands as c
from domain.orders import events as e
from domain.orders.commands import SagaCommand as Upkeep
from domain.orders.commands import TimeInForce
from domain.orders.events import BookRefused, ExpiredOrder, OrderEvent, Refusal
from domain.orders.state import Book

SAGA = "saga:"
"""Actors that may send these commands: our own sagas."""
AGENT = "agent:"
"""Actors that watch the tape; one of them sees the close and may end the day."""

BEFORE_OPENING = (c.OpenTrading, c.ApproveTrading, c.HaltTrading, c.ResumeTrading, c.SetLimits, c.CreditCash)
"""What a book is told in any order: sagas send side by side, and after a crash a later step may arrive first. A check
may be over, a limit set and a deposit made before the account's opening is heard; refused, they would be lost."""


def keep(book: Book, command: Upkeep) -> OrderEvent:
    """The event that follows, or the refusal when the command is not a saga's or changes nothing."""
    allowed = (SAGA, AGENT) if isinstance(command, c.EndDay) else SAGA
    if not command.actor.startswith(allowed):
        return BookRefused(reference=reference(command), reason=Refusal.FORBIDDEN_ACTOR)
    if not book.is_open and not isinstance(command, BEFORE_OPENING):
        return BookRefused(reference=reference(command), reason=Refusal.NOT_OPEN)
    match command:
        case c.OpenTrading():
            if book.is_open:
                return BookRefused(reference=reference(command), reason=Refusal.ALREADY_OPEN)
            return e.TradingOpened(currency=command.currency)
        case c.ApproveTrading():
            if command.check_id == book.check_id:
                return BookRefused(reference=command.check_id, reason=Refusal.ALREADY_APPROVED)
            return e.TradingApproved(check_id=command.check_id)
        case c.CreditCash() | c.ReserveCash() | c.SpendReservation() | c.ReleaseReservation():
            return _transfer(book, command)
        case c.SetLimits():
            return e.LimitsSet(order_notional_max=command.order_notional_max)
        case c.HaltTrading():
            if command.cause in book.halts:
                return BookRefused(reference=command.cause, reason=Refusal.ALREADY_HALTED)
            return e.TradingHalted(
                cause=command.cause, reason=command.reason, working=tuple(sorted(book.working.keys()))
            )
        case c.ResumeTrading():
            if command.cause not in book.halts:
                return BookRefused(reference=command.cause, reason=Refusal.NOT_HALTED)
            return e.TradingResumed(cause=command.cause, remaining=tuple(sorted(book.halts - {command.cause})))
        case c.EndDay():
            return _end_day(book, command)
        case _:
            assert_never(command)


def _transfer(
    book: Book, command: c.CreditCash | c.ReserveCash | c.SpendReservation | c.ReleaseReservation
) -> OrderEvent:
    match command:
        case c.CreditCash():
            if command.deposit_id in book.deposits:
                return BookRefused(reference=command.deposit_id, reason=Refusal.DUPLICATE_TRANSFER)
            if command.amount <= 0 or book.cash + command.amount > AMOUNT_MAX:
                return BookRefused(reference=command.deposit_id, reason=Refusal.AMOUNT)
            return e.CashCredited(
                deposit_id=command.deposit_id, amount=command.amount, cash=Money(book.cash + command.amount)
            )
        case c.ReserveCash():
            if command.withdrawal_id in book.withdrawals:
                return BookRefused(reference=command.withdrawal_id, reason=Refusal.DUPLICATE_TRANSFER)
            if command.amount <= 0:
                return BookRefused(reference=command.withdrawal_id, reason=Refusal.AMOUNT)
            if command.amount > book.free_cash:
                return BookRefused(reference=command.withdrawal_id, reason=Refusal.BUYING_POWER)
            return e.CashReserved(withdrawal_id=command.withdrawal_id, amount=command.amount)
    held = book.withdrawals.get(command.withdrawal_id, Money(0))
    if not held:
        return BookRefused(reference=command.withdrawal_id, reason=Refusal.UNKNOWN_TRANSFER)
    match command:
        case c.SpendReservation():
            return e.ReservationSpent(withdrawal_id=command.withdrawal_id, amount=held, cash=Money(book.cash - held))
        case c.ReleaseReservation():
            return e.ReservationReleased(withdrawal_id=command.withdrawal_id, amount=held)
        case _:
            assert_never(command)


def _end_day(book: Book, command: c.EndDay) -> OrderEvent:
    # The word of a close may come late, when orders of the next session work already; those are not its business.
    expired = tuple(
        ExpiredOrder(order_id=order_id, unfilled=order.unfilled, released=order.reserved)
        for order_id, order in sorted(book.working.items())
        if order.time_in_force is TimeInForce.DAY and order.session_date <= command.session_date
    )
    if not expired:
        return BookRefused(reference=command.session_date, reason=Refusal.NOTHING_TO_END)
    return e.DayEnded(session_date=command.session_date, expired=expired)


def reference(command: Upkeep) -> str:
    """The id or cause that names what the command is about."""
    match command:
        case c.OpenTrading():
            return command.currency
        case c.ApproveTrading():
            return command.check_id
        case c.CreditCash():
            return command.deposit_id
        case c.ReserveCash() | c.SpendReservation() | c.ReleaseReservation():
            return command.withdrawal_id
        case c.SetLimits():
            return "limits"
        case c.HaltTrading() | c.ResumeTrading():
            return command.cause
        case c.EndDay():
            return command.session_date
        case _:
            assert_never(command)
