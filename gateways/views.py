"""Structs of the domain and of projections -> JSON as clients read it, and the JSON Schema of the same.

Prices, quantities and cash are decimal text, times are ISO 8601 in UTC, numbers beyond 53 bits are text. The types in a
struct's annotations decide; a struct is read once and its converters are kept.
"""

import types
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Literal, NewType, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from immutables import Map

from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from domain.kernel.money import BasisPoints, Money, Price, Quantity, money_text, price_text, quantity_text

V = TypeVar("V", bound=msgspec.Struct)
Json: TypeAlias = Any
Shown: TypeAlias = dict[str, Json]
_Convert: TypeAlias = Callable[[Any], Json]


def shown(struct: msgspec.Struct) -> Shown:
    """The struct as clients read it."""
    return {name: convert(getattr(struct, name)) for name, convert in _fields(type(struct))}


def event_shown(recorded: Recorded[Any]) -> Shown:
    """An event with what clients need of its envelope."""
    return {
        "event_id": recorded.event_id,
        "event_type": type(recorded.event).__name__,
        "account_id": recorded.stream_id,
        "version": recorded.version,
        "command_id": recorded.command_id,
        "correlation_id": recorded.correlation_id,
        "at": time_text(recorded.at),
        "recorded_at": time_text(recorded.recorded_at),
        **shown(recorded.event),
    }


def view_of(kind: type[V], row: Any, **besides: object) -> V:
    """A view of a row: the fields that have the same name, and those that are given besides."""
    same = {name: getattr(row, name) for name in kind.__struct_fields__ if name not in besides}
    return kind(**same, **besides)


def time_text(micros: int) -> str:
    """ISO 8601 in UTC with microseconds."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second_text(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=1_024)  # Most times of a moment share their second: 0.3 us instead of 2.
def _second_text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def schema_of(kind: Any) -> Shown:
    """JSON Schema of what `shown` makes of this type."""
    if kind in _TEXTS:
        return {"type": "string", "format": "date-time" if kind is Micros else "decimal"}
    if isinstance(kind, NewType):
        return schema_of(kind.__supertype__)
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        properties = {name: schema_of(hints[name]) for name in kind.__struct_fields__}
        return {"type": "object", "properties": properties, "required": list(properties)}
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(arg) for arg in args]}
    if origin in (list, tuple):
        return {"type": "array", "items": schema_of(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1])}
    return {}


_TEXTS: dict[Any, _Convert] = {
    Price: price_text,
    Quantity: quantity_text,
    BasisPoints: quantity_text,
    Money: money_text,
    Micros: time_text,
}
_PLAIN: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Convert], ...]:
    hints = get_type_hints(kind)
    return tuple((name, str if name.endswith("_ns") else _converter(hints[name])) for name in kind.__struct_fields__)


def _converter(kind: Any) -> _Convert:
    if kind in _TEXTS:
        return _TEXTS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return shown
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = _converter(next(arg for arg in args if arg is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin in (list, tuple):
        item = _converter(args[0])
        return lambda values: [item(value) for value in values]
    if origin is frozenset:
        member = _converter(args[0])
        return lambda values: sorted(map(member, values))
    if origin in (dict, Map):
        entry = _converter(args[1])
        return lambda values: {str(name): entry(value) for name, value in values.items()}
    return _same


def _value(member: Enum) -> Json:
    return member.value


def _same(value: Any) -> Json:
    return value
