"""Orders as their trader reads them, in an answer to a command, in a list, and on the stream."""

import msgspec

from domain.kernel.ids import Micros, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity
from domain.orders.commands import Kind, Side, TimeInForce
from projections.orders.blotter import BlotterRow, Status
from projections.orders.positions import PositionRow


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order; `sequence` is that of the last event it reflects."""

    order_id: OrderId
    account_id: str
    status: Status
    symbol: Symbol | None
    side: Side | None
    kind: Kind | None
    time_in_force: TimeInForce | None
    quantity: Quantity
    limit_price: Price | None
    filled: Quantity
    unfilled: Quantity
    average_price: Price | None
    filled_amount: Money
    reserved: Money
    order_version: int
    venue_order_id: str | None
    reason: str | None
    is_cancelling: bool
    is_replacing: bool
    opened_at: Micros
    changed_at: Micros
    sequence: int


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of an account, newest first; `next` is the key of the page after this one, if there is one."""

    orders: tuple[OrderView, ...]
    next: str | None


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """The venue is asked for a change of this order."""

    order_id: OrderId
    status: str
    order_version: int


class CancelView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the wish to cancel one order: CANCELLING, PENDING, or the reason of a refusal."""

    order_id: OrderId
    status: str


class CancelAllView(msgspec.Struct, frozen=True, kw_only=True):
    """One line for each order that was open."""

    orders: tuple[CancelView, ...]


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """One holding; `cost` is what the shares held now have cost, `unrealized` what selling at the last trade earns."""

    symbol: Symbol
    quantity: Quantity
    cost: Money
    realized: Money
    last: Price | None
    value: Money | None
    unrealized: Money | None
    changed_at: Micros
    sequence: int


class PositionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Holdings of an account by symbol; `next` is the key of the page after this one, if there is one."""

    positions: tuple[PositionView, ...]
    next: str | None


_SAME = tuple(name for name in OrderView.__struct_fields__ if name in BlotterRow.__struct_fields__)


def order_view(row: BlotterRow) -> OrderView:
    """The row as its trader reads it."""
    return OrderView(average_price=row.average_price, **{name: getattr(row, name) for name in _SAME})


def position_view(row: PositionRow, last: Price | None = None) -> PositionView:
    """The holding, valued at the last trade where there is one."""
    return PositionView(
        symbol=row.symbol,
        quantity=row.quantity,
        cost=row.cost,
        realized=row.realized,
        last=last,
        value=None if last is None else row.value(last),
        unrealized=None if last is None else row.unrealized(last),
        changed_at=row.changed_at,
        sequence=row.sequence,
    )
