"""A partner's subscription: made once, paused and resumed, ended for good, and how far each connection was."""

import pytest

from domain.partners import commands as c
from domain.partners import events as e
from domain.partners.commands import Stage
from domain.partners.decide import partners
from domain.partners.events import PartnerRefused, Refusal
from domain.partners.state import CONNECTIONS_KEPT
from tests.kit.stories import Story

CREATED = e.SubscriptionCreated(label="ledger mirror", contexts=("accounts", "orders"))
PAUSED, RESUMED, ENDED = (
    e.SubscriptionPaused(reason="audit"),
    e.SubscriptionResumed(reason="audit over"),
    e.SubscriptionEnded(reason="contract over"),
)
PAUSE, RESUME, END = (
    c.PauseSubscription(reason="audit"),
    c.ResumeSubscription(reason="audit over"),
    c.EndSubscription(reason="contract over"),
)

subscription = Story(partners)


def create(label: str = "ledger mirror", contexts: tuple[str, ...] = ("orders", "accounts")) -> c.CreateSubscription:
    return c.CreateSubscription(label=label, contexts=contexts)


def delivery(
    sent: int = 0, stage: Stage = Stage.SENT, connection: str = "c-1", actor: str = "gateway:sse"
) -> c.RecordDelivery:
    return c.RecordDelivery(actor=actor, connection_id=connection, stage=stage, cursor=f"at-{sent}", sent=sent)


def recorded(sent: int = 0, stage: Stage = Stage.SENT, connection: str = "c-1") -> e.DeliveryRecorded:
    return e.DeliveryRecorded(connection_id=connection, stage=stage, cursor=f"at-{sent}", sent=sent)


def no(reason: Refusal, reference: str = "subscription") -> PartnerRefused:
    return PartnerRefused(reference=reference, reason=reason)


def test_begins_once_with_each_context_named_once() -> None:
    subscription.given().when(create(contexts=("orders", "accounts", "orders"))).then(CREATED)
    subscription.given(CREATED).when(create()).then(no(Refusal.ALREADY_CREATED))


def test_begins_with_a_label_and_something_to_follow() -> None:
    subscription.given().when(create(label="")).then(no(Refusal.LABEL_MISSING, "label"))
    subscription.given().when(create(contexts=())).then(no(Refusal.CONTEXTS_MISSING, "contexts"))


def test_is_paused_and_resumed_in_turn() -> None:
    subscription.given(CREATED).when(PAUSE).then(PAUSED)
    subscription.given(CREATED, PAUSED).when(PAUSE).then(no(Refusal.ALREADY_PAUSED))
    subscription.given(CREATED, PAUSED).when(RESUME).then(RESUMED)
    subscription.given(CREATED).when(RESUME).then(no(Refusal.NOT_PAUSED))


@pytest.mark.parametrize("before", [(), (PAUSED,)])
def test_ends_for_good(before: tuple[e.PartnerEvent, ...]) -> None:
    subscription.given(CREATED, *before).when(END).then(ENDED)
    for command in (PAUSE, RESUME, END):
        subscription.given(CREATED, *before, ENDED).when(command).then(no(Refusal.ENDED))
    subscription.given(CREATED, *before, ENDED).when(create()).then(no(Refusal.ALREADY_CREATED))


@pytest.mark.parametrize("command", [PAUSE, RESUME, END])
def test_nothing_changes_before_it_begins_or_without_a_reason(command: c.PauseSubscription) -> None:
    subscription.given().when(command).then(no(Refusal.UNKNOWN_SUBSCRIPTION))
    silent = type(command)(reason="")
    subscription.given(CREATED).when(silent).then(no(Refusal.REASON_MISSING))


def test_a_connection_only_moves_on() -> None:
    given = subscription.given(CREATED, recorded(0, Stage.OPENED), recorded(5))
    given.when(delivery(9)).then(recorded(9))
    given.when(delivery(5)).then(no(Refusal.NOTHING_NEW, "c-1"))
    given.when(delivery(4)).then(no(Refusal.NOTHING_NEW, "c-1"))
    given.when(delivery(6, Stage.OPENED)).then(no(Refusal.NOTHING_NEW, "c-1"))


def test_a_closed_connection_says_no_more() -> None:
    subscription.given(CREATED, recorded(5)).when(delivery(5, Stage.CLOSED)).then(recorded(5, Stage.CLOSED))
    subscription.given(CREATED, recorded(5, Stage.CLOSED)).when(delivery(6)).then(no(Refusal.NOTHING_NEW, "c-1"))


def test_a_replay_beside_a_live_connection_is_counted_apart() -> None:
    given = subscription.given(CREATED, recorded(50))
    given.when(delivery(0, Stage.OPENED, "c-2")).then(recorded(0, Stage.OPENED, "c-2"))


@pytest.mark.parametrize("after", [PAUSED, ENDED])
def test_what_was_sent_before_the_end_is_recorded_after_it(after: e.PartnerEvent) -> None:
    subscription.given(CREATED, recorded(5), after).when(delivery(7, Stage.CLOSED)).then(recorded(7, Stage.CLOSED))


def test_only_a_door_knows_what_was_sent_and_only_of_a_subscription() -> None:
    subscription.given(CREATED).when(delivery(1, actor="sub:ann")).then(no(Refusal.FORBIDDEN_ACTOR, "c-1"))
    subscription.given().when(delivery(1)).then(no(Refusal.UNKNOWN_SUBSCRIPTION, "c-1"))


def test_only_the_newest_connections_are_remembered() -> None:
    many = [recorded(0, Stage.OPENED, f"c-{number}") for number in range(CONNECTIONS_KEPT + 5)]
    state = subscription.given(CREATED, *many).state
    assert set(state.connections) == {f"c-{number}" for number in range(5, CONNECTIONS_KEPT + 5)}
