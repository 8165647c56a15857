"""The rules of an order's life: one command in, one event out, the most basic reason to refuse first."""

import msgspec

from domain.kernel.decider import Decider
from domain.kernel.ids import OrderId, Symbol
from domain.kernel.market import Market, Phase
from domain.kernel.money import Money, Price, Quantity, notional, notional_at_most, share_of, with_margin
from domain.orders import commands as c
from domain.orders import events as e
from domain.orders.commands import Kind, OrderCommand, Side
from domain.orders.events import OrderEvent, OrderRefused, Refusal
from domain.orders.reports import report
from domain.orders.state import Book, Replacement, Working, evolve, needed
from domain.orders.upkeep import keep

COLLAR_PER_MILLE = 100
"""A limit price may be this far from the mark, either way: fat fingers are wider, honest patience is narrower."""
MARKET_MARGIN_PER_MILLE = 50
"""What a market purchase sets aside above the mark, since its price is not known yet."""
MARK_AGE_MAX_US = 15_000_000
"""An order decided on an older mark is refused; marks come once a second, so fifteen missing ones are an outage."""
WORKING_ORDERS_MAX = 1_000
"""Working orders of one account: a bound on its state and on what a halt must cancel."""


def decide(book: Book, command: OrderCommand) -> OrderEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.PlaceOrder():
            return place(book, command)
        case c.CancelOrder():
            return cancel(book, command)
        case c.ReplaceOrder():
            return replace(book, command)
        case (
            c.RecordAcceptance()
            | c.RecordRejection()
            | c.RecordExecution()
            | c.RecordCancel()
            | c.RecordCancelRejection()
            | c.RecordReplace()
            | c.RecordReplaceRejection()
            | c.RecordExpiry()
        ):
            return report(book, command)
        case _:
            return keep(book, command)


def place(book: Book, command: c.PlaceOrder) -> OrderEvent:
    """A new order of the account's trader."""
    reason = _not_trading(book) or _known(book, command.order_id) or _malformed(command)
    reason = reason or _market_refuses(command.market, command.at, command.limit_price)
    if reason is None and len(book.working) >= WORKING_ORDERS_MAX:
        reason = Refusal.LIMIT_WORKING_ORDERS
    reserved = _reservation(command)
    price = command.limit_price or command.market.price
    reason = reason or _beyond_limits(book, notional(command.quantity, price))
    reason = reason or _unaffordable(book, command.side, command.symbol, command.quantity, reserved)
    if reason is not None:
        return OrderRefused(order_id=command.order_id, reason=reason)
    return e.OrderPlaced(
        order_id=command.order_id,
        symbol=command.symbol,
        side=command.side,
        kind=command.kind,
        quantity=command.quantity,
        limit_price=command.limit_price,
        time_in_force=command.time_in_force,
        reserved=reserved,
        market=command.market,
    )


def cancel(book: Book, command: c.CancelOrder) -> OrderEvent:
    """Ask the venue to take the order back. A halt does not stand in the way."""
    order = book.working.get(command.order_id)
    if order is None:
        return OrderRefused(order_id=command.order_id, reason=_absent(book, command.order_id))
    if order.cancelling:
        return OrderRefused(order_id=command.order_id, reason=Refusal.CANCEL_PENDING)
    return e.CancelRequested(order_id=command.order_id, order_version=order.version_awaited)


def replace(book: Book, command: c.ReplaceOrder) -> OrderEvent:
    """Ask the venue for another quantity and limit; the larger of both reservations is set aside meanwhile."""
    order = book.working.get(command.order_id)
    if order is None:
        reason: Refusal | None = _absent(book, command.order_id)
        return OrderRefused(order_id=command.order_id, reason=reason or Refusal.UNKNOWN_ORDER)
    reason = _not_trading(book) or _not_replaceable(order, command)
    reason = reason or _market_refuses(command.market, command.at, command.limit_price)
    reason = reason or _beyond_limits(book, notional(command.quantity, command.limit_price))
    version = order.version_newest + 1
    wanted = msgspec.structs.replace(order, replacement=Replacement(version, command.quantity, command.limit_price))
    reserved = max(order.reserved, needed(wanted))
    more_shares = Quantity(max(0, wanted.unfilled_most - order.unfilled))
    reason = reason or _unaffordable(book, order.side, order.symbol, more_shares, Money(reserved - order.reserved))
    if reason is not None:
        return OrderRefused(order_id=command.order_id, reason=reason)
    return e.ReplaceRequested(
        order_id=command.order_id,
        order_version=version,
        replaces_version=order.version,
        quantity=command.quantity,
        limit_price=command.limit_price,
        reserved=reserved,
        market=command.market,
    )


def _not_trading(book: Book) -> Refusal | None:
    if not book.is_open:
        return Refusal.NOT_OPEN
    if not book.is_approved:
        return Refusal.KYC_PENDING
    return Refusal.HALTED if book.halts else None


def _known(book: Book, order_id: OrderId) -> Refusal | None:
    return Refusal.DUPLICATE_ORDER if order_id in book.working or order_id in book.closed else None


def _absent(book: Book, order_id: OrderId) -> Refusal:
    return Refusal.ALREADY_CLOSED if order_id in book.closed else Refusal.UNKNOWN_ORDER


def _malformed(command: c.PlaceOrder) -> Refusal | None:
    if command.quantity <= 0:
        return Refusal.QUANTITY
    if command.kind is Kind.MARKET:
        return None if command.limit_price is None else Refusal.LIMIT_PRICE
    return Refusal.LIMIT_PRICE if command.limit_price is None or command.limit_price <= 0 else None


def _not_replaceable(order: Working, command: c.ReplaceOrder) -> Refusal | None:
    if order.cancelling:
        return Refusal.CANCEL_PENDING
    if order.replacement is not None:
        return Refusal.REPLACE_PENDING
    if order.kind is not Kind.LIMIT:
        return Refusal.NOT_REPLACEABLE
    if command.quantity <= order.quantity - order.unfilled:
        return Refusal.QUANTITY
    return Refusal.LIMIT_PRICE if command.limit_price <= 0 else None


def _market_refuses(market: Market, at: int, limit_price: Price | None) -> Refusal | None:
    if market.price <= 0:
        return Refusal.UNKNOWN_SYMBOL
    if market.phase is not Phase.OPEN:
        return Refusal.MARKET_CLOSED
    if at - market.observed_at > MARK_AGE_MAX_US:
        return Refusal.STALE_MARK
    if limit_price is not None and abs(limit_price - market.price) > share_of(market.price, COLLAR_PER_MILLE, 1000):
        return Refusal.COLLAR
    return None


def _beyond_limits(book: Book, value: Money) -> Refusal | None:
    limit = book.limits.order_notional_max
    return Refusal.LIMIT_NOTIONAL if limit is not None and value > limit else None


def _unaffordable(book: Book, side: Side, symbol: Symbol, quantity: Quantity, reserved: Money) -> Refusal | None:
    # A replace that asks for nothing more is allowed in an overdrawn book too.
    if side is Side.BUY:
        return Refusal.BUYING_POWER if reserved > max(0, book.free_cash) else None
    return Refusal.HOLDINGS if quantity > max(0, book.free_holding(symbol)) else None


def _reservation(command: c.PlaceOrder) -> Money:
    if command.side is Side.SELL or command.quantity <= 0:
        return Money(0)
    price = command.limit_price or with_margin(command.market.price, MARKET_MARGIN_PER_MILLE)
    return notional_at_most(command.quantity, price)


orders: Decider[Book, OrderCommand, OrderEvent] = Decider(Book(), decide, evolve)
"""The reference decider: copy its shape."""
