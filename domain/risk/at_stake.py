"""What one account has at stake: the state that the exposure agent keeps, how events change it, what is measured.

Gross exposure is every holding at its last price and every unfilled purchase at its limit, each line rounded to cents
as a statement would show it. The order rate counts placed orders in the current minute of market time.
"""

from typing import TypeVar

import msgspec
from immutables import Map

from domain.kernel.ids import BreachId, Micros, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity, notional
from domain.market_data.marks import Board
from domain.orders import events as o
from domain.orders.commands import Side
from domain.orders.events import OrderEvent
from domain.risk import events as r
from domain.risk.commands import Measure

MINUTE_US = 60_000_000

K = TypeVar("K")
V = TypeVar("V")


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """Shares held; `price` is that of the last fill and counts until a mark names the symbol."""

    quantity: Quantity
    price: Price


class Purchase(msgspec.Struct, frozen=True, array_like=True):
    """What a working purchase may still buy; `price` is the mark it was placed at and counts where no mark is known."""

    symbol: Symbol
    unfilled: Quantity
    limit_price: Price | None
    price: Price


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """What the account is held to."""

    gross_exposure_max: Money
    orders_per_minute_max: int


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A report that `risk.events` has not answered yet."""

    command_id: str
    at: Micros


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """One account: what it holds and works, how fast it orders, what it is held to, what was reported."""

    tenant: str = ""
    account_id: str = ""
    book_version: int = 0
    holdings: Map[Symbol, Holding] = Map()
    purchases: Map[OrderId, Purchase] = Map()
    minute: int = -1
    minute_seen_at: Micros = Micros(0)
    orders_in_minute: int = 0
    limits: Limits | None = None
    breached: Map[Measure, BreachId] = Map()
    asked: Map[Measure, Asked] = Map()


def gross_exposure(state: Exposure, board: Board) -> Money:
    """Holdings at their last price, long or short, and what working purchases may still cost."""
    held = sum(
        notional(Quantity(abs(holding.quantity)), _last(board, symbol, holding.price))
        for symbol, holding in state.holdings.items()
    )
    working = sum(
        notional(each.unfilled, each.limit_price or _last(board, each.symbol, each.price))
        for each in state.purchases.values()
    )
    return Money(held + working)


def order_rate(state: Exposure, board: Board) -> int:
    """Orders placed in the current minute: that of the newer of the board and the last order."""
    is_past = board.observed_at > state.minute_seen_at and _minute(board.market_time) != state.minute
    return 0 if is_past else state.orders_in_minute


def forget(state: Exposure, command_id: str) -> Exposure:
    """A refused report was never made: it may be asked for again."""
    refused = [measure for measure, asked in state.asked.items() if asked.command_id == command_id]
    for measure in refused:
        state = msgspec.structs.replace(state, asked=state.asked.delete(measure))
    return state


def told(
    state: Exposure, event: r.LimitsSet | r.LimitBreached | r.BreachCleared | r.HaltOrdered | r.HaltLifted
) -> Exposure:
    """What the risk file says of limits and reports; halts change nothing that is at stake."""
    replace = msgspec.structs.replace
    match event:
        case r.LimitsSet():
            return replace(state, limits=Limits(event.gross_exposure_max, event.orders_per_minute_max))
        case r.LimitBreached():
            asked = _without(state.asked, event.measure)
            return replace(state, breached=state.breached.set(event.measure, event.breach_id), asked=asked)
        case r.BreachCleared():
            asked = _without(state.asked, event.measure)
            return replace(state, breached=_without(state.breached, event.measure), asked=asked)
        case _:
            return state


def booked(state: Exposure, event: OrderEvent) -> Exposure:
    """What the account's book says of holdings, purchases and the pace of orders."""
    match event:
        case o.OrderPlaced():
            return _placed(state, event)
        case o.OrderFilled():
            return _filled(state, event)
        case o.OrderReplaced():
            return _changed(state, event.order_id, unfilled=event.unfilled, limit_price=event.limit_price)
        case o.OrderRejected() | o.OrderCancelled() | o.OrderExpired():
            return _changed(state, event.order_id, unfilled=Quantity(0))
        case o.DayEnded():
            for order in event.expired:
                state = _changed(state, order.order_id, unfilled=Quantity(0))
            return state
        case _:
            return state  # Cash, halts, questions to the venue and refusals put nothing more at stake.


def _placed(state: Exposure, event: o.OrderPlaced) -> Exposure:
    market = event.market
    minute = _minute(market.market_time)
    if minute == state.minute:
        state = msgspec.structs.replace(state, orders_in_minute=state.orders_in_minute + 1)
    elif market.observed_at >= state.minute_seen_at:
        state = msgspec.structs.replace(state, minute=minute, orders_in_minute=1)
    seen_at = max(state.minute_seen_at, market.observed_at)
    state = msgspec.structs.replace(state, minute_seen_at=seen_at)
    if event.side is Side.SELL:
        return state
    purchase = Purchase(event.symbol, event.quantity, event.limit_price, market.price)
    return msgspec.structs.replace(state, purchases=state.purchases.set(event.order_id, purchase))


def _filled(state: Exposure, event: o.OrderFilled) -> Exposure:
    sign = 1 if event.side is Side.BUY else -1
    held = state.holdings.get(event.symbol)
    quantity = Quantity((held.quantity if held else 0) + sign * event.quantity)
    holdings = _without(state.holdings, event.symbol)
    if quantity:
        holdings = holdings.set(event.symbol, Holding(quantity, event.price))
    return _changed(msgspec.structs.replace(state, holdings=holdings), event.order_id, unfilled=event.unfilled)


def _changed(state: Exposure, order_id: OrderId, **changes: Quantity | Price) -> Exposure:
    """A working purchase with other terms; one with nothing left to buy leaves. A sale was never there."""
    purchase = state.purchases.get(order_id)
    if purchase is None:
        return state
    purchase = msgspec.structs.replace(purchase, **changes)
    purchases = state.purchases.set(order_id, purchase) if purchase.unfilled else state.purchases.delete(order_id)
    return msgspec.structs.replace(state, purchases=purchases)


def _last(board: Board, symbol: Symbol, otherwise: Price) -> Price:
    marked = board.prices.get(symbol)
    return otherwise if marked is None else marked.last


def _minute(market_time: Micros) -> int:
    return market_time // MINUTE_US


def _without(pairs: Map[K, V], key: K) -> Map[K, V]:
    return pairs.delete(key) if key in pairs else pairs
