"""Ids and cursors by the rules that the contracts publish, computed here once more.

An id is a UUIDv5 of its parts joined by the unit separator; a cursor is base32hex, without padding, of a version, the
number of places, eight bytes of whose stream it is (version 2 only), and for each place the length and name of its
topic, its partition (2 bytes) and the sequence that comes next (8 bytes).
"""

import base64
import hashlib
import struct
import uuid

NAMESPACE = uuid.UUID("6f1d1c0e-5a39-5d0a-9f0e-7a7065000000")


def derived(*parts: object) -> str:
    """The id that follows from these parts: what `uuid.uuid5` makes of them, at a third of its price."""
    name = "\x1f".join(map(str, parts)).encode()
    made = hashlib.sha1(NAMESPACE.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(made[16], 16) & 3]
    return f"{made[:8]}-{made[8:12]}-5{made[13:16]}-{variant}{made[17:20]}-{made[20:32]}"


def event_id(topic: str, partition: int, sequence: int) -> str:
    """The id of the event at this place of the tape."""
    return derived("event", topic, partition, sequence)


def command_id(tenant: str, account: str, asked: str, key: str) -> str:
    """The id of the command that a request with this idempotency key becomes; `asked` is method and route."""
    return derived(tenant, account, asked, key)


def places(cursor: str) -> dict[tuple[str, int], int]:
    """The last sequence that a cursor knows of each partition; -1 is none. Raises ValueError."""
    data = base64.b32hexdecode(cursor.upper() + "=" * (-len(cursor) % 8))
    try:
        version, count = struct.unpack_from(">BH", data)
        at = 3 + (8 if version == 2 else 0)
        found = {}
        for _ in range(count):
            until = at + 1 + data[at]
            partition, following = struct.unpack_from(">HQ", data, until)
            found[data[at + 1 : until].decode(), partition] = following - 1
            at = until + 10
    except (struct.error, IndexError) as error:
        raise ValueError(f"{cursor!r} is no cursor") from error
    if at != len(data):
        raise ValueError(f"{cursor!r} has something behind its places")
    return found
