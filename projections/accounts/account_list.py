"""accounts.events -> accounts, withdrawals: who owns which account, and how far each withdrawal has come."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from domain.accounts import events as e
from domain.accounts.events import AccountEvent
from domain.kernel.ids import Micros, WithdrawalId
from domain.kernel.messages import Recorded
from domain.kernel.money import Money
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE accounts (
    tenant text NOT NULL,
    account_id text NOT NULL,
    owner text NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    opened_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id)
);
CREATE INDEX ON accounts (tenant, owner, account_id);
CREATE TABLE withdrawals (
    tenant text NOT NULL,
    account_id text NOT NULL,
    withdrawal_id text NOT NULL,
    opened_version bigint NOT NULL,
    status text NOT NULL,
    amount bigint NOT NULL,
    reason text,
    requested_at bigint NOT NULL,
    ended_at bigint,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, withdrawal_id)
);
CREATE INDEX ON withdrawals (tenant, account_id, opened_version DESC);
"""
TENANT_OF = """
WITH RECURSIVE tenants AS (
    SELECT min(tenant) AS tenant FROM accounts
    UNION ALL
    SELECT (SELECT min(tenant) FROM accounts WHERE tenant > tenants.tenant) FROM tenants
    WHERE tenants.tenant IS NOT NULL
)
SELECT tenant FROM tenants JOIN accounts USING (tenant) WHERE account_id = $1 LIMIT 1
"""
"""One look at the key for each tenant: they are few, and accounts are many."""
ACCOUNT = "SELECT * FROM accounts WHERE tenant = $1 AND account_id = $2"
BY_OWNER = """
SELECT * FROM accounts WHERE tenant = $1 AND owner = $2 AND account_id > $3 ORDER BY account_id LIMIT $4
"""
BY_TENANT = "SELECT * FROM accounts WHERE tenant = $1 AND account_id > $2 ORDER BY account_id LIMIT $3"
WITHDRAWAL = "SELECT * FROM withdrawals WHERE tenant = $1 AND account_id = $2 AND withdrawal_id = $3"
WITHDRAWALS = """
SELECT * FROM withdrawals
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""


class AccountStatus(StrEnum):
    """The life of an account."""

    OPEN = "OPEN"


class WithdrawalStatus(StrEnum):
    """How far a withdrawal has come."""

    PENDING = "PENDING"
    PAID = "PAID"
    REFUSED = "REFUSED"


class AccountRow(Row, frozen=True, kw_only=True):
    """One account."""

    tenant: str
    account_id: str
    owner: str
    currency: str
    status: AccountStatus
    opened_at: Micros


class WithdrawalRow(Row, frozen=True, kw_only=True):
    """One withdrawal; `opened_version`, the account's version when it was requested, is the key of a page."""

    tenant: str
    account_id: str
    withdrawal_id: WithdrawalId
    opened_version: int
    status: WithdrawalStatus
    amount: Money
    reason: str | None = None
    requested_at: Micros
    ended_at: Micros | None = None


def account_of(recorded: Recorded[AccountEvent]) -> Iterable[Key]:
    """The account that was opened."""
    return [(recorded.tenant, recorded.stream_id)] if isinstance(recorded.event, e.AccountOpened) else []


def fold_account(row: AccountRow | None, recorded: Recorded[AccountEvent]) -> AccountRow | None:
    """The account's row after this event."""
    event = recorded.event
    if not isinstance(event, e.AccountOpened):
        return row
    return AccountRow(
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        owner=event.owner,
        currency=event.currency,
        status=AccountStatus.OPEN,
        opened_at=recorded.at,
    )


def withdrawal_of(recorded: Recorded[AccountEvent]) -> Iterable[Key]:
    """The withdrawal that an event speaks of."""
    event = recorded.event
    if isinstance(event, e.WithdrawalRequested | e.CashWithdrawn | e.WithdrawalRefused):
        return [(recorded.tenant, recorded.stream_id, event.withdrawal_id)]
    return []


def fold_withdrawal(row: WithdrawalRow | None, recorded: Recorded[AccountEvent]) -> WithdrawalRow | None:
    """The withdrawal's row after this event."""
    match recorded.event:
        case e.WithdrawalRequested() as event:
            return WithdrawalRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                withdrawal_id=event.withdrawal_id,
                opened_version=recorded.version,
                status=WithdrawalStatus.PENDING,
                amount=event.amount,
                requested_at=recorded.at,
            )
        case e.CashWithdrawn():
            return row and msgspec.structs.replace(row, status=WithdrawalStatus.PAID, ended_at=recorded.at)
        case e.WithdrawalRefused() as event:
            return row and msgspec.structs.replace(
                row, status=WithdrawalStatus.REFUSED, reason=event.reason, ended_at=recorded.at
            )
        case _:
            return row


async def account(db: Database, *, tenant: str, account_id: str) -> AccountRow | None:
    """One account, or None when it was never opened."""
    return await db.row(AccountRow, ACCOUNT, tenant, account_id)


async def tenant_of(db: Database, account_id: str) -> str | None:
    """Whose tenant's account this is, None when nobody opened it."""
    found: str | None = await db.value(TENANT_OF, account_id)
    return found


async def by_owner(db: Database, *, tenant: str, owner: str, limit: int, after: str = "") -> list[AccountRow]:
    """The accounts of one subject; `after` is the last account of the page before."""
    return await db.rows(AccountRow, BY_OWNER, tenant, owner, after, limit)


async def by_tenant(db: Database, *, tenant: str, limit: int, after: str = "") -> list[AccountRow]:
    """All accounts of a tenant; `after` is the last account of the page before."""
    return await db.rows(AccountRow, BY_TENANT, tenant, after, limit)


async def withdrawal(db: Database, *, tenant: str, account_id: str, withdrawal_id: str) -> WithdrawalRow | None:
    """One withdrawal."""
    return await db.row(WithdrawalRow, WITHDRAWAL, tenant, account_id, withdrawal_id)


async def withdrawals(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[WithdrawalRow]:
    """The account's withdrawals, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(WithdrawalRow, WITHDRAWALS, tenant, account_id, before, limit)


account_list = ReadModel(
    name="account_list",
    version=1,
    ddl=DDL,
    events=("accounts.events",),
    tables=(
        Folded(
            name="accounts",
            row=AccountRow,
            key=("tenant", "account_id"),
            keys_of=account_of,
            fold=fold_account,
        ),
        Folded(
            name="withdrawals",
            row=WithdrawalRow,
            key=("tenant", "account_id", "withdrawal_id"),
            keys_of=withdrawal_of,
            fold=fold_withdrawal,
        ),
    ),
)
"""Accounts and their withdrawals."""
