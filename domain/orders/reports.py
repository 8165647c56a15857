"""What the venue says about an order becomes a fact of the book; only the venue's effect may say it."""

from typing import assert_never

import msgspec

from domain.kernel.ids import OrderId
from domain.kernel.money import AMOUNT_MAX, Money, Quantity, notional
from domain.orders import commands as c
from domain.orders import events as e
from domain.orders.commands import VenueReport as Report
from domain.orders.events import OrderEvent, OrderRefused, Refusal
from domain.orders.state import Book, Working, needed

EFFECT = "effect:"
"""Actors that speak for the outside begin with this."""


def report(book: Book, command: Report) -> OrderEvent:
    """The event that follows from a report, or the refusal of one that changes nothing."""
    if not command.actor.startswith(EFFECT):
        return OrderRefused(order_id=command.order_id, reason=Refusal.FORBIDDEN_ACTOR)
    if isinstance(command, c.RecordExecution):
        return _execution(book, command)
    order = book.working.get(command.order_id)
    if order is None:
        return OrderRefused(order_id=command.order_id, reason=_absent(book, command.order_id))
    match command:
        case c.RecordAcceptance():
            if order.accepted:
                return OrderRefused(order_id=command.order_id, reason=Refusal.ALREADY_ACCEPTED)
            return e.OrderAccepted(order_id=command.order_id, venue_order_id=command.venue_order_id)
        case c.RecordRejection():
            if order.is_known_to_venue:
                return OrderRefused(order_id=command.order_id, reason=Refusal.ALREADY_ACCEPTED)
            return e.OrderRejected(order_id=command.order_id, reason=command.reason, released=order.reserved)
        case c.RecordCancel():
            return e.OrderCancelled(order_id=command.order_id, unfilled=order.unfilled, released=order.reserved)
        case c.RecordExpiry():
            return e.OrderExpired(order_id=command.order_id, unfilled=order.unfilled, released=order.reserved)
        case c.RecordCancelRejection():
            if not order.cancelling:
                return OrderRefused(order_id=command.order_id, reason=Refusal.NOT_PENDING)
            return e.CancelRejected(order_id=command.order_id, reason=command.reason)
        case c.RecordReplace():
            return _replaced(order, command)
        case c.RecordReplaceRejection():
            return _replace_rejected(order, command)
        case _:
            assert_never(command)


def _execution(book: Book, command: c.RecordExecution) -> OrderEvent:
    if command.execution_id in book.executions:
        return OrderRefused(order_id=command.order_id, reason=Refusal.DUPLICATE_EXECUTION)
    reason = _impossible(book, command)
    if reason is not None:
        return OrderRefused(order_id=command.order_id, reason=reason)
    order = book.working.get(command.order_id)
    unfilled, released = Quantity(0), Money(0)
    if order is not None:
        unfilled = Quantity(max(0, order.unfilled - command.quantity))
        rest = msgspec.structs.replace(order, unfilled=unfilled)
        released = Money(order.reserved - (needed(rest) if unfilled else 0))
    return e.OrderFilled(
        order_id=command.order_id,
        execution_id=command.execution_id,
        symbol=command.symbol,
        side=command.side,
        quantity=command.quantity,
        price=command.price,
        amount=notional(command.quantity, command.price),
        unfilled=unfilled,
        released=released,
        late=order is None,
        venue_time_ns=command.venue_time_ns,
    )


def _impossible(book: Book, command: c.RecordExecution) -> Refusal | None:
    """No market has seen such an execution, and no book and no record could hold it."""
    if command.quantity <= 0:
        return Refusal.QUANTITY
    if command.price <= 0:
        return Refusal.AMOUNT
    amount = notional(command.quantity, command.price)
    held = book.holdings.get(command.symbol, Quantity(0))
    beyond = abs(book.cash) + amount > AMOUNT_MAX or abs(held) + command.quantity > AMOUNT_MAX
    return Refusal.AMOUNT if beyond else None


def _replaced(order: Working, command: c.RecordReplace) -> OrderEvent:
    wanted = order.replacement
    if wanted is None or wanted.version != command.order_version:
        return OrderRefused(order_id=command.order_id, reason=Refusal.NOT_PENDING)
    unfilled = order.unfilled_wanted
    new_terms = msgspec.structs.replace(
        order,
        quantity=wanted.quantity,
        unfilled=unfilled,
        reserve_price=wanted.limit_price,
        replacement=None,
    )
    return e.OrderReplaced(
        order_id=command.order_id,
        order_version=wanted.version,
        quantity=wanted.quantity,
        limit_price=wanted.limit_price,
        unfilled=unfilled,
        released=Money(order.reserved - (needed(new_terms) if unfilled else 0)),
    )


def _replace_rejected(order: Working, command: c.RecordReplaceRejection) -> OrderEvent:
    wanted = order.replacement
    if wanted is None or wanted.version != command.order_version:
        return OrderRefused(order_id=command.order_id, reason=Refusal.NOT_PENDING)
    old_terms = msgspec.structs.replace(order, replacement=None)
    return e.ReplaceRejected(
        order_id=command.order_id,
        order_version=command.order_version,
        reason=command.reason,
        released=Money(order.reserved - needed(old_terms)),
    )


def _absent(book: Book, order_id: OrderId) -> Refusal:
    return Refusal.ALREADY_CLOSED if order_id in book.closed else Refusal.UNKNOWN_ORDER
