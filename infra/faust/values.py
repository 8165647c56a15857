"""States and boards -> bytes of a table's value, and back: msgpack, with how far each source was applied beside it."""

import types
from typing import Any, Generic, TypeVar, get_args

import msgspec
from immutables import Map

S = TypeVar("S")


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A table's value. `seen` holds the last offset of each source topic that is in the state already."""

    seen: dict[str, int]
    state: msgspec.Raw


class NoForm(Exception):
    """A value of this type cannot stand in a table."""


class Values(Generic[S]):
    """Writes and reads the values of one kind of state."""

    def __init__(self, kind: type[S]) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
        self._kept = msgspec.msgpack.Decoder(Kept)
        self._state: msgspec.msgpack.Decoder[S] = msgspec.msgpack.Decoder(kind, dec_hook=_map)

    def encode(self, seen: dict[str, int], state: S) -> bytes:
        """The value that keeps this state. Raises NoForm."""
        return self._encoder.encode((seen, state))  # As a Kept, whose state is what these bytes say.

    def decode(self, value: bytes) -> tuple[dict[str, int], S]:
        """How far each source was applied, and the state."""
        kept = self._kept.decode(value)
        return kept.seen, self._state.decode(kept.state)


def _plain(value: Any) -> Any:
    if isinstance(value, Map):
        return dict(value)
    raise NoForm(f"{type(value).__name__} cannot be kept in a table: use Structs, Maps and plain values")


def _map(kind: Any, value: Any) -> Any:
    if kind is Map or getattr(kind, "__origin__", None) is Map:
        return Map(msgspec.convert(value, types.GenericAlias(dict, get_args(kind))))
    raise NoForm(f"{kind} cannot be read from a table: use Structs, Maps and plain values")
