"""A decider's state to msgpack bytes and back, and the name of the state's shape.

A snapshot saves replay time and nothing else: whoever finds one with another `state_schema` ignores it and folds the
events from the start. Equal states give equal bytes, so that two owners can compare what they folded.
"""

import hashlib
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from immutables import Map

S = TypeVar("S", bound=msgspec.Struct)


class NoForm(Exception):
    """A value of this type cannot stand in a snapshot; the message says where to add it."""


class SnapshotUnreadable(ValueError):
    """The bytes are no snapshot of this state; replay the events instead."""


def encode(state: object) -> bytes:
    """The state as msgpack: a map is a list of pairs in the order of its keys, so that a key may be of any type.

    Raises NoForm.
    """
    return _encoder.encode(state)


def decode(data: bytes, state: type[S]) -> S:
    """The state in these bytes; raises SnapshotUnreadable when they hold another shape."""
    try:
        found: S = _decoder(state).decode(data)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise SnapshotUnreadable(f"no snapshot of {state.__name__}: {error}") from error
    return found


@cache
def state_schema(state: type) -> str:
    """A short hash of the state's shape: names, order and types of all fields, through every struct it holds.

    A fold that changes its meaning and keeps its shape must raise `revision`, a class variable of the state: old
    snapshots hold what the old fold made of the events.
    """
    shape = f"{getattr(state, 'revision', 1)} {_shape(state)}"
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def _encode_hook(value: object) -> object:
    if isinstance(value, Map):
        return sorted(value.items(), key=_first)
    raise NoForm(f"{type(value).__name__} has no form in a snapshot: add it to domain/kernel/snapshots.py")


def _first(pair: tuple[Any, object]) -> Any:
    return pair[0]


def _decode_hook(kind: type, value: object) -> object:
    if (get_origin(kind) or kind) is Map:
        key, item = get_args(kind)
        pairs: Any = list[tuple[key, item]]  # type: ignore[valid-type]  # the arguments are known at run time only
        return Map(msgspec.convert(value, pairs, dec_hook=_decode_hook))
    raise NoForm(f"{kind} has no form in a snapshot: add it to domain/kernel/snapshots.py")


def _shape(kind: Any) -> str:
    if isinstance(kind, NewType):
        return _shape(kind.__supertype__)
    origin = get_origin(kind)
    if origin is not None:
        held = ", ".join(map(_shape, get_args(kind)))
        return f"{_shape(origin)}[{held}]"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        fields = ", ".join(
            f"{field.encode_name}: {_shape(hints[field.name])}" for field in msgspec.structs.fields(kind)
        )
        return f"{kind.__name__}({fields})"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"{kind.__name__}({', '.join(str(member.value) for member in kind)})"
    return getattr(kind, "__name__", str(kind))


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_hook, order="deterministic")


@cache
def _decoder(state: type) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(state, dec_hook=_decode_hook)
