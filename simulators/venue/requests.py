"""A customer's JSON -> a request whose every field has been looked at, or the reason why it is none."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from simulators import amounts
from simulators.venue.book import Side

TEXT_MAX = 128
"""Characters of an id, an account or a symbol."""

Message: TypeAlias = dict[str, object]
"""A JSON object, inbound or outbound."""


class Kind(StrEnum):
    """How a price is found."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "DAY"
    GTC = "GTC"


@dataclass(frozen=True, slots=True)
class New:
    """Buy or sell."""

    account: str
    client_order_id: str
    symbol: str
    side: Side
    kind: Kind
    quantity: int
    limit: int | None
    time_in_force: TimeInForce


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take back what is not filled."""

    account: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Work on under a new id, with a new total quantity and a new limit."""

    account: str
    client_order_id: str
    new_client_order_id: str
    quantity: int
    limit: int


@dataclass(frozen=True, slots=True)
class Invalid:
    """Somebody's request, as far as it can be answered, and the field that is wrong with it."""

    account: str
    client_order_id: str
    answer: str
    reason: str
    new_client_order_id: str | None = None


Request: TypeAlias = New | Cancel | Replace | Invalid


class Unanswerable(ValueError):
    """There is nobody to answer; the message says what is missing."""


def parse(message: object) -> Request:
    """The request in this JSON value."""
    if not isinstance(message, dict) or str(message.get("type")) not in _ANSWERS:
        raise Unanswerable("a message is an object with a type of new, cancel, replace (or, first of all, resume)")
    try:
        account, order_id = _text(message, "account"), _text(message, "client_order_id")
    except _FieldError as error:
        raise Unanswerable(f"{error.args[0]} must be text of 1 to {TEXT_MAX} characters") from error
    new_id = message.get("new_client_order_id")
    try:
        if message["type"] == "new":
            return _new(message, account, order_id)
        if message["type"] == "cancel":
            return Cancel(account, order_id)
        new_id = _text(message, "new_client_order_id")
        return Replace(account, order_id, new_id, _amount(message, "quantity"), _amount(message, "limit"))
    except _FieldError as error:
        answer = _ANSWERS[message["type"]]
        told = str(new_id) if answer == "replace_rejected" else None
        return Invalid(account, order_id, answer, f"invalid_{error.args[0]}", told)


_ANSWERS = {"new": "rejected", "cancel": "cancel_rejected", "replace": "replace_rejected"}


class _FieldError(ValueError):
    """Its argument names the field."""


def _new(message: Message, account: str, order_id: str) -> New:
    try:
        side = Side(_text(message, "side"))
    except ValueError as error:
        raise _FieldError("side") from error
    try:
        kind = Kind(_text(message, "kind"))
    except ValueError as error:
        raise _FieldError("kind") from error
    try:
        time_in_force = TimeInForce(_text(message, "time_in_force"))
    except ValueError as error:
        raise _FieldError("time_in_force") from error
    if kind is Kind.MARKET and message.get("limit") is not None:
        raise _FieldError("limit")
    limit = _amount(message, "limit") if kind is Kind.LIMIT else None
    symbol, quantity = _text(message, "symbol"), _amount(message, "quantity")
    return New(account, order_id, symbol, side, kind, quantity, limit, time_in_force)


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if isinstance(value, str) and 0 < len(value) <= TEXT_MAX:
        return value
    raise _FieldError(name)


def _amount(message: Message, name: str) -> int:
    try:
        return amounts.parse(message.get(name))
    except ValueError as error:
        raise _FieldError(name) from error
