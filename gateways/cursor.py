"""Tape positions <-> one opaque token, the same at every door.

It holds sequences, not offsets, so that it survives a replica. Tokens of the same partitions sort as their positions
do: base32hex keeps the order of the bytes, and the bytes begin with what is compared first.
"""

import base64
import binascii
import struct
from collections.abc import Mapping

from infra.kafka.records import Partition

Positions = Mapping[Partition, int]
"""The last sequence that is known, by topic and partition; -1 is none yet."""

PLACES_MAX = 1_024
"""Partitions that one cursor may hold: every account of a socket has three."""
TOKEN_CHARACTERS_MAX = 65_536
"""Longest token that is read."""
_VERSION = 1
_HEAD = struct.Struct(">BH")
_PLACE = struct.Struct(">HQ")


class CursorUnreadable(ValueError):
    """The text is no cursor of ours."""


def encode(positions: Positions) -> str:
    """The token of these positions."""
    parts = [_HEAD.pack(_VERSION, len(positions))]
    for (topic, partition), sequence in sorted(positions.items()):
        name = topic.encode()
        parts.append(bytes([len(name)]) + name + _PLACE.pack(partition, sequence + 1))
    return base64.b32hexencode(b"".join(parts)).decode().rstrip("=").lower()


def decode(token: str) -> dict[Partition, int]:
    """The positions in a token. Raises CursorUnreadable."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise CursorUnreadable("the cursor is too long")
    try:
        data = base64.b32hexdecode(token.upper() + "=" * (-len(token) % 8))
        version, count = _HEAD.unpack_from(data)
        if version != _VERSION or count > PLACES_MAX:
            raise CursorUnreadable("the cursor is of another version")
        found: dict[Partition, int] = {}
        at = _HEAD.size
        for _ in range(count):
            until = at + 1 + data[at]
            partition, following = _PLACE.unpack_from(data, until)
            found[data[at + 1 : until].decode(), partition] = following - 1
            at = until + _PLACE.size
    except (binascii.Error, struct.error, IndexError, UnicodeError, ValueError) as error:
        raise CursorUnreadable("the text is no cursor") from error
    if at != len(data):
        raise CursorUnreadable("something follows the cursor")
    return found
