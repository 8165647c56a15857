"""Orders given to one account's book: by its trader, by sagas, and by the venue's reports."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import CheckId, DepositId, ExecutionId, OrderId, Symbol, WithdrawalId
from domain.kernel.market import Market
from domain.kernel.messages import Command
from domain.kernel.money import Money, Price, Quantity


class Side(StrEnum):
    """Which way shares move."""

    BUY = "BUY"
    SELL = "SELL"


class Kind(StrEnum):
    """How a price is found."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "DAY"
    GTC = "GTC"


class PlaceOrder(Command, frozen=True, kw_only=True):
    """Buy or sell; `limit_price` is there for a LIMIT order and only for it."""

    order_id: OrderId
    symbol: Symbol
    side: Side
    kind: Kind
    quantity: Quantity
    limit_price: Price | None
    time_in_force: TimeInForce
    market: Market


class ReplaceOrder(Command, frozen=True, kw_only=True):
    """Change the total quantity and the limit of a working LIMIT order."""

    order_id: OrderId
    quantity: Quantity
    limit_price: Price
    market: Market


class CancelOrder(Command, frozen=True, kw_only=True):
    """Ask the venue to take back what is not filled."""

    order_id: OrderId


class OpenTrading(Command, frozen=True, kw_only=True):
    """The account exists: its book is kept from now on. Sent by a saga."""

    currency: str


class ApproveTrading(Command, frozen=True, kw_only=True):
    """The account's owner passed this check: its book may take orders. Sent by a saga, before or after OpenTrading."""

    check_id: CheckId


class CreditCash(Command, frozen=True, kw_only=True):
    """A deposit arrived. Sent by a saga."""

    deposit_id: DepositId
    amount: Money


class ReserveCash(Command, frozen=True, kw_only=True):
    """Set cash aside for a withdrawal. Sent by a saga."""

    withdrawal_id: WithdrawalId
    amount: Money


class SpendReservation(Command, frozen=True, kw_only=True):
    """The withdrawal was paid out. Sent by a saga."""

    withdrawal_id: WithdrawalId


class ReleaseReservation(Command, frozen=True, kw_only=True):
    """The withdrawal was refused: its cash is free again. Sent by a saga."""

    withdrawal_id: WithdrawalId


class SetLimits(Command, frozen=True, kw_only=True):
    """Copy the limits that an order is checked against. Sent by a saga."""

    order_notional_max: Money


class HaltTrading(Command, frozen=True, kw_only=True):
    """Stop new orders for one cause. Sent by a saga."""

    cause: str
    reason: str


class ResumeTrading(Command, frozen=True, kw_only=True):
    """Lift the halt of this cause, and of no other. Sent by a saga."""

    cause: str


class EndDay(Command, frozen=True, kw_only=True):
    """The session is over: day orders end. Sent by the agent that watches the close."""

    session_date: str


class RecordAcceptance(Command, frozen=True, kw_only=True):
    """The venue took the order."""

    order_id: OrderId
    venue_order_id: str


class RecordRejection(Command, frozen=True, kw_only=True):
    """The venue would not have the order."""

    order_id: OrderId
    reason: str


class RecordExecution(Command, frozen=True, kw_only=True):
    """The venue executed a part of the order."""

    order_id: OrderId
    execution_id: ExecutionId
    symbol: Symbol
    side: Side
    quantity: Quantity
    price: Price
    venue_time_ns: int


class RecordCancel(Command, frozen=True, kw_only=True):
    """The venue took the order back."""

    order_id: OrderId


class RecordCancelRejection(Command, frozen=True, kw_only=True):
    """The venue would not take the order back."""

    order_id: OrderId
    reason: str


class RecordReplace(Command, frozen=True, kw_only=True):
    """The venue works the order with the terms of this version."""

    order_id: OrderId
    order_version: int


class RecordReplaceRejection(Command, frozen=True, kw_only=True):
    """The venue keeps the terms it had."""

    order_id: OrderId
    order_version: int
    reason: str


class RecordExpiry(Command, frozen=True, kw_only=True):
    """The venue ended the order with its time in force."""

    order_id: OrderId


TraderCommand: TypeAlias = PlaceOrder | ReplaceOrder | CancelOrder
SagaCommand: TypeAlias = (
    OpenTrading
    | ApproveTrading
    | CreditCash
    | ReserveCash
    | SpendReservation
    | ReleaseReservation
    | SetLimits
    | HaltTrading
    | ResumeTrading
    | EndDay
)
VenueReport: TypeAlias = (
    RecordAcceptance
    | RecordRejection
    | RecordExecution
    | RecordCancel
    | RecordCancelRejection
    | RecordReplace
    | RecordReplaceRejection
    | RecordExpiry
)
OrderCommand: TypeAlias = TraderCommand | SagaCommand | VenueReport
