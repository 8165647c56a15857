"""partners.events -> partner_subscriptions, partner_deliveries: who follows what, and how far each connection was."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from domain.partners import events as e
from domain.partners.commands import Stage
from domain.partners.events import PartnerEvent
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE partner_subscriptions (
    tenant text NOT NULL,
    subscription_id text NOT NULL,
    label text NOT NULL,
    contexts text NOT NULL,
    status text NOT NULL,
    reason text,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, subscription_id)
);
CREATE TABLE partner_deliveries (
    tenant text NOT NULL,
    subscription_id text NOT NULL,
    connection_id text NOT NULL,
    stage text NOT NULL,
    cursor text NOT NULL,
    sent bigint NOT NULL,
    opened_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, subscription_id, connection_id)
);
CREATE INDEX ON partner_deliveries (tenant, subscription_id, opened_at DESC);
"""
BY_ID = "SELECT * FROM partner_subscriptions WHERE tenant = $1 AND subscription_id = $2"
BY_TENANT = """
SELECT * FROM partner_subscriptions WHERE tenant = $1 AND subscription_id > $2 ORDER BY subscription_id LIMIT $3
"""
DELIVERIES = """
SELECT * FROM partner_deliveries WHERE tenant = $1 AND subscription_id = $2
ORDER BY opened_at DESC, connection_id LIMIT $3
"""
BETWEEN_CONTEXTS = ","


class Status(StrEnum):
    """Whether a subscription is served."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class SubscriptionRow(Row, frozen=True, kw_only=True):
    """One subscription; `contexts` are names with commas between."""

    tenant: str
    subscription_id: str
    label: str
    contexts: str
    status: Status
    reason: str | None = None
    created_at: Micros
    changed_at: Micros


class DeliveryRow(Row, frozen=True, kw_only=True):
    """One connection of a partner."""

    tenant: str
    subscription_id: str
    connection_id: str
    stage: Stage
    cursor: str
    sent: int
    opened_at: Micros
    changed_at: Micros


def subscription_of(recorded: Recorded[PartnerEvent]) -> Iterable[Key]:
    """The subscription, where the event changes it."""
    changes = not isinstance(recorded.event, e.DeliveryRecorded | e.PartnerRefused)
    return [(recorded.tenant, recorded.stream_id)] if changes else []


def fold_subscription(row: SubscriptionRow | None, recorded: Recorded[PartnerEvent]) -> SubscriptionRow | None:
    """The subscription's row after this event."""
    match recorded.event:
        case e.SubscriptionCreated() as event:
            return SubscriptionRow(
                tenant=recorded.tenant,
                subscription_id=recorded.stream_id,
                label=event.label,
                contexts=BETWEEN_CONTEXTS.join(event.contexts),
                status=Status.ACTIVE,
                created_at=recorded.at,
                changed_at=recorded.at,
            )
        case e.SubscriptionPaused() as event:
            return _changed(row, Status.PAUSED, event.reason, recorded.at)
        case e.SubscriptionResumed() as event:
            return _changed(row, Status.ACTIVE, event.reason, recorded.at)
        case e.SubscriptionEnded() as event:
            return _changed(row, Status.ENDED, event.reason, recorded.at)
        case _:
            return row


def connection_of(recorded: Recorded[PartnerEvent]) -> Iterable[Key]:
    """The connection that an event tells of."""
    event = recorded.event
    if not isinstance(event, e.DeliveryRecorded):
        return []
    return [(recorded.tenant, recorded.stream_id, event.connection_id)]


def fold_delivery(row: DeliveryRow | None, recorded: Recorded[PartnerEvent]) -> DeliveryRow | None:
    """The connection's row after this event."""
    event = recorded.event
    if not isinstance(event, e.DeliveryRecorded):
        return row
    return DeliveryRow(
        tenant=recorded.tenant,
        subscription_id=recorded.stream_id,
        connection_id=event.connection_id,
        stage=event.stage,
        cursor=event.cursor,
        sent=event.sent,
        opened_at=recorded.at if row is None else row.opened_at,
        changed_at=recorded.at,
    )


def _changed(row: SubscriptionRow | None, status: Status, reason: str, at: Micros) -> SubscriptionRow | None:
    return row and msgspec.structs.replace(row, status=status, reason=reason, changed_at=at)


async def by_id(db: Database, *, tenant: str, subscription_id: str) -> SubscriptionRow | None:
    """One subscription of the tenant."""
    return await db.row(SubscriptionRow, BY_ID, tenant, subscription_id)


async def by_tenant(db: Database, *, tenant: str, limit: int, after: str = "") -> list[SubscriptionRow]:
    """The tenant's subscriptions; `after` is the last one of the page before."""
    return await db.rows(SubscriptionRow, BY_TENANT, tenant, after, limit)


async def deliveries(db: Database, *, tenant: str, subscription_id: str, limit: int) -> list[DeliveryRow]:
    """The subscription's connections, newest first."""
    return await db.rows(DeliveryRow, DELIVERIES, tenant, subscription_id, limit)


subscriptions = ReadModel(
    name="subscriptions",
    version=1,
    ddl=DDL,
    events=("partners.events",),
    tables=(
        Folded(
            name="partner_subscriptions",
            row=SubscriptionRow,
            key=("tenant", "subscription_id"),
            keys_of=subscription_of,
            fold=fold_subscription,
        ),
        Folded(
            name="partner_deliveries",
            row=DeliveryRow,
            key=("tenant", "subscription_id", "connection_id"),
            keys_of=connection_of,
            fold=fold_delivery,
        ),
    ),
)
"""Subscriptions of partners and their deliveries."""
