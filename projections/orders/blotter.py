"""orders.events -> order_blotter: one row per order, as its trader would read it."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

import msgspec

from domain.kernel.ids import Micros, OrderId, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Price, Quantity
from domain.orders import events as e
from domain.orders.commands import Kind, Side, TimeInForce
from domain.orders.events import OrderEvent, OrderFilled, OrderPlaced, OrderRefused, Refusal
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE order_blotter (
    tenant text NOT NULL,
    account_id text NOT NULL,
    order_id text NOT NULL,
    opened_version bigint NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    symbol text,
    side text,
    kind text,
    time_in_force text,
    quantity bigint NOT NULL,
    limit_price bigint,
    order_version integer NOT NULL,
    filled bigint NOT NULL,
    unfilled bigint NOT NULL,
    filled_amount bigint NOT NULL,
    filled_value numeric(40) NOT NULL,
    reserved bigint NOT NULL,
    venue_order_id text,
    reason text,
    is_cancelling boolean NOT NULL,
    is_replacing boolean NOT NULL,
    opened_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, order_id)
) WITH (fillfactor = 80);
CREATE INDEX ON order_blotter (tenant, account_id, opened_version DESC);
CREATE INDEX ON order_blotter (tenant, account_id) WHERE status IN ('PLACED', 'WORKING', 'PARTLY_FILLED');
"""
BY_ACCOUNT = """
SELECT * FROM order_blotter
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""
OPEN_BY_ACCOUNT = """
SELECT * FROM order_blotter
WHERE tenant = $1 AND account_id = $2 AND status IN ('PLACED', 'WORKING', 'PARTLY_FILLED')
ORDER BY opened_version DESC
"""
BY_ID = "SELECT * FROM order_blotter WHERE tenant = $1 AND account_id = $2 AND order_id = $3"
RESERVED = """
SELECT coalesce(sum(reserved), 0)::bigint FROM order_blotter
WHERE tenant = $1 AND account_id = $2 AND status IN ('PLACED', 'WORKING', 'PARTLY_FILLED')
"""

NOT_A_NEW_ORDER = frozenset({Refusal.UNKNOWN_ORDER, Refusal.FORBIDDEN_ACTOR, Refusal.ALREADY_CLOSED})
"""Refusals that speak of an order which never was, not of one that its trader tried to place."""


class Status(StrEnum):
    """How far an order has come. Whether it is being cancelled or replaced stands beside it."""

    PLACED = "PLACED"
    WORKING = "WORKING"
    PARTLY_FILLED = "PARTLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    REFUSED = "REFUSED"


class BlotterRow(Row, frozen=True, kw_only=True):
    """One order. `reason` says why it was refused or rejected, or why the venue kept it as it was.

    A refused order, and one of which only a fill is known, has no terms. `filled_amount` is the cash that moved;
    `filled_value` is the exact sum of quantity x price, of scale 1e-16. `opened_version` is the account's version when
    the row appeared: it orders an account's orders and is the key of a page.
    """

    tenant: str
    account_id: str
    order_id: OrderId
    opened_version: int
    version: int
    status: Status
    symbol: Symbol | None = None
    side: Side | None = None
    kind: Kind | None = None
    time_in_force: TimeInForce | None = None
    quantity: Quantity = Quantity(0)
    limit_price: Price | None = None
    order_version: int = 1
    filled: Quantity = Quantity(0)
    unfilled: Quantity = Quantity(0)
    filled_amount: Money = Money(0)
    filled_value: Decimal = Decimal(0)
    reserved: Money = Money(0)
    venue_order_id: str | None = None
    reason: str | None = None
    is_cancelling: bool = False
    is_replacing: bool = False
    opened_at: Micros
    changed_at: Micros

    @property
    def is_open(self) -> bool:
        """More may come of it."""
        return self.status in (Status.PLACED, Status.WORKING, Status.PARTLY_FILLED)

    @property
    def average_price(self) -> Price | None:
        """What a share cost on average: the exact value over the exact quantity, rounded once, half to even."""
        if not self.filled:
            return None
        whole, rest = divmod(int(self.filled_value), self.filled)
        twice = 2 * rest
        return Price(whole + (twice > self.filled or (twice == self.filled and whole % 2 == 1)))


def keys_of(recorded: Recorded[OrderEvent]) -> Iterable[Key]:
    """The orders that an event speaks of."""
    event = recorded.event
    if isinstance(event, e.DayEnded):
        return [(recorded.tenant, recorded.stream_id, expired.order_id) for expired in event.expired]
    order_id = getattr(event, "order_id", None)
    return [] if order_id is None else [(recorded.tenant, recorded.stream_id, order_id)]


def fold(row: BlotterRow | None, recorded: Recorded[OrderEvent]) -> BlotterRow | None:
    """The order's row after this event."""
    match recorded.event:
        case OrderPlaced() as event:
            return _placed(event, recorded)
        case OrderRefused() as event:
            return _refused(row, event, recorded)
        case OrderFilled() as event:
            return _filled(row or _only_filled(event, recorded), event, recorded)
        case (
            e.TradingOpened()
            | e.TradingApproved()
            | e.CashCredited()
            | e.CashReserved()
            | e.ReservationSpent()
            | e.ReservationReleased()
            | e.LimitsSet()
            | e.TradingHalted()
            | e.TradingResumed()
            | e.BookRefused()
        ):
            return row
        case event:
            return row and _changed(row, event, recorded)


_Change = (
    e.OrderAccepted
    | e.OrderRejected
    | e.CancelRequested
    | e.CancelRejected
    | e.OrderCancelled
    | e.OrderExpired
    | e.DayEnded
    | e.ReplaceRequested
    | e.ReplaceRejected
    | e.OrderReplaced
)


