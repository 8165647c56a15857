"""Orders given to one partner's subscription: what it may follow, whether it is served, how far it was."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.messages import Command


class Stage(StrEnum):
    """How far a connection of a partner has come."""

    OPENED = "OPENED"
    SENT = "SENT"
    CLOSED = "CLOSED"


class CreateSubscription(Command, frozen=True, kw_only=True):
    """Let a partner follow the tenant's events of these contexts."""

    label: str
    contexts: tuple[str, ...]


class PauseSubscription(Command, frozen=True, kw_only=True):
    """Deliver nothing until further notice; nothing is lost meanwhile."""

    reason: str


class ResumeSubscription(Command, frozen=True, kw_only=True):
    """Deliver again."""

    reason: str


class EndSubscription(Command, frozen=True, kw_only=True):
    """Deliver nothing any more."""

    reason: str


class RecordDelivery(Command, frozen=True, kw_only=True):
    """So much was sent on a connection. Sent by the door that serves it."""

    connection_id: str
    stage: Stage
    cursor: str
    sent: int


PartnerCommand: TypeAlias = (
    CreateSubscription | PauseSubscription | ResumeSubscription | EndSubscription | RecordDelivery
)
