"""The rules of a partner's subscription."""

from typing import assert_never

from domain.kernel.decider import Decider
from domain.partners import commands as c
from domain.partners import events as e
from domain.partners.commands import PartnerCommand, Stage
from domain.partners.events import PartnerEvent, PartnerRefused, Refusal
from domain.partners.state import Standing, Subscription, evolve

DOOR = "gateway:"
"""Actors that serve connections begin with this."""


def decide(subscription: Subscription, command: PartnerCommand) -> PartnerEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.CreateSubscription():
            return create(subscription, command)
        case c.RecordDelivery():
            return record_delivery(subscription, command)
        case c.PauseSubscription() | c.ResumeSubscription() | c.EndSubscription():
            return change(subscription, command)
        case _:
            assert_never(command)


def create(subscription: Subscription, command: c.CreateSubscription) -> PartnerEvent:
    """A subscription begins once, with a label and something to follow."""
    if not command.label:
        return PartnerRefused(reference="label", reason=Refusal.LABEL_MISSING)
    if not command.contexts:
        return PartnerRefused(reference="contexts", reason=Refusal.CONTEXTS_MISSING)
    if subscription.standing is not Standing.ABSENT:
        return PartnerRefused(reference="subscription", reason=Refusal.ALREADY_CREATED)
    return e.SubscriptionCreated(label=command.label, contexts=tuple(sorted(set(command.contexts))))


def change(
    subscription: Subscription, command: c.PauseSubscription | c.ResumeSubscription | c.EndSubscription
) -> PartnerEvent:
    """It is paused, resumed and ended with a reason; what has ended stays ended."""
    reason = None
    match subscription.standing, command:
        case Standing.ABSENT, _:
            reason = Refusal.UNKNOWN_SUBSCRIPTION
        case Standing.ENDED, _:
            reason = Refusal.ENDED
        case Standing.PAUSED, c.PauseSubscription():
            reason = Refusal.ALREADY_PAUSED
        case Standing.ACTIVE, c.ResumeSubscription():
            reason = Refusal.NOT_PAUSED
    if not command.reason:
        reason = Refusal.REASON_MISSING
    if reason is not None:
        return PartnerRefused(reference="subscription", reason=reason)
    match command:
        case c.PauseSubscription():
            return e.SubscriptionPaused(reason=command.reason)
        case c.ResumeSubscription():
            return e.SubscriptionResumed(reason=command.reason)
        case c.EndSubscription():
            return e.SubscriptionEnded(reason=command.reason)
        case _:
            assert_never(command)


def record_delivery(subscription: Subscription, command: c.RecordDelivery) -> PartnerEvent:
    """A door says how far a connection was; also after a pause or the end, since what was sent was sent."""
    reference = command.connection_id
    if not command.actor.startswith(DOOR):
        return PartnerRefused(reference=reference, reason=Refusal.FORBIDDEN_ACTOR)
    if subscription.standing is Standing.ABSENT:
        return PartnerRefused(reference=reference, reason=Refusal.UNKNOWN_SUBSCRIPTION)
    known = subscription.connections.get(reference)
    if known is not None:
        is_further = command.sent > known.sent or (command.stage is Stage.CLOSED and command.sent == known.sent)
        if known.is_closed or command.stage is Stage.OPENED or not is_further:
            return PartnerRefused(reference=reference, reason=Refusal.NOTHING_NEW)
    return e.DeliveryRecorded(
        connection_id=command.connection_id, stage=command.stage, cursor=command.cursor, sent=command.sent
    )


partners: Decider[Subscription, PartnerCommand, PartnerEvent] = Decider(Subscription(), decide, evolve)
