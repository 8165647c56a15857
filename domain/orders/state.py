"""One account's book, and how each event changes it.

The life of an order, as the book sees it (columns are events, a dash means the event is kept but changes nothing):

    state      | CancelRequested | ReplaceRequested | OrderFilled       | OrderReplaced | Cancelled, Expired, Rejected
    unknown    | -               | -                | closed (late)     | -             | -
    working    | cancelling      | replacing        | working or closed | -             | closed
    cancelling | -               | -                | cancelling/closed | cancelling    | closed
    replacing  | cancelling too  | -                | replacing/closed  | working       | closed
    closed     | -               | -                | closed (late)     | -             | -

DayEnded closes the day orders it names. CancelRejected takes `cancelling` away again, ReplaceRejected `replacing`. A
fill that comes after the end is `late`: venues race our cancels, and shares that changed hands are kept whatever we
thought. Only `decide` refuses; `evolve` believes the tape.
"""

from typing import assert_never

import msgspec
from immutables import Map

from domain.kernel.ids import CheckId, ExecutionId, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity, notional_at_most
from domain.orders import events as e
from domain.orders.commands import Kind, Side, TimeInForce


class Replacement(msgspec.Struct, frozen=True):
    """Terms that the venue was asked for and has not answered yet."""

    version: int
    quantity: Quantity
    limit_price: Price


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """An order at the venue, placed in the session of `session_date`.

    `reserve_price` is what a share of a purchase may cost at most (zero for a sale). `version` is the one that the
    venue works, `version_newest` the last that it was asked for, so that no version is ever used twice.
    """

    symbol: Symbol
    side: Side
    kind: Kind
    time_in_force: TimeInForce
    quantity: Quantity
    unfilled: Quantity
    reserve_price: Price
    reserved: Money
    version: int = 1
    version_newest: int = 1
    accepted: bool = False
    cancelling: bool = False
    replacement: Replacement | None = None
    session_date: str = ""

    @property
    def is_known_to_venue(self) -> bool:
        """The venue took the order, filled a part of it or changed its terms: it can no longer reject it."""
        return self.accepted or self.unfilled < self.quantity or self.version > 1

    @property
    def version_awaited(self) -> int:
        """The version that the venue will work once it has read everything we sent."""
        return self.version if self.replacement is None else self.replacement.version

    @property
    def unfilled_wanted(self) -> Quantity:
        """What would be unfilled under the terms that the venue was asked for."""
        if self.replacement is None:
            return self.unfilled
        return Quantity(max(0, self.replacement.quantity - (self.quantity - self.unfilled)))

    @property
    def unfilled_most(self) -> Quantity:
        """Shares that may still change hands, whichever terms the venue works."""
        return max(self.unfilled, self.unfilled_wanted)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is checked against; None is no limit."""

    order_notional_max: Money | None = None


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may spend, what it holds, what works at the venue.

    `cash` is everything the account has; free cash is `cash - reserved`. Closed orders leave `working`, their ids stay
    in `closed` so that an id is used once; executions stay known so that a repeat of the venue changes nothing.
    `check_id` is the newest check that the account's owner passed: without one the book takes no order.
    """

    currency: str = ""
    check_id: CheckId = CheckId("")
    cash: Money = Money(0)
    reserved: Money = Money(0)
    holdings: Map[Symbol, Quantity] = Map()
    working: Map[OrderId, Working] = Map()
    closed: Map[OrderId, int] = Map()
    executions: Map[ExecutionId, int] = Map()
    deposits: Map[str, Money] = Map()
    withdrawals: Map[str, Money] = Map()
    halts: frozenset[str] = frozenset()
    limits: Limits = Limits()

    @property
    def is_open(self) -> bool:
        """The account exists."""
        return bool(self.currency)

    @property
    def is_approved(self) -> bool:
        """The account's owner passed a check."""
        return bool(self.check_id)

    @property
    def free_cash(self) -> Money:
        """What a new order or withdrawal may use."""
        return Money(self.cash - self.reserved)

    def free_holding(self, symbol: Symbol) -> Quantity:
        """Shares that no working sale has promised yet."""
        promised = sum(o.unfilled_most for o in self.working.values() if o.symbol == symbol and o.side is Side.SELL)
        return Quantity(self.holdings.get(symbol, 0) - promised)


def needed(order: Working) -> Money:
    """What must stay reserved for the rest of this order: the larger of its terms and of those it asked for.

    The venue may fill the old terms up to the last share before it takes the new ones. So each share that both terms
    have is reserved at the dearer price, and the shares that only the new terms have come on top.
    """
    if order.side is Side.SELL:
        return Money(0)
    old = notional_at_most(order.unfilled, order.reserve_price)
    if order.replacement is None:
        return old
    shared = min(order.unfilled, order.unfilled_wanted)
    added = Quantity(order.unfilled_wanted - shared)
    limit = order.replacement.limit_price
    new = notional_at_most(shared, max(order.reserve_price, limit)) + notional_at_most(added, limit)
    return Money(max(old, new))


def evolve(book: Book, event: e.OrderEvent) -> Book:
    """The book after this event."""
    match event:
        case e.OrderPlaced():
            return _placed(book, event)
        case e.OrderFilled():
            return _filled(book, event)
        case e.OrderAccepted():
            return _changed(book, event.order_id, accepted=True)
        case e.CancelRequested():
            return _changed(book, event.order_id, cancelling=True)
        case e.CancelRejected():
            return _changed(book, event.order_id, cancelling=False)
        case e.ReplaceRequested():
            return _replace_requested(book, event)
        case e.OrderReplaced():
            return _replaced(book, event)
        case e.ReplaceRejected():
            return _released(_changed(book, event.order_id, replacement=None), event.order_id, event.released)
        case e.OrderRejected() | e.OrderCancelled() | e.OrderExpired():
            return _closed(book, event.order_id, event.released)
        case e.DayEnded():
            for order in event.expired:
                book = _closed(book, order.order_id, order.released)
            return book
        case e.OrderRefused() | e.BookRefused():
            return book
        case _:
            return _account_changed(book, event)


