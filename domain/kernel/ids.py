"""Names of things: string ids with a type each, and ids derived from other ids so that a repeat finds the first."""

import hashlib
import uuid
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

_NAMESPACE = uuid.UUID("6f1d1c0e-5a39-5d0a-9f0e-7a7065000000")


def derived(*parts: object) -> str:
    """A UUIDv5 of these parts: the same parts always give the same id."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))


def event_id(topic: str, partition: int, sequence: int) -> str:
    """The id of the event at this place of the tape."""
    return derived("event", topic, partition, sequence)


def short_digest(command_id: str) -> bytes:
    """Eight bytes that stand for a command id in the list of known ids."""
    return hashlib.blake2b(command_id.encode(), digest_size=8).digest()
