"""Who follows what, and how far each connection was."""

import pytest

from domain.partners import events as e
from domain.partners.commands import CreateSubscription, PauseSubscription, RecordDelivery, Stage
from infra.postgres import Database
from projections.partners import subscriptions as s
from projections.partners.subscriptions import Status, subscriptions
from tests.kit.tape import Tape
from tests.projections.folding import FIRST_AT, row_after, rows_after, table_of
from tests.projections.hosting import projector_of

SUBSCRIPTIONS = table_of(subscriptions, "partner_subscriptions")
DELIVERIES = table_of(subscriptions, "partner_deliveries")
CREATED = e.SubscriptionCreated(label="mirror", contexts=("accounts", "orders"))


def delivered(sent: int, stage: Stage = Stage.SENT, connection: str = "c-1") -> e.DeliveryRecorded:
    return e.DeliveryRecorded(connection_id=connection, stage=stage, cursor=f"at-{sent}", sent=sent)


def test_a_subscription_shows_how_it_stands_and_why() -> None:
    row = row_after(SUBSCRIPTIONS, CREATED)
    assert (row.label, row.contexts, row.status, row.reason) == ("mirror", "accounts,orders", Status.ACTIVE, None)
    row = row_after(SUBSCRIPTIONS, CREATED, e.SubscriptionPaused(reason="audit"))
    assert (row.status, row.reason, row.created_at, row.changed_at - FIRST_AT) == (
        Status.PAUSED,
        "audit",
        FIRST_AT,
        1_000_000,
    )
    resumed = (e.SubscriptionPaused(reason="audit"), e.SubscriptionResumed(reason="over"))
    assert row_after(SUBSCRIPTIONS, CREATED, *resumed).status is Status.ACTIVE
    assert row_after(SUBSCRIPTIONS, CREATED, e.SubscriptionEnded(reason="done")).status is Status.ENDED


def test_each_connection_shows_how_far_it_was() -> None:
    rows = rows_after(
        DELIVERIES,
        CREATED,
        delivered(0, Stage.OPENED),
        delivered(7),
        delivered(0, Stage.OPENED, "c-2"),
        delivered(9, Stage.CLOSED),
    )
    assert [(row.connection_id, row.stage, row.sent) for row in rows] == [
        ("c-1", Stage.CLOSED, 9),
        ("c-2", Stage.OPENED, 0),
    ]
    assert (rows[0].opened_at, rows[0].changed_at) == (FIRST_AT + 1_000_000, FIRST_AT + 4_000_000)


@pytest.mark.postgres
async def test_a_tenant_finds_its_own_and_nobody_elses(db: Database, tape: Tape) -> None:
    tape.decide("partners", "s-1", CreateSubscription(label="mirror", contexts=("orders",)))
    tape.decide("partners", "s-2", CreateSubscription(label="theirs", contexts=("orders",)), tenant="rival")
    tape.decide("partners", "s-1", PauseSubscription(reason="audit"))
    for connection in ("c-1", "c-2"):
        command = RecordDelivery(actor="gateway:sse", connection_id=connection, stage=Stage.OPENED, cursor="", sent=0)
        tape.decide("partners", "s-1", command)
    await (await projector_of(db, tape.codec, [subscriptions])).apply(tape.arrived)
    row = await s.by_id(db, tenant="acme", subscription_id="s-1")
    assert row is not None
    assert row.status is Status.PAUSED
    assert await s.by_id(db, tenant="acme", subscription_id="s-2") is None
    assert [each.subscription_id for each in await s.by_tenant(db, tenant="acme", limit=10)] == ["s-1"]
    found = await s.deliveries(db, tenant="acme", subscription_id="s-1", limit=1)
    assert len(found) == 1
    assert await s.deliveries(db, tenant="rival", subscription_id="s-1", limit=10) == []
