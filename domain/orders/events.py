"""What became of an account's orders, cash and holdings."""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from domain.kernel.ids import CheckId, DepositId, ExecutionId, OrderId, Symbol, WithdrawalId
from domain.kernel.market import Market
from domain.kernel.messages import Event
from domain.kernel.money import Money, Price, Quantity
from domain.orders.commands import Kind, Side, TimeInForce


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    NOT_OPEN = "NOT_OPEN"
    ALREADY_OPEN = "ALREADY_OPEN"
    KYC_PENDING = "KYC_PENDING"
    ALREADY_APPROVED = "ALREADY_APPROVED"
    HALTED = "HALTED"
    ALREADY_HALTED = "ALREADY_HALTED"
    NOT_HALTED = "NOT_HALTED"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    DUPLICATE_EXECUTION = "DUPLICATE_EXECUTION"
    DUPLICATE_TRANSFER = "DUPLICATE_TRANSFER"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    UNKNOWN_TRANSFER = "UNKNOWN_TRANSFER"
    ALREADY_CLOSED = "ALREADY_CLOSED"
    ALREADY_ACCEPTED = "ALREADY_ACCEPTED"
    NOT_PENDING = "NOT_PENDING"
    NOTHING_TO_END = "NOTHING_TO_END"
    CANCEL_PENDING = "CANCEL_PENDING"
    REPLACE_PENDING = "REPLACE_PENDING"
    NOT_REPLACEABLE = "NOT_REPLACEABLE"
    QUANTITY = "QUANTITY"
    LIMIT_PRICE = "LIMIT_PRICE"
    AMOUNT = "AMOUNT"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    MARKET_CLOSED = "MARKET_CLOSED"
    STALE_MARK = "STALE_MARK"
    COLLAR = "COLLAR"
    LIMIT_WORKING_ORDERS = "LIMIT_WORKING_ORDERS"
    LIMIT_NOTIONAL = "LIMIT_NOTIONAL"
    BUYING_POWER = "BUYING_POWER"
    HOLDINGS = "HOLDINGS"


class OrderPlaced(Event, frozen=True, kw_only=True):
    """The order stands; `reserved` is the cash set aside for it (zero for a sale)."""

    order_id: OrderId
    symbol: Symbol
    side: Side
    kind: Kind
    quantity: Quantity
    limit_price: Price | None
    time_in_force: TimeInForce
    reserved: Money
    market: Market


class OrderRefused(Event, frozen=True, kw_only=True):
    """We said no to a command about this order."""

    order_id: OrderId
    reason: Refusal


class OrderAccepted(Event, frozen=True, kw_only=True):
    """The venue works the order."""

    order_id: OrderId
    venue_order_id: str


class OrderRejected(Event, frozen=True, kw_only=True):
    """The venue said no; the reservation is free again."""

    order_id: OrderId
    reason: str
    released: Money


class OrderFilled(Event, frozen=True, kw_only=True):
    """Shares changed hands.

    `amount` is the cost of a purchase or the proceeds of a sale; `late` marks a fill of a closed order.
    """

    order_id: OrderId
    execution_id: ExecutionId
    symbol: Symbol
    side: Side
    quantity: Quantity
    price: Price
    amount: Money
    unfilled: Quantity
    released: Money
    late: bool
    venue_time_ns: int


class CancelRequested(Event, frozen=True, kw_only=True):
    """The venue is asked to take the order back; a fill may still come first."""

    order_id: OrderId
    order_version: int


class CancelRejected(Event, frozen=True, kw_only=True):
    """The venue would not take the order back; it works on."""

    order_id: OrderId
    reason: str


class OrderCancelled(Event, frozen=True, kw_only=True):
    """The order left the market; this much of it was never filled."""

    order_id: OrderId
    unfilled: Quantity
    released: Money


class OrderExpired(Event, frozen=True, kw_only=True):
    """The order ended with its time in force."""

    order_id: OrderId
    unfilled: Quantity
    released: Money


class ReplaceRequested(Event, frozen=True, kw_only=True):
    """The venue is asked for new terms; the larger of the old and the new reservation is set aside meanwhile."""

    order_id: OrderId
    order_version: int
    replaces_version: int
    quantity: Quantity
    limit_price: Price
    reserved: Money
    market: Market


class OrderReplaced(Event, frozen=True, kw_only=True):
    """The venue works the order with the new terms."""

    order_id: OrderId
    order_version: int
    quantity: Quantity
    limit_price: Price
    unfilled: Quantity
    released: Money


class ReplaceRejected(Event, frozen=True, kw_only=True):
    """The venue keeps the old terms."""

    order_id: OrderId
    order_version: int
    reason: str
    released: Money


class ExpiredOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One day order that ended at the close."""

    order_id: OrderId
    unfilled: Quantity
    released: Money


class DayEnded(Event, frozen=True, kw_only=True):
    """The session closed and these day orders ended with it."""

    session_date: str
    expired: tuple[ExpiredOrder, ...]


class TradingOpened(Event, frozen=True, kw_only=True):
    """The book is kept, in this currency."""

    currency: str


class TradingApproved(Event, frozen=True, kw_only=True):
    """The account's owner passed this check: the book takes orders once it is open."""

    check_id: CheckId


class CashCredited(Event, frozen=True, kw_only=True):
    """Cash came in and is free to spend."""

    deposit_id: DepositId
    amount: Money
    cash: Money


class CashReserved(Event, frozen=True, kw_only=True):
    """Cash is set aside for a withdrawal."""

    withdrawal_id: WithdrawalId
    amount: Money


class ReservationSpent(Event, frozen=True, kw_only=True):
    """The withdrawal's cash has left."""

    withdrawal_id: WithdrawalId
    amount: Money
    cash: Money


class ReservationReleased(Event, frozen=True, kw_only=True):
    """The withdrawal's cash is free again."""

    withdrawal_id: WithdrawalId
    amount: Money


class LimitsSet(Event, frozen=True, kw_only=True):
    """Orders are checked against these limits from here on."""

    order_notional_max: Money


class TradingHalted(Event, frozen=True, kw_only=True):
    """No new order for this cause; these orders still work at the venue."""

    cause: str
    reason: str
    working: tuple[OrderId, ...]


class TradingResumed(Event, frozen=True, kw_only=True):
    """This cause is lifted; trading goes on when none remains."""

    cause: str
    remaining: tuple[str, ...]


class BookRefused(Event, frozen=True, kw_only=True):
    """We said no to a command about the book itself; `reference` is the id or cause it named."""

    reference: str
    reason: Refusal


OrderEvent: TypeAlias = (
    OrderPlaced
    | OrderRefused
    | OrderAccepted
    | OrderRejected
    | OrderFilled
    | CancelRequested
    | CancelRejected
    | OrderCancelled
    | OrderExpired
    | ReplaceRequested
    | OrderReplaced
    | ReplaceRejected
    | DayEnded
    | TradingOpened
    | TradingApproved
    | CashCredited
    | CashReserved
    | ReservationSpent
    | ReservationReleased
    | LimitsSet
    | TradingHalted
    | TradingResumed
    | BookRefused
)
REFUSALS = (OrderRefused, BookRefused)
