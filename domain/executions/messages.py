"""What the venue said, raw, and what it means for the book.

`VenueMessage` is written to `executions.messages` as it came; `interpret` turns one into the command it stands for. A
repaired interpretation can be played over history, since nothing of the raw message is lost.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from domain.kernel.ids import AccountId, ExecutionId, Micros, OrderId, Symbol, derived
from domain.kernel.messages import Observed, Unreadable
from domain.kernel.money import parse_price, parse_quantity
from domain.orders import commands as c
from domain.orders.commands import OrderCommand, Side

EFFECT = "effect:executions.venue"
"""The actor that speaks for the paper venue."""
_WHOLE = re.compile("[0-9]{1,19}", re.ASCII)
WHOLE_MAX = 2**63 - 1
"""Largest whole number that a record can hold."""

T = TypeVar("T")


class VenueMessage(Observed, frozen=True, kw_only=True):
    """One message of the venue: `body` is its bytes, `source_id` its own id (a repeat has the same)."""

    source_id: str
    venue: str
    tenant: str
    account_id: AccountId
    sequence: int
    body: bytes
    received_at: Micros


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that the venue's messages have, as text; which of them are there depends on `type`."""

    type: str
    client_order_id: str
    time_ns: str
    venue_order_id: str = ""
    new_client_order_id: str = ""
    execution_id: str = ""
    symbol: str = ""
    side: str = ""
    quantity: str = ""
    price: str = ""
    reason: str = ""


_read = msgspec.json.Decoder(Body).decode


def command_id(message: VenueMessage) -> str:
    """The id of the command that this message means: the same for every repeat of it."""
    return derived("venue", message.venue, message.source_id)


def interpret(message: VenueMessage) -> OrderCommand:
    """The command for the account's book that this message stands for; raises Unreadable, with the field's name."""
    try:
        body = _read(message.body)
        order_id, _ = _field("client_order_id", body.client_order_id, split)
        return _command(body, order_id, message.received_at)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise Unreadable(f"venue message {message.source_id}: {error}") from error


def venue_account(tenant: str, account_id: str) -> str:
    """The account's name at the venue, which echoes it in every message: whose it is must survive any restart."""
    return f"{tenant}/{account_id}"


def whose(name: str) -> tuple[str, AccountId]:
    """The tenant and the account behind a name at the venue."""
    tenant, _, account_id = name.rpartition("/")
    return tenant, AccountId(account_id)


def client_order_id(order_id: OrderId, version: int) -> str:
    """The order's name at the venue."""
    return f"{order_id}-{version}"


def split(name: str) -> tuple[OrderId, int]:
    """The order and the version behind a name at the venue."""
    order_id, _, version = name.rpartition("-")
    if not order_id:
        raise ValueError(f"{name!r} is not '<order id>-<version>'")
    return OrderId(order_id), _whole(version)


def _field(name: str, value: str, read: Callable[[str], T]) -> T:
    """The field's value as `read` reads it; an error names the field."""
    if not value:
        raise ValueError(f"{name} is missing")
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error


def _whole(value: str) -> int:
    if not _WHOLE.fullmatch(value) or int(value) > WHOLE_MAX:
        raise ValueError(f"{value!r} is not a whole number that a record can hold")
    return int(value)


def _command(body: Body, order_id: OrderId, at: Micros) -> OrderCommand:
    match body.type:
        case "accepted":
            venue_order_id = _field("venue_order_id", body.venue_order_id, str)
            return c.RecordAcceptance(at=at, actor=EFFECT, order_id=order_id, venue_order_id=venue_order_id)
        case "rejected" if body.reason == "duplicate_id":
            return c.RecordAcceptance(at=at, actor=EFFECT, order_id=order_id, venue_order_id=body.venue_order_id)
        case "rejected":
            return c.RecordRejection(at=at, actor=EFFECT, order_id=order_id, reason=body.reason)
        case "filled":
            return c.RecordExecution(
                at=at,
                actor=EFFECT,
                order_id=order_id,
                execution_id=_field("execution_id", body.execution_id, ExecutionId),
                symbol=_field("symbol", body.symbol, Symbol),
                side=_field("side", body.side, Side),
                quantity=_field("quantity", body.quantity, parse_quantity),
                price=_field("price", body.price, parse_price),
                venue_time_ns=_field("time_ns", body.time_ns, _whole),
            )
        case "cancelled":
            return c.RecordCancel(at=at, actor=EFFECT, order_id=order_id)
        case "cancel_rejected":
            return c.RecordCancelRejection(at=at, actor=EFFECT, order_id=order_id, reason=body.reason)
        case "replaced":
            _, version = _field("new_client_order_id", body.new_client_order_id, split)
            return c.RecordReplace(at=at, actor=EFFECT, order_id=order_id, order_version=version)
        case "replace_rejected":
            _, version = _field("new_client_order_id", body.new_client_order_id, split)
            return c.RecordReplaceRejection(
                at=at, actor=EFFECT, order_id=order_id, order_version=version, reason=body.reason
            )
        case "expired":
            return c.RecordExpiry(at=at, actor=EFFECT, order_id=order_id)
        case _:
            raise ValueError(f"type {body.type!r} is none of the venue's message types")
