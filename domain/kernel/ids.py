"""Names of things: string ids with a type each, and ids derived from other ids so that a repeat finds the first."""

import hashlib
import uuid
from functools import lru_cache
from typing import NewType

AccountId = NewType("AccountId", str)
OrderId = NewType("OrderId", str)
ExecutionId = NewType("ExecutionId", str)
DepositId = NewType("DepositId", str)
WithdrawalId = NewType("WithdrawalId", str)
BreachId = NewType("BreachId", str)
CheckId = NewType("CheckId", str)
BreakId = NewType("BreakId", str)
Symbol = NewType("Symbol", str)
Micros = NewType("Micros", int)
"""Microseconds since the epoch, UTC."""

_NAMESPACE = uuid.UUID("6f1d1c0e-5a39-5d0a-9f0e-7a7065000000").bytes
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit that says of which kind a UUID is: its two low bits are free."""


def derived(*parts: object) -> str:
    """A UUIDv5 of these parts: the same parts always give the same id."""
    name = "\x1f".join(map(str, parts)).encode()
    # What uuid.uuid5 does, in 1.6 us instead of 6: every event and every request has an id of this kind.
    digits = hashlib.sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    kind = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{kind}{digits[17:20]}-{digits[20:32]}"


def event_id(topic: str, partition: int, sequence: int) -> str:
    """The id of the event at this place of the tape."""
    return derived("event", topic, partition, sequence)


@lru_cache(maxsize=64)  # Asked for twice in a row, before a command is decided and after: 0.9 us, remembered 0.1.
def short_digest(command_id: str) -> bytes:
    """Eight bytes that stand for a command id in the list of known ids."""
    return hashlib.blake2b(command_id.encode(), digest_size=8).digest()