def _changed(row: BlotterRow, event: _Change, recorded: Recorded[OrderEvent]) -> BlotterRow:
    match event:
        case e.OrderAccepted():
            status = Status.WORKING if row.status is Status.PLACED else row.status
            return _at(row, recorded, status=status, venue_order_id=event.venue_order_id)
        case e.OrderRejected():
            return _ended(row, recorded, Status.REJECTED, reason=event.reason)
        case e.CancelRequested():
            return _at(row, recorded, is_cancelling=True)
        case e.CancelRejected():
            return _at(row, recorded, is_cancelling=False, reason=event.reason)
        case e.OrderCancelled():
            return _ended(row, recorded, Status.CANCELLED)
        case e.OrderExpired() | e.DayEnded():
            return _ended(row, recorded, Status.EXPIRED)
        case e.ReplaceRequested():
            return _at(row, recorded, is_replacing=True, reserved=event.reserved)
        case e.ReplaceRejected():
            reserved = Money(row.reserved - event.released)
            return _at(row, recorded, is_replacing=False, reserved=reserved, reason=event.reason)
        case e.OrderReplaced():
            return _replaced(row, event, recorded)
        case _:
            assert_never(event)


def _placed(event: OrderPlaced, recorded: Recorded[OrderEvent]) -> BlotterRow:
    return BlotterRow(
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        order_id=event.order_id,
        opened_version=recorded.version,
        version=recorded.version,
        status=Status.PLACED,
        symbol=event.symbol,
        side=event.side,
        kind=event.kind,
        time_in_force=event.time_in_force,
        quantity=event.quantity,
        limit_price=event.limit_price,
        unfilled=event.quantity,
        reserved=event.reserved,
        opened_at=recorded.at,
        changed_at=recorded.at,
    )


def _refused(row: BlotterRow | None, event: OrderRefused, recorded: Recorded[OrderEvent]) -> BlotterRow | None:
    if row is not None or event.reason in NOT_A_NEW_ORDER:
        return row  # A cancel or a report was refused: the order is what it was.
    return BlotterRow(
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        order_id=event.order_id,
        opened_version=recorded.version,
        version=recorded.version,
        status=Status.REFUSED,
        reason=event.reason,
        opened_at=recorded.at,
        changed_at=recorded.at,
    )


def _only_filled(event: OrderFilled, recorded: Recorded[OrderEvent]) -> BlotterRow:
    """The venue filled an order we do not know: its shares are ours all the same, so it gets a row without terms."""
    return BlotterRow(
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        order_id=event.order_id,
        opened_version=recorded.version,
        version=recorded.version,
        status=Status.FILLED,
        symbol=event.symbol,
        side=event.side,
        opened_at=recorded.at,
        changed_at=recorded.at,
    )


def _filled(row: BlotterRow, event: OrderFilled, recorded: Recorded[OrderEvent]) -> BlotterRow:
    row = _at(
        row,
        recorded,
        filled=Quantity(row.filled + event.quantity),
        filled_amount=Money(row.filled_amount + event.amount),
        filled_value=Decimal(int(row.filled_value) + event.quantity * event.price),
    )
    if event.late:
        # A fill that raced the end of its order: the shares count, the end stays what it was.
        return _at(row, recorded, unfilled=Quantity(max(0, row.quantity - row.filled)))
    if event.unfilled == 0:
        return msgspec.structs.replace(_ended(row, recorded, Status.FILLED), unfilled=Quantity(0))
    reserved = Money(row.reserved - event.released)
    return _at(row, recorded, status=Status.PARTLY_FILLED, unfilled=event.unfilled, reserved=reserved)


def _replaced(row: BlotterRow, event: e.OrderReplaced, recorded: Recorded[OrderEvent]) -> BlotterRow:
    row = _at(
        row,
        recorded,
        quantity=event.quantity,
        limit_price=event.limit_price,
        order_version=event.order_version,
        unfilled=event.unfilled,
        reserved=Money(row.reserved - event.released),
        is_replacing=False,
    )
    return row if event.unfilled else _ended(row, recorded, Status.FILLED)


def _ended(row: BlotterRow, recorded: Recorded[OrderEvent], status: Status, reason: str | None = None) -> BlotterRow:
    return _at(row, recorded, status=status, reserved=Money(0), reason=reason, is_cancelling=False, is_replacing=False)


def _at(row: BlotterRow, recorded: Recorded[OrderEvent], **changes: object) -> BlotterRow:
    return msgspec.structs.replace(row, version=recorded.version, changed_at=recorded.at, **changes)


async def by_account(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[BlotterRow]:
    """The account's orders, newest first; `before` is the `opened_version` of the last row of the page before."""
    return await db.rows(BlotterRow, BY_ACCOUNT, tenant, account_id, before, limit)


async def open_orders(db: Database, *, tenant: str, account_id: str) -> list[BlotterRow]:
    """Every order of the account that may still be filled, newest first; the domain bounds how many there are."""
    return await db.rows(BlotterRow, OPEN_BY_ACCOUNT, tenant, account_id)


async def by_id(db: Database, *, tenant: str, account_id: str, order_id: str) -> BlotterRow | None:
    """One order."""
    return await db.row(BlotterRow, BY_ID, tenant, account_id, order_id)


async def reserved(db: Database, *, tenant: str, account_id: str) -> Money:
    """Cash that the account's open orders have set aside."""
    return Money(await db.value(RESERVED, tenant, account_id))


blotter = ReadModel(
    name="blotter",
    version=1,
    ddl=DDL,
    events=("orders.events",),
    tables=(
        Folded(
            name="order_blotter", row=BlotterRow, key=("tenant", "account_id", "order_id"), keys_of=keys_of, fold=fold
        ),
    ),
)
"""The reference read model: copy its shape."""
