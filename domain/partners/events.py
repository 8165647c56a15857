"""What a partner may follow, whether it is served, and how far it was."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.messages import Event
from domain.partners.commands import Stage


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    LABEL_MISSING = "LABEL_MISSING"
    CONTEXTS_MISSING = "CONTEXTS_MISSING"
    REASON_MISSING = "REASON_MISSING"
    ALREADY_CREATED = "ALREADY_CREATED"
    UNKNOWN_SUBSCRIPTION = "UNKNOWN_SUBSCRIPTION"
    ENDED = "ENDED"
    ALREADY_PAUSED = "ALREADY_PAUSED"
    NOT_PAUSED = "NOT_PAUSED"
    NOTHING_NEW = "NOTHING_NEW"


class SubscriptionCreated(Event, frozen=True, kw_only=True):
    """A partner may follow the tenant's events of these contexts.

    They never change: an event's number is its version in its own stream, and would jump if contexts came and went.
    """

    label: str
    contexts: tuple[str, ...]


class SubscriptionPaused(Event, frozen=True, kw_only=True):
    """Nothing is delivered until further notice."""

    reason: str


class SubscriptionResumed(Event, frozen=True, kw_only=True):
    """Events are delivered again."""

    reason: str


class SubscriptionEnded(Event, frozen=True, kw_only=True):
    """Nothing is delivered any more."""

    reason: str


class DeliveryRecorded(Event, frozen=True, kw_only=True):
    """So much was sent on a connection."""

    connection_id: str
    stage: Stage
    cursor: str
    sent: int


class PartnerRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the connection or the part of the subscription that the command named."""

    reference: str
    reason: Refusal


PartnerEvent: TypeAlias = (
    SubscriptionCreated
    | SubscriptionPaused
    | SubscriptionResumed
    | SubscriptionEnded
    | DeliveryRecorded
    | PartnerRefused
)
REFUSALS = (PartnerRefused,)
