"""Small verbs for one account's book. Shares and dollars are whole numbers or text; what a story is not about is dull.

The order is `walnut`: buy 100 AAPL at 100 dollars, good till cancelled, on a mark of 100 dollars. The account holds
100,000 dollars and 500 MSFT where a story says so.
"""

from domain.kernel.ids import CheckId, DepositId, ExecutionId, Micros, OrderId, Symbol, WithdrawalId
from domain.kernel.market import Market, Phase
from domain.kernel.money import Money, Price, Quantity, notional_at_most, parse_money, parse_price, parse_quantity
from domain.orders import commands as c
from domain.orders import events as e
from domain.orders.commands import Kind, Side, TimeInForce
from domain.orders.events import Refusal

Number = int | str

WALNUT = "walnut"
NOW = Micros(1_700_000_000_000_000)
MONDAY_NOON = Micros(1_330_966_800_000_000)
"""2012-03-05 17:00 UTC: noon in New York."""
DAY = 86_400_000_000
SAGA = "saga:test"
EFFECT = "effect:test"


def dollars(amount: Number) -> Money:
    return Money(0) if amount == 0 else parse_money(str(amount))


def shares(quantity: Number) -> Quantity:
    return Quantity(0) if quantity == 0 else parse_quantity(str(quantity))


def each(price: Number) -> Price:
    """The price of one share."""
    return parse_price(str(price))


def market(
    price: Number = 100, *, phase: Phase = Phase.OPEN, market_time: int = MONDAY_NOON, observed_at: int = NOW
) -> Market:
    return Market(
        sequence=7,
        market_time=Micros(market_time),
        observed_at=Micros(observed_at),
        phase=phase,
        price=each(price),
    )


def place(
    order_id: str = WALNUT,
    *,
    side: Side = Side.BUY,
    symbol: str = "AAPL",
    quantity: Number = 100,
    limit: Number | None = 100,
    time_in_force: TimeInForce = TimeInForce.GTC,
    seen: Market | None = None,
    at: int = NOW,
) -> c.PlaceOrder:
    return c.PlaceOrder(
        at=Micros(at),
        actor="sub:ann",
        order_id=OrderId(order_id),
        symbol=Symbol(symbol),
        side=side,
        kind=Kind.MARKET if limit is None else Kind.LIMIT,
        quantity=shares(quantity),
        limit_price=None if limit is None else each(limit),
        time_in_force=time_in_force,
        market=seen or market(),
    )


def replace(
    order_id: str = WALNUT, *, quantity: Number = 200, limit: Number = 100, seen: Market | None = None
) -> c.ReplaceOrder:
    return c.ReplaceOrder(
        at=NOW,
        actor="sub:ann",
        order_id=OrderId(order_id),
        quantity=shares(quantity),
        limit_price=each(limit),
        market=seen or market(),
    )


def cancel(order_id: str = WALNUT) -> c.CancelOrder:
    return c.CancelOrder(at=NOW, actor="sub:ann", order_id=OrderId(order_id))


def open_trading(currency: str = "USD", *, actor: str = SAGA) -> c.OpenTrading:
    return c.OpenTrading(at=NOW, actor=actor, currency=currency)


def approve_trading(check_id: str = "check", *, actor: str = SAGA) -> c.ApproveTrading:
    return c.ApproveTrading(at=NOW, actor=actor, check_id=CheckId(check_id))


def may_trade() -> tuple[c.OpenTrading, c.ApproveTrading]:
    """What sagas send to the book of an account that exists and whose owner passed a check: now it may trade."""
    return open_trading(), approve_trading()


def credit(amount: Number = 1000, *, deposit: str = "salary", actor: str = SAGA) -> c.CreditCash:
    return c.CreditCash(at=NOW, actor=actor, deposit_id=DepositId(deposit), amount=dollars(amount))


def reserve(amount: Number = 1000, *, withdrawal: str = "rent", actor: str = SAGA) -> c.ReserveCash:
    return c.ReserveCash(at=NOW, actor=actor, withdrawal_id=WithdrawalId(withdrawal), amount=dollars(amount))


def spend(withdrawal: str = "rent", *, actor: str = SAGA) -> c.SpendReservation:
    return c.SpendReservation(at=NOW, actor=actor, withdrawal_id=WithdrawalId(withdrawal))


def release(withdrawal: str = "rent", *, actor: str = SAGA) -> c.ReleaseReservation:
    return c.ReleaseReservation(at=NOW, actor=actor, withdrawal_id=WithdrawalId(withdrawal))


