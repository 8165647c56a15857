"""Tape positions <-> one opaque token, the same at every door.

It holds sequences, not offsets, so that it survives a replica. A stream's cursor says besides whose stream it is of, as
a digest: one that is brought to another stream, account or tenant is no cursor there. Tokens of one stream sort as
their positions do: base32hex keeps the order of the bytes, and the bytes begin with what is compared first.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Mapping

from infra.kafka.records import Partition

Positions = Mapping[Partition, int]
"""The last sequence that is known, by topic and partition; -1 is none yet."""

PLACES_MAX = 1_024
"""Partitions that one cursor may hold: every topic of events has four."""
TOKEN_CHARACTERS_MAX = 65_536
"""Longest token that is read."""
_VERSION = 1
_OF_A_STREAM = 2
_OWNER_BYTES = 8
_HEAD = struct.Struct(">BH")
_PLACE = struct.Struct(">HQ")


class CursorUnreadable(ValueError):
    """The text is no cursor of ours."""


class CursorForeign(ValueError):
    """A cursor of another stream."""


def owner(tenant: str, *names: str) -> bytes:
    """Who a stream is for: a tenant, and the subscription or the accounts that it tells of."""
    return hashlib.blake2b("\x1f".join((tenant, *names)).encode(), digest_size=_OWNER_BYTES).digest()


def encode(positions: Positions, whose: bytes = b"") -> str:
    """The token of these positions, of this owner's stream where there is one."""
    parts = [_HEAD.pack(_OF_A_STREAM if whose else _VERSION, len(positions)), whose]
    for (topic, partition), sequence in sorted(positions.items()):
        name = topic.encode()
        parts.append(bytes([len(name)]) + name + _PLACE.pack(partition, sequence + 1))
    return base64.b32hexencode(b"".join(parts)).decode().rstrip("=").lower()


def resumed(token: str, whose: bytes, places: Iterable[Partition]) -> dict[Partition, int]:
    """The positions in a token of this owner's stream over these partitions. Raises CursorUnreadable, CursorForeign."""
    stamped, found = _decoded(token)
    if stamped != whose or set(found) != set(places):
        raise CursorForeign("the cursor is of another stream")
    return found


def decode(token: str) -> dict[Partition, int]:
    """The positions in a token, whosever it is. Raises CursorUnreadable."""
    return _decoded(token)[1]


def _decoded(token: str) -> tuple[bytes, dict[Partition, int]]:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise CursorUnreadable("the cursor is too long")
    try:
        data = base64.b32hexdecode(token.upper() + "=" * (-len(token) % 8))
        version, count = _HEAD.unpack_from(data)
        if version not in (_VERSION, _OF_A_STREAM) or count > PLACES_MAX:
            raise CursorUnreadable("the cursor is of another version")
        at = _HEAD.size + (_OWNER_BYTES if version == _OF_A_STREAM else 0)
        whose = data[_HEAD.size : at]
        found: dict[Partition, int] = {}
        for _ in range(count):
            until = at + 1 + data[at]
            partition, following = _PLACE.unpack_from(data, until)
            found[data[at + 1 : until].decode(), partition] = following - 1
            at = until + _PLACE.size
    except (binascii.Error, struct.error, IndexError, UnicodeError, ValueError) as error:
        raise CursorUnreadable("the text is no cursor") from error
    if at != len(data):
        raise CursorUnreadable("something follows the cursor")
    return whose, found
