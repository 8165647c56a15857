"""Any command an account's book may ever get: sensible, repeated, out of order, forged, absurd."""

from collections.abc import Callable

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from domain.kernel.ids import CheckId, DepositId, ExecutionId, Micros, OrderId, Symbol, WithdrawalId
from domain.kernel.market import Market, Phase
from domain.kernel.money import SCALE, Money, Price, Quantity
from domain.orders import commands as c
from domain.orders.commands import Kind, OrderCommand, Side, TimeInForce
from domain.orders.decide import orders as decider
from domain.orders.state import Book
from tests.kit.orders import (
    DAY,
    EFFECT,
    MONDAY_NOON,
    NOW,
    SAGA,
    Number,
    cancel,
    place,
    record_acceptance,
    record_cancel,
    record_cancel_rejection,
    record_expiry,
    record_fill,
    record_rejection,
    record_replace,
    record_replace_rejection,
    release,
    replace,
    spend,
)

LONG_MAX = 2**63 - 1

orders = st.sampled_from([f"order-{number}" for number in range(12)]).map(OrderId)
symbols = st.sampled_from(["AAPL", "MSFT"]).map(Symbol)
sides = st.sampled_from(Side)
absurd = st.sampled_from([0, -1, 1, LONG_MAX, -LONG_MAX, 2**62])
some_shares = st.integers(1, 300).map(lambda n: n * SCALE)
quantities = st.one_of(some_shares, some_shares, some_shares, st.integers(1, 3 * SCALE), absurd).map(Quantity)
some_price = st.integers(9_000, 11_000).map(lambda cents: cents * SCALE // 100)
prices = st.one_of(some_price, some_price, some_price, st.integers(90 * SCALE, 110 * SCALE), absurd).map(Price)
some_cash = st.integers(1, 5_000_000)
amounts = st.one_of(some_cash, some_cash, some_cash, absurd).map(Money)
versions = st.integers(1, 5)
causes = st.sampled_from(["exposure", "officer"])


def actor(*usual: str) -> SearchStrategy[str]:
    """Mostly one who may, sometimes one who may not."""
    return st.sampled_from([*usual * 9, "sub:ann", "agent:test", ""])


markets = st.builds(
    Market,
    sequence=st.just(7),
    market_time=st.sampled_from([MONDAY_NOON, MONDAY_NOON + DAY]).map(Micros),
    observed_at=st.sampled_from([NOW, NOW, NOW, NOW - 20_000_000]).map(Micros),
    phase=st.sampled_from([Phase.OPEN] * 9 + [Phase.CLOSED]),
    price=st.one_of(st.just(100 * SCALE), st.just(100 * SCALE), absurd).map(Price),
)
places = st.builds(
    c.PlaceOrder,
    at=st.just(NOW),
    actor=st.just("sub:ann"),
    order_id=orders,
    symbol=symbols,
    side=sides,
    kind=st.sampled_from([Kind.LIMIT, Kind.LIMIT, Kind.MARKET]),
    quantity=quantities,
    limit_price=st.one_of(prices, prices, st.none()),
    time_in_force=st.sampled_from(TimeInForce),
    market=markets,
)
replaces = st.builds(
    c.ReplaceOrder,
    at=st.just(NOW),
    actor=st.just("sub:ann"),
    order_id=orders,
    quantity=quantities,
    limit_price=prices,
    market=markets,
)
executions = st.builds(
    c.RecordExecution,
    at=st.just(NOW),
    actor=actor(EFFECT),
    order_id=orders,
    execution_id=st.integers(0, 30).map(lambda n: ExecutionId(f"x-{n}")),
    symbol=symbols,
    side=sides,
    quantity=quantities,
    price=prices,
    venue_time_ns=st.integers(0, 9),
)


def _report(kind: type[c.VenueReport], **fields: SearchStrategy[object]) -> SearchStrategy[OrderCommand]:
    return st.builds(kind, at=st.just(NOW), actor=actor(EFFECT), order_id=orders, **fields)


reports = st.one_of(
    _report(c.RecordAcceptance, venue_order_id=st.just("v-1")),
    _report(c.RecordRejection, reason=st.just("no")),
    _report(c.RecordCancel),
    _report(c.RecordCancelRejection, reason=st.just("no")),
    _report(c.RecordReplace, order_version=versions),
    _report(c.RecordReplaceRejection, order_version=versions, reason=st.just("no")),
    _report(c.RecordExpiry),
)


def _upkeep(kind: type[c.SagaCommand], **fields: SearchStrategy[object]) -> SearchStrategy[OrderCommand]:
    return st.builds(kind, at=st.just(NOW), actor=actor(SAGA), **fields)


deposits = st.sampled_from(["salary", "gift", "estate", "refund"]).map(DepositId)
withdrawals = st.sampled_from(["rent", "car"]).map(WithdrawalId)
upkeep = st.one_of(
    _upkeep(c.OpenTrading, currency=st.just("USD")),
    _upkeep(c.ApproveTrading, check_id=st.sampled_from(["check", "again"]).map(CheckId)),
    _upkeep(c.CreditCash, deposit_id=deposits, amount=amounts),
    _upkeep(c.ReserveCash, withdrawal_id=withdrawals, amount=amounts),
    _upkeep(c.SpendReservation, withdrawal_id=withdrawals),
    _upkeep(c.ReleaseReservation, withdrawal_id=withdrawals),
    _upkeep(c.SetLimits, order_notional_max=st.integers(1_000_000, 10_000_000).map(Money)),
    _upkeep(c.HaltTrading, cause=causes, reason=st.just("why")),
    _upkeep(c.ResumeTrading, cause=causes),
    _upkeep(c.EndDay, session_date=st.sampled_from(["2012-03-05", "2012-03-06"])),
)
cancels = st.builds(c.CancelOrder, at=st.just(NOW), actor=st.just("sub:ann"), order_id=orders)
any_command: SearchStrategy[OrderCommand] = st.one_of(places, places, replaces, cancels, executions, reports, upkeep)


def likely(draw: st.DrawFn, book: Book) -> OrderCommand:
    """What comes next in an honest history of this book."""
    if not book.is_open:
        return OPEN
    if not book.is_approved:
        return APPROVE
    if not book.deposits:
        return DEPOSIT
    working, closed = sorted(book.working), sorted(book.closed)
    pending = sorted(name for name, held in book.withdrawals.items() if held)
    choices: list[Callable[[], OrderCommand]] = [lambda: _purchase(draw), lambda: _sale(draw, book)]
    if working:
        choices += [lambda: _next_of(draw, working, book)] * 5
    if closed:
        choices.append(lambda: _fill(draw, draw(st.sampled_from(closed)), Symbol("AAPL"), Side.BUY, SCALE, 100 * SCALE))
    if book.halts:
        choices.append(lambda: c.ResumeTrading(at=NOW, actor=SAGA, cause=min(book.halts)))
    if pending:
        choices += [lambda: spend(pending[0]), lambda: release(pending[0])]
    return draw(st.sampled_from(choices))()


def _purchase(draw: st.DrawFn) -> OrderCommand:
    return place(
        draw(orders),
        symbol=draw(symbols),
        quantity=draw(SOME_SHARES),
        limit=draw(SOME_LIMIT),
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )


def _sale(draw: st.DrawFn, book: Book) -> OrderCommand:
    held = sorted(symbol for symbol, quantity in book.holdings.items() if quantity > 0)
    if not held:
        return _purchase(draw)
    symbol = draw(st.sampled_from(held))
    quantity = Quantity(max(1, book.holdings[symbol] // draw(PART)))
    return msgspec.structs.replace(place(draw(orders), symbol=symbol, side=Side.SELL), quantity=quantity)


def _next_of(draw: st.DrawFn, working: list[OrderId], book: Book) -> OrderCommand:
    name = draw(st.sampled_from(working))
    order = book.working[name]
    verbs: list[Callable[..., OrderCommand]] = [
        record_fill,
        record_fill,
        record_fill,
        cancel,
        record_acceptance,
        record_cancel,
    ]
    verbs += [record_expiry, record_rejection]
    if order.cancelling:
        verbs += [record_cancel_rejection]
    if order.kind is Kind.LIMIT and order.replacement is None and not order.cancelling:
        verbs += [replace, replace, replace]
    if order.replacement is not None:
        verbs += [record_replace, record_replace_rejection]
    verb: Callable[..., OrderCommand] = draw(st.sampled_from(verbs))
    if verb is record_fill:
        price = order.reserve_price or 100 * SCALE
        return _fill(draw, name, order.symbol, order.side, order.unfilled, price)
    if verb is replace:
        quantity = Quantity(max(1, order.quantity + order.unfilled * draw(PART) // 2 - order.unfilled))
        return msgspec.structs.replace(replace(name, limit=draw(SOME_NEW_LIMIT)), quantity=quantity)
    if order.replacement is not None and verb in (record_replace, record_replace_rejection):
        return verb(order.replacement.version, order_id=name)
    return verb(name)


def _fill(draw: st.DrawFn, name: OrderId, symbol: Symbol, side: Side, unfilled: int, price: int) -> OrderCommand:
    part = draw(PART)
    return c.RecordExecution(
        at=NOW,
        actor=EFFECT,
        order_id=name,
        execution_id=ExecutionId(f"x-{draw(FRESH)}"),
        symbol=symbol,
        side=side,
        quantity=Quantity(2 * unfilled if part == 5 else unfilled // part + (part > 1)),
        price=Price(price + draw(st.sampled_from([0, 0, -1, 1])) * SCALE // 7),
        venue_time_ns=part,
    )


FRESH = st.integers(0, 5_000)
PART = st.integers(1, 5)
SOME_SHARES: SearchStrategy[Number] = st.sampled_from([100, 300, "0.015", "33.333"])
SOME_LIMIT: SearchStrategy[Number | None] = st.sampled_from([100, 95, "99.99", "101.005", None])
SOME_NEW_LIMIT: SearchStrategy[Number] = st.sampled_from([95, 100, 105, "99.995"])
OPEN = c.OpenTrading(at=NOW, actor=SAGA, currency="USD")
APPROVE = c.ApproveTrading(at=NOW, actor=SAGA, check_id=CheckId("check"))
DEPOSIT = c.CreditCash(at=NOW, actor=SAGA, deposit_id=DepositId("opening"), amount=Money(10_000_000))
STEPS_MAX = 40


@st.composite
def histories(draw: st.DrawFn) -> list[OrderCommand]:
    """Commands as they may come: most continue what is there, one of six is anything at all."""
    commands: list[OrderCommand] = []
    book = decider.initial
    for step in range(draw(LENGTH)):
        stray = draw(st.integers(0, 5)) == 5 or (not step and draw(st.booleans()))
        commands.append(draw(any_command) if stray else likely(draw, book))
        book = decider.evolve(book, decider.decide(book, commands[-1]))
    return commands


LENGTH = st.integers(0, STEPS_MAX)
