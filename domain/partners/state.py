"""One partner's subscription."""

from enum import StrEnum
from typing import assert_never

import msgspec
from immutables import Map

from domain.partners import events as e
from domain.partners.commands import Stage

CONNECTIONS_KEPT = 64
"""Connections whose progress is remembered: more than can be open at once on any number of gateways we foresee."""


class Standing(StrEnum):
    """Whether a subscription is served."""

    ABSENT = "ABSENT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """How far one connection was; `opened` numbers the connections, so that the oldest can be forgotten."""

    opened: int
    sent: int
    is_closed: bool


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is served, and how far its newest connections were."""

    standing: Standing = Standing.ABSENT
    connections: Map[str, Connection] = Map()
    opened: int = 0


def evolve(subscription: Subscription, event: e.PartnerEvent) -> Subscription:
    """The subscription after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.SubscriptionCreated() | e.SubscriptionResumed():
            return replace(subscription, standing=Standing.ACTIVE)
        case e.SubscriptionPaused():
            return replace(subscription, standing=Standing.PAUSED)
        case e.SubscriptionEnded():
            return replace(subscription, standing=Standing.ENDED)
        case e.DeliveryRecorded():
            return _delivered(subscription, event)
        case e.PartnerRefused():
            return subscription
        case _:
            assert_never(event)


def _delivered(subscription: Subscription, event: e.DeliveryRecorded) -> Subscription:
    connections, opened = subscription.connections, subscription.opened
    known = connections.get(event.connection_id)
    if known is None and len(connections) >= CONNECTIONS_KEPT:
        connections = connections.delete(min(connections, key=lambda each: connections[each].opened))
    number = opened if known is None else known.opened
    connection = Connection(number, event.sent, event.stage is Stage.CLOSED)
    return msgspec.structs.replace(
        subscription,
        connections=connections.set(event.connection_id, connection),
        opened=opened + 1 if known is None else opened,
    )
