"""What the venue's back office says, raw, and what it means: a copy of an execution, or a statement.

`VenueRecord` is written to `reconciliation.messages` as it came; `interpret` reads it. An order that nobody knows makes
a record no less readable: that is for the matching to find.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from domain.kernel.ids import AccountId, ExecutionId, Micros, OrderId, Symbol
from domain.kernel.messages import Observed, Unreadable
from domain.kernel.money import AMOUNT_MAX, Price, Quantity, parse_price, parse_quantity
from domain.orders.commands import Side

WHOLE_MAX = 2**63 - 1
"""Largest whole number that a record can hold."""
SYMBOLS_MAX = 10_000
"""Symbols of one statement: more are a broken venue."""

T = TypeVar("T")


class VenueRecord(Observed, frozen=True, kw_only=True):
    """One record of the venue's back office: `body` is its bytes, `source_id` its own id (a repeat has the same)."""

    source_id: str
    venue: str
    tenant: str
    account_id: AccountId
    sequence: int
    body: bytes
    received_at: Micros


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's word on one execution; `quantity` is below zero for a sale."""

    execution_id: ExecutionId
    order_id: OrderId
    symbol: Symbol
    quantity: Quantity
    price: Price
    time_ns: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What the account holds by the venue's books, and how many executions made it so, up to a moment of its clock."""

    session_date: str
    as_of_ns: int
    holdings: dict[Symbol, Quantity]
    executions: int


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that the records have; which of them are there depends on `type`."""

    type: str
    client_order_id: str = ""
    execution_id: str = ""
    symbol: str = ""
    side: str = ""
    quantity: str = ""
    price: str = ""
    time_ns: str = ""
    date: str = ""
    as_of_ns: str = ""
    holdings: dict[str, str] = {}
    executions: int = -1


Meaning: TypeAlias = Copy | Statement
_read = msgspec.json.Decoder(Body).decode


def interpret(record: VenueRecord) -> Meaning:
    """What the record says; raises Unreadable, with the field's name."""
    if not record.tenant or not record.account_id:
        raise Unreadable(f"venue record {record.source_id}: account is not 'tenant/account'")
    try:
        return _meaning(_read(record.body))
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise Unreadable(f"venue record {record.source_id}: {error}") from error


def _meaning(body: Body) -> Meaning:
    match body.type:
        case "copy":
            return _copy(body)
        case "statement":
            return _statement(body)
        case _:
            raise ValueError(f"type {body.type!r} is neither copy nor statement")


def _copy(body: Body) -> Copy:
    sign = 1 if _field("side", body.side, Side) is Side.BUY else -1
    name = _field("client_order_id", body.client_order_id, str)
    return Copy(
        execution_id=_field("execution_id", body.execution_id, ExecutionId),
        # A name that is not '<order id>-<version>' is no order of ours either: it stands in the break as it is.
        order_id=OrderId(name.rpartition("-")[0] or name),
        symbol=_field("symbol", body.symbol, Symbol),
        quantity=Quantity(sign * _field("quantity", body.quantity, parse_quantity)),
        price=_field("price", body.price, parse_price),
        time_ns=_field("time_ns", body.time_ns, _whole),
    )


def _statement(body: Body) -> Statement:
    if not 0 <= body.executions <= WHOLE_MAX:
        raise ValueError("executions is no count")
    if len(body.holdings) > SYMBOLS_MAX:
        raise ValueError(f"holdings names more than {SYMBOLS_MAX} symbols")
    return Statement(
        session_date=_field("date", body.date, str),
        as_of_ns=_field("as_of_ns", body.as_of_ns, _whole),
        holdings={Symbol(name): _field(f"holdings.{name}", text, _signed) for name, text in body.holdings.items()},
        executions=body.executions,
    )


def _field(name: str, value: str, read: Callable[[str], T]) -> T:
    """The field's value as `read` reads it; an error names the field."""
    if not value:
        raise ValueError(f"{name} is missing")
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error


def _signed(value: str) -> Quantity:
    amount = parse_quantity(value.removeprefix("-"))
    return Quantity(-amount if value.startswith("-") else amount)


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or len(value) > len(str(AMOUNT_MAX)) or int(value) > WHOLE_MAX:
        raise ValueError(f"{value!r} is not a whole number that a record can hold")
    return int(value)
