"""onboarding.events -> orders.commands: let a book trade once its owner passed a check, and no longer than it holds."""

from collections.abc import Iterator

from domain.kernel.messages import Recorded
from domain.onboarding import events as e
from domain.onboarding.events import OnboardingEvent
from domain.orders.commands import ApproveTrading, HaltTrading, ResumeTrading
from streams.sagas import Saga, Step

CAUSE = "KYC"
"""Cause of the halt of an account whose check holds no longer."""


def on_event(recorded: Recorded[OnboardingEvent]) -> Iterator[Step]:
    """What the book must be told after this event."""
    match recorded.event:
        case e.KycCheckPassed() as event:
            yield Step("orders", ApproveTrading(check_id=event.check_id))
            if event.restores:
                yield Step("orders", ResumeTrading(cause=CAUSE))
        case e.KycCheckFailed() as event if event.revokes:
            yield Step("orders", HaltTrading(cause=CAUSE, reason=f"check {event.check_id} failed: {event.cause}"))
        case e.KycCheckExpired() as event if event.revokes:
            yield Step("orders", HaltTrading(cause=CAUSE, reason=f"check {event.check_id} expired: {event.cause}"))
        case _:
            return


trading = Saga("onboarding.trading", ("onboarding",), on_event)