def set_limits(order_max: Number = 5000, *, actor: str = SAGA) -> c.SetLimits:
    return c.SetLimits(at=NOW, actor=actor, order_notional_max=dollars(order_max))


def halt(cause: str = "exposure", *, actor: str = SAGA) -> c.HaltTrading:
    return c.HaltTrading(at=NOW, actor=actor, cause=cause, reason="too much at stake")


def resume(cause: str = "exposure", *, actor: str = SAGA) -> c.ResumeTrading:
    return c.ResumeTrading(at=NOW, actor=actor, cause=cause)


def end_day(session_date: str = "2012-03-05", *, actor: str = "agent:test") -> c.EndDay:
    return c.EndDay(at=NOW, actor=actor, session_date=session_date)


def record_acceptance(order_id: str = WALNUT, *, actor: str = EFFECT) -> c.RecordAcceptance:
    return c.RecordAcceptance(at=NOW, actor=actor, order_id=OrderId(order_id), venue_order_id="v-1")


def record_rejection(order_id: str = WALNUT) -> c.RecordRejection:
    return c.RecordRejection(at=NOW, actor=EFFECT, order_id=OrderId(order_id), reason="no such market")


def record_fill(
    quantity: Number = 30,
    *,
    order_id: str = WALNUT,
    execution: str = "x-1",
    symbol: str = "AAPL",
    side: Side = Side.BUY,
    price: Number = 100,
) -> c.RecordExecution:
    return c.RecordExecution(
        at=NOW,
        actor=EFFECT,
        order_id=OrderId(order_id),
        execution_id=ExecutionId(execution),
        symbol=Symbol(symbol),
        side=side,
        quantity=shares(quantity),
        price=each(price),
        venue_time_ns=MONDAY_NOON * 1000,
    )


def record_cancel(order_id: str = WALNUT) -> c.RecordCancel:
    return c.RecordCancel(at=NOW, actor=EFFECT, order_id=OrderId(order_id))


def record_cancel_rejection(order_id: str = WALNUT) -> c.RecordCancelRejection:
    return c.RecordCancelRejection(at=NOW, actor=EFFECT, order_id=OrderId(order_id), reason="too late")


def record_replace(version: int = 2, *, order_id: str = WALNUT) -> c.RecordReplace:
    return c.RecordReplace(at=NOW, actor=EFFECT, order_id=OrderId(order_id), order_version=version)


def record_replace_rejection(version: int = 2, *, order_id: str = WALNUT) -> c.RecordReplaceRejection:
    return c.RecordReplaceRejection(
        at=NOW, actor=EFFECT, order_id=OrderId(order_id), order_version=version, reason="too late"
    )


def record_expiry(order_id: str = WALNUT) -> c.RecordExpiry:
    return c.RecordExpiry(at=NOW, actor=EFFECT, order_id=OrderId(order_id))


def opened() -> e.TradingOpened:
    return e.TradingOpened(currency="USD")


def approved(check_id: str = "check") -> e.TradingApproved:
    return e.TradingApproved(check_id=CheckId(check_id))


def credited(cash: Number = 100_000, *, deposit: str = "savings", amount: Number | None = None) -> e.CashCredited:
    """Cash came in and the book has this much now."""
    return e.CashCredited(
        deposit_id=DepositId(deposit), amount=dollars(cash if amount is None else amount), cash=dollars(cash)
    )


def placed(
    order_id: str = WALNUT,
    *,
    side: Side = Side.BUY,
    symbol: str = "AAPL",
    quantity: Number = 100,
    limit: Number | None = 100,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reserved: Number | None = None,
    seen: Market | None = None,
) -> e.OrderPlaced:
    price = None if limit is None else each(limit)
    if reserved is not None:
        cash = dollars(reserved)
    else:
        cash = Money(0) if side is Side.SELL else notional_at_most(shares(quantity), price or each(105))
    return e.OrderPlaced(
        order_id=OrderId(order_id),
        symbol=Symbol(symbol),
        side=side,
        kind=Kind.MARKET if limit is None else Kind.LIMIT,
        quantity=shares(quantity),
        limit_price=price,
        time_in_force=time_in_force,
        reserved=cash,
        market=seen or market(),
    )


def accepted(order_id: str = WALNUT) -> e.OrderAccepted:
    return e.OrderAccepted(order_id=OrderId(order_id), venue_order_id="v-1")


def rejected(order_id: str = WALNUT, *, released: Number = 10_000) -> e.OrderRejected:
    return e.OrderRejected(order_id=OrderId(order_id), reason="no such market", released=dollars(released))


