"""One deterministic example of any message, and any example at all, both built from the message's types."""

import typing
from enum import StrEnum
from types import UnionType
from typing import Any, NewType, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import contexts
from domain.kernel.ids import Micros
from domain.kernel.messages import Command, Event, Issued, Observed, Recorded
from infra.avro import contracts
from infra.avro.codec import Codec

MESSAGES = list(contexts.messages())
CODEC = Codec(MESSAGES)
BY_NAME = {contracts.name_of(message): message for message in MESSAGES}
LONG = 2**63 - 1
MICROS_MAX = 253_402_300_799_999_999
"""The last microsecond of the year 9999: Apache's reader turns times into datetimes."""
Envelope: typing.TypeAlias = Recorded[Event] | Issued[Command] | Observed


def envelope(message: type, payload: Any) -> Envelope:
    """The payload as it travels: an event or a command in its envelope, a feed's message alone."""
    if issubclass(message, Event):
        return Recorded(event=payload, **_values(Recorded, skip=("event",)))
    if issubclass(message, Command):
        return Issued(command=payload, **_values(Issued, skip=("command",)))
    assert isinstance(payload, Observed)
    return payload


def example(message: type) -> Envelope:
    """The same example on every day."""
    return envelope(message, message(**_values(message)))


def encode(travelling: Envelope) -> bytes:
    if isinstance(travelling, Recorded):
        return CODEC.encode_event(travelling)
    return CODEC.encode_command(travelling) if isinstance(travelling, Issued) else CODEC.encode_observed(travelling)


def decode(message: type, value: bytes) -> Envelope:
    if issubclass(message, Event):
        return CODEC.decode_event(value)
    if issubclass(message, Command):
        return CODEC.decode_command(value)
    assert issubclass(message, Observed)
    return CODEC.decode_observed(value, message)


@st.composite
def travelling(draw: st.DrawFn) -> tuple[type, Envelope]:
    """Any message with any values."""
    message = draw(st.sampled_from(MESSAGES))
    return message, envelope(message, draw(_any(message)))


def _values(kind: type, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        field.name: _example(hints[field.name], field.name, place)
        for place, field in enumerate(msgspec.structs.fields(kind), start=1)
        if field.name not in skip
    }


def _example(kind: Any, name: str, place: int) -> Any:
    kind = _plain(kind)
    if get_origin(kind) is tuple:
        return tuple(_example(get_args(kind)[0], f"{name}-{n}", place + n) for n in (1, 2))
    if get_origin(kind) is dict:
        return {key: _example(get_args(kind)[1], name, place) for key in ("AAPL", "MSFT")}
    if issubclass(kind, StrEnum):
        return list(kind)[-1]
    if issubclass(kind, msgspec.Struct):
        return kind(**_values(kind))
    plain: dict[type, Any] = {bool: True, int: 1_000_003 * place, str: f"{name} ü", bytes: name.encode() + b"\x00\xff"}
    return plain[kind]


def _plain(kind: Any) -> Any:
    """A NewType's own type, and what is there when an optional value is there."""
    if isinstance(kind, NewType):
        return _plain(kind.__supertype__)
    if get_origin(kind) in (UnionType, typing.Union):
        return _plain(next(part for part in get_args(kind) if part is not type(None)))
    return kind


def _any(kind: Any) -> SearchStrategy[Any]:
    if kind is Micros:
        return st.integers(0, MICROS_MAX)
    if isinstance(kind, NewType):
        return _any(kind.__supertype__)
    if get_origin(kind) in (UnionType, typing.Union):
        return st.one_of(st.none(), _any(_plain(kind)))
    if get_origin(kind) is tuple:
        return st.lists(_any(get_args(kind)[0]), max_size=4).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(st.text(max_size=4), _any(get_args(kind)[1]), max_size=4)
    if issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: _any(hints[field.name]) for field in msgspec.structs.fields(kind)})
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    plain: dict[type, SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-LONG - 1, LONG),
        str: st.text(max_size=8),
        bytes: st.binary(max_size=8),
    }
    return plain[kind]