_AccountEvent = (
    e.TradingOpened
    | e.TradingApproved
    | e.CashCredited
    | e.CashReserved
    | e.ReservationSpent
    | e.ReservationReleased
    | e.LimitsSet
    | e.TradingHalted
    | e.TradingResumed
)


def _account_changed(book: Book, event: _AccountEvent) -> Book:
    replace = msgspec.structs.replace
    match event:
        case e.TradingOpened():
            return replace(book, currency=event.currency)
        case e.TradingApproved():
            return replace(book, check_id=event.check_id)
        case e.CashCredited():
            return replace(book, cash=event.cash, deposits=book.deposits.set(event.deposit_id, event.amount))
        case e.CashReserved():
            return replace(
                book,
                reserved=Money(book.reserved + event.amount),
                withdrawals=book.withdrawals.set(event.withdrawal_id, event.amount),
            )
        case e.ReservationSpent():
            return replace(
                book,
                cash=event.cash,
                reserved=Money(book.reserved - event.amount),
                withdrawals=book.withdrawals.set(event.withdrawal_id, Money(0)),
            )
        case e.ReservationReleased():
            return replace(
                book,
                reserved=Money(book.reserved - event.amount),
                withdrawals=book.withdrawals.set(event.withdrawal_id, Money(0)),
            )
        case e.LimitsSet():
            return replace(book, limits=Limits(order_notional_max=event.order_notional_max))
        case e.TradingHalted():
            return replace(book, halts=book.halts | {event.cause})
        case e.TradingResumed():
            return replace(book, halts=book.halts - {event.cause})
        case _:
            assert_never(event)


def _placed(book: Book, event: e.OrderPlaced) -> Book:
    reserve_price = Price(0)
    if event.side is Side.BUY:
        # The reservation was rounded up once for the whole order, so the price per share follows from the limit when
        # there is one and is kept as the dearest price that the reservation covers when there is none.
        reserve_price = event.limit_price or dearest_price(event.reserved, event.quantity)
    order = Working(
        symbol=event.symbol,
        side=event.side,
        kind=event.kind,
        time_in_force=event.time_in_force,
        quantity=event.quantity,
        unfilled=event.quantity,
        reserve_price=reserve_price,
        reserved=event.reserved,
        session_date=event.market.session_date,
    )
    return msgspec.structs.replace(
        book, reserved=Money(book.reserved + event.reserved), working=book.working.set(event.order_id, order)
    )


def dearest_price(reserved: Money, quantity: Quantity) -> Price:
    """The highest price per share at which the reservation covers the whole quantity."""
    return Price(reserved * 10**14 // quantity)


def _filled(book: Book, event: e.OrderFilled) -> Book:
    sign = 1 if event.side is Side.BUY else -1
    held = Quantity(book.holdings.get(event.symbol, Quantity(0)) + sign * event.quantity)
    holdings = book.holdings.set(event.symbol, held)
    if not held:
        holdings = holdings.delete(event.symbol)
    book = msgspec.structs.replace(
        book,
        cash=Money(book.cash - sign * event.amount),
        holdings=holdings,
        executions=book.executions.set(event.execution_id, event.venue_time_ns),
    )
    if event.unfilled == 0:
        return _closed(book, event.order_id, event.released)
    return _released(_changed(book, event.order_id, unfilled=event.unfilled), event.order_id, event.released)


def _replace_requested(book: Book, event: e.ReplaceRequested) -> Book:
    order = book.working.get(event.order_id)
    if order is None:
        return book
    more = Money(event.reserved - order.reserved)
    changed = msgspec.structs.replace(
        order,
        reserved=event.reserved,
        version_newest=event.order_version,
        replacement=Replacement(event.order_version, event.quantity, event.limit_price),
    )
    return msgspec.structs.replace(
        book, reserved=Money(book.reserved + more), working=book.working.set(event.order_id, changed)
    )


def _replaced(book: Book, event: e.OrderReplaced) -> Book:
    order = book.working.get(event.order_id)
    if order is None:
        return book
    changed = _changed(
        book,
        event.order_id,
        quantity=event.quantity,
        unfilled=event.unfilled,
        reserve_price=event.limit_price if order.side is Side.BUY else Price(0),
        version=event.order_version,
        replacement=None,
    )
    if event.unfilled == 0:
        return _closed(changed, event.order_id, event.released)
    return _released(changed, event.order_id, event.released)


def _changed(book: Book, order_id: OrderId, **changes: object) -> Book:
    order = book.working.get(order_id)
    if order is None:
        return book
    return msgspec.structs.replace(book, working=book.working.set(order_id, msgspec.structs.replace(order, **changes)))


def _released(book: Book, order_id: OrderId, released: Money) -> Book:
    order = book.working.get(order_id)
    if order is None:
        return book
    rest = msgspec.structs.replace(order, reserved=Money(order.reserved - released))
    return msgspec.structs.replace(
        book, reserved=Money(book.reserved - released), working=book.working.set(order_id, rest)
    )


def _closed(book: Book, order_id: OrderId, released: Money) -> Book:
    closed = book.closed.set(order_id, 1)
    if order_id not in book.working:
        return msgspec.structs.replace(book, closed=closed)
    return msgspec.structs.replace(
        book,
        reserved=Money(book.reserved - released),
        working=book.working.delete(order_id),
        closed=closed,
    )