def filled(
    quantity: Number = 30,
    *,
    order_id: str = WALNUT,
    execution: str = "x-1",
    symbol: str = "AAPL",
    side: Side = Side.BUY,
    price: Number = 100,
    amount: Number = 3000,
    unfilled: Number = 70,
    released: Number = 3000,
    late: bool = False,
) -> e.OrderFilled:
    return e.OrderFilled(
        order_id=OrderId(order_id),
        execution_id=ExecutionId(execution),
        symbol=Symbol(symbol),
        side=side,
        quantity=shares(quantity),
        price=each(price),
        amount=dollars(amount),
        unfilled=shares(unfilled),
        released=dollars(released),
        late=late,
        venue_time_ns=MONDAY_NOON * 1000,
    )


def cancel_requested(order_id: str = WALNUT, *, version: int = 1) -> e.CancelRequested:
    return e.CancelRequested(order_id=OrderId(order_id), order_version=version)


def cancel_rejected(order_id: str = WALNUT) -> e.CancelRejected:
    return e.CancelRejected(order_id=OrderId(order_id), reason="too late")


def cancelled(order_id: str = WALNUT, *, unfilled: Number = 100, released: Number = 10_000) -> e.OrderCancelled:
    return e.OrderCancelled(order_id=OrderId(order_id), unfilled=shares(unfilled), released=dollars(released))


def expired(order_id: str = WALNUT, *, unfilled: Number = 100, released: Number = 10_000) -> e.OrderExpired:
    return e.OrderExpired(order_id=OrderId(order_id), unfilled=shares(unfilled), released=dollars(released))


def replace_requested(
    order_id: str = WALNUT,
    *,
    version: int = 2,
    replaces: int = 1,
    quantity: Number = 200,
    limit: Number = 100,
    reserved: Number = 20_000,
) -> e.ReplaceRequested:
    return e.ReplaceRequested(
        order_id=OrderId(order_id),
        order_version=version,
        replaces_version=replaces,
        quantity=shares(quantity),
        limit_price=each(limit),
        reserved=dollars(reserved),
        market=market(),
    )


def replaced(
    order_id: str = WALNUT,
    *,
    version: int = 2,
    quantity: Number = 200,
    limit: Number = 100,
    unfilled: Number = 200,
    released: Number = 0,
) -> e.OrderReplaced:
    return e.OrderReplaced(
        order_id=OrderId(order_id),
        order_version=version,
        quantity=shares(quantity),
        limit_price=each(limit),
        unfilled=shares(unfilled),
        released=dollars(released),
    )


def replace_rejected(order_id: str = WALNUT, *, version: int = 2, released: Number = 10_000) -> e.ReplaceRejected:
    return e.ReplaceRejected(
        order_id=OrderId(order_id), order_version=version, reason="too late", released=dollars(released)
    )


def day_ended(*orders: tuple[str, Number, Number], session_date: str = "2012-03-05") -> e.DayEnded:
    """Each order with its unfilled shares and the cash it gives back."""
    return e.DayEnded(
        session_date=session_date,
        expired=tuple(
            e.ExpiredOrder(order_id=OrderId(name), unfilled=shares(unfilled), released=dollars(released))
            for name, unfilled, released in orders
        ),
    )


def reserved(amount: Number = 1000, *, withdrawal: str = "rent") -> e.CashReserved:
    return e.CashReserved(withdrawal_id=WithdrawalId(withdrawal), amount=dollars(amount))


def spent(amount: Number = 1000, *, cash: Number = 99_000, withdrawal: str = "rent") -> e.ReservationSpent:
    return e.ReservationSpent(withdrawal_id=WithdrawalId(withdrawal), amount=dollars(amount), cash=dollars(cash))


def released(amount: Number = 1000, *, withdrawal: str = "rent") -> e.ReservationReleased:
    return e.ReservationReleased(withdrawal_id=WithdrawalId(withdrawal), amount=dollars(amount))


def limits_set(order_max: Number = 5000) -> e.LimitsSet:
    return e.LimitsSet(order_notional_max=dollars(order_max))


def halted(cause: str = "exposure", *, working: tuple[str, ...] = ()) -> e.TradingHalted:
    return e.TradingHalted(cause=cause, reason="too much at stake", working=tuple(map(OrderId, working)))


def resumed(cause: str = "exposure", *, remaining: tuple[str, ...] = ()) -> e.TradingResumed:
    return e.TradingResumed(cause=cause, remaining=remaining)


def refused(reason: Refusal, order_id: str = WALNUT) -> e.OrderRefused:
    return e.OrderRefused(order_id=OrderId(order_id), reason=reason)


def book_refused(reason: Refusal, reference: str) -> e.BookRefused:
    return e.BookRefused(reference=reference, reason=reason)
