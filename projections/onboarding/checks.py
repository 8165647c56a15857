"""onboarding.events, orders.events -> kyc_checks, kyc_approvals: how far checks have come; never whom they are about.

A passed check is one thing, a book that has heard of it another, some milliseconds later: `approved_at` tells it. No
order holds between the two topics, so each has a table of its own.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from domain.kernel.ids import CheckId, Micros
from domain.kernel.messages import Recorded
from domain.onboarding import events as e
from domain.onboarding.events import OnboardingEvent
from domain.orders.events import OrderEvent, TradingApproved
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE kyc_checks (
    tenant text NOT NULL,
    account_id text NOT NULL,
    check_id text NOT NULL,
    opened_version bigint NOT NULL,
    status text NOT NULL,
    cause text,
    run_id text,
    requested_at bigint NOT NULL,
    ended_at bigint,
    due_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, check_id)
);
CREATE INDEX ON kyc_checks (tenant, account_id, opened_version DESC);
CREATE TABLE kyc_approvals (
    tenant text NOT NULL,
    account_id text NOT NULL,
    check_id text NOT NULL,
    approved_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, check_id)
);
"""
CHECK = """
SELECT c.*, a.approved_at FROM kyc_checks AS c LEFT JOIN kyc_approvals AS a USING (tenant, account_id, check_id)
WHERE tenant = $1 AND account_id = $2 AND check_id = $3
"""
CHECKS = """
SELECT c.*, a.approved_at FROM kyc_checks AS c LEFT JOIN kyc_approvals AS a USING (tenant, account_id, check_id)
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""


_OF_A_CHECK = e.KycCheckRequested | e.KycCheckReferred | e.KycCheckPassed | e.KycCheckFailed | e.KycCheckExpired


class CheckStatus(StrEnum):
    """How far a check has come."""

    WAITING = "WAITING"
    REFERRED = "REFERRED"
    PASSED = "PASSED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class CheckRow(Row, frozen=True, kw_only=True):
    """One check; `due_at` is when it expires, waiting or passed. `opened_version` is the key of a page."""

    tenant: str
    account_id: str
    check_id: CheckId
    opened_version: int
    status: CheckStatus
    cause: str | None = None
    run_id: str | None = None
    requested_at: Micros
    ended_at: Micros | None = None
    due_at: Micros


class ApprovalRow(Row, frozen=True, kw_only=True):
    """A passed check that the book has heard of."""

    tenant: str
    account_id: str
    check_id: CheckId
    approved_at: Micros


class ShownCheck(CheckRow, frozen=True, kw_only=True):
    """A check, and since when the book knows that it was passed."""

    approved_at: Micros | None = None


def check_of(recorded: Recorded[OnboardingEvent | OrderEvent]) -> Iterable[Key]:
    """The check that an event speaks of."""
    event = recorded.event
    if isinstance(event, _OF_A_CHECK):
        return [(recorded.tenant, recorded.stream_id, event.check_id)]
    return []


def approval_of(recorded: Recorded[OnboardingEvent | OrderEvent]) -> Iterable[Key]:
    """The check that a book has heard of."""
    event = recorded.event
    return [(recorded.tenant, recorded.stream_id, event.check_id)] if isinstance(event, TradingApproved) else []


def fold_approval(row: ApprovalRow | None, recorded: Recorded[OnboardingEvent | OrderEvent]) -> ApprovalRow | None:
    """The approval after this event."""
    event = recorded.event
    if not isinstance(event, TradingApproved):
        return row
    return ApprovalRow(
        tenant=recorded.tenant, account_id=recorded.stream_id, check_id=event.check_id, approved_at=recorded.at
    )


def fold(row: CheckRow | None, recorded: Recorded[OnboardingEvent | OrderEvent]) -> CheckRow | None:
    """The check's row after this event."""
    replace = msgspec.structs.replace
    match recorded.event:
        case e.KycCheckRequested() as event:
            return CheckRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                check_id=event.check_id,
                opened_version=recorded.version,
                status=CheckStatus.WAITING,
                requested_at=recorded.at,
                due_at=event.due_at,
            )
        case e.KycCheckReferred() as event:
            return row and replace(row, status=CheckStatus.REFERRED, run_id=event.run_id, cause=event.cause or None)
        case e.KycCheckPassed() as event:
            return row and replace(
                row,
                status=CheckStatus.PASSED,
                run_id=event.run_id,
                cause=None,
                ended_at=recorded.at,
                due_at=event.valid_until,
            )
        case e.KycCheckFailed() as event:
            return row and replace(
                row, status=CheckStatus.FAILED, run_id=event.run_id or None, cause=event.cause, ended_at=recorded.at
            )
        case e.KycCheckExpired() as event:
            return row and replace(row, status=CheckStatus.EXPIRED, cause=event.cause, ended_at=recorded.at)
        case _:
            return row


async def check(db: Database, *, tenant: str, account_id: str, check_id: str) -> ShownCheck | None:
    """One check."""
    return await db.row(ShownCheck, CHECK, tenant, account_id, check_id)


async def checks(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[ShownCheck]:
    """The account's checks, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(ShownCheck, CHECKS, tenant, account_id, before, limit)


kyc_checks = ReadModel(
    name="kyc_checks",
    version=1,
    ddl=DDL,
    events=("onboarding.events", "orders.events"),
    tables=(
        Folded(
            name="kyc_checks",
            row=CheckRow,
            key=("tenant", "account_id", "check_id"),
            keys_of=check_of,
            fold=fold,
        ),
        Folded(
            name="kyc_approvals",
            row=ApprovalRow,
            key=("tenant", "account_id", "check_id"),
            keys_of=approval_of,
            fold=fold_approval,
        ),
    ),
)
"""Checks of who owns an account."""
