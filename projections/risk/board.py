"""risk.events, orders.events -> the risk board: each account's limits, its breaches open and cleared, its halts.

Limits and breaches are facts of `risk`; which halts hold is what the book of `orders` says, since the book is what
refuses orders. No order holds between the two topics, so each has tables of its own.
"""

from collections.abc import Iterable

import msgspec

from domain.kernel.ids import BreachId, Micros
from domain.kernel.messages import Recorded
from domain.kernel.money import Money
from domain.orders.events import OrderEvent, TradingHalted, TradingResumed
from domain.risk import events as e
from domain.risk.commands import Measure
from domain.risk.events import RiskEvent
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE risk_limits (
    tenant text NOT NULL,
    account_id text NOT NULL,
    order_notional_max bigint NOT NULL,
    gross_exposure_max bigint NOT NULL,
    orders_per_minute_max bigint NOT NULL,
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id)
);
CREATE TABLE risk_breaches (
    tenant text NOT NULL,
    account_id text NOT NULL,
    breach_id text NOT NULL,
    opened_version bigint NOT NULL,
    measure text NOT NULL,
    observed bigint NOT NULL,
    allowed bigint NOT NULL,
    mark_sequence bigint NOT NULL,
    book_version bigint NOT NULL,
    opened_at bigint NOT NULL,
    cleared_at bigint,
    cleared_observed bigint,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, breach_id)
);
CREATE INDEX ON risk_breaches (tenant, account_id, opened_version DESC);
CREATE INDEX ON risk_breaches (tenant, account_id, breach_id) WHERE cleared_at IS NULL;
CREATE TABLE trading_halts (
    tenant text NOT NULL,
    account_id text NOT NULL,
    cause text NOT NULL,
    reason text NOT NULL,
    halted_at bigint NOT NULL,
    resumed_at bigint,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, cause)
);
"""
LIMITS = "SELECT * FROM risk_limits WHERE tenant = $1 AND account_id = $2"
BREACHES = """
SELECT * FROM risk_breaches
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""
OPEN_BREACHES = """
SELECT * FROM risk_breaches
WHERE tenant = $1 AND cleared_at IS NULL AND (account_id, breach_id) > ($2, $3)
ORDER BY account_id, breach_id LIMIT $4
"""
HALTS = """
SELECT * FROM trading_halts
WHERE tenant = $1 AND account_id = $2 AND cause > $3
ORDER BY cause LIMIT $4
"""


class LimitsRow(Row, frozen=True, kw_only=True):
    """What one account is held to, by whom and why."""

    tenant: str
    account_id: str
    order_notional_max: Money
    gross_exposure_max: Money
    orders_per_minute_max: int
    reason: str
    set_by: str
    set_at: Micros


class BreachRow(Row, frozen=True, kw_only=True):
    """One time that a measure was above its limit; open until `cleared_at`."""

    tenant: str
    account_id: str
    breach_id: BreachId
    opened_version: int
    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int
    opened_at: Micros
    cleared_at: Micros | None = None
    cleared_observed: int | None = None


class HaltRow(Row, frozen=True, kw_only=True):
    """The last halt of one account for one cause; it holds until `resumed_at`."""

    tenant: str
    account_id: str
    cause: str
    reason: str
    halted_at: Micros
    resumed_at: Micros | None = None


def limits_of(recorded: Recorded[RiskEvent | OrderEvent]) -> Iterable[Key]:
    """The account whose limits were set."""
    return [(recorded.tenant, recorded.stream_id)] if isinstance(recorded.event, e.LimitsSet) else []


def fold_limits(row: LimitsRow | None, recorded: Recorded[RiskEvent | OrderEvent]) -> LimitsRow | None:
    """The account's limits after this event."""
    event = recorded.event
    if not isinstance(event, e.LimitsSet):
        return row
    return LimitsRow(
        tenant=recorded.tenant,
        account_id=recorded.stream_id,
        order_notional_max=event.order_notional_max,
        gross_exposure_max=event.gross_exposure_max,
        orders_per_minute_max=event.orders_per_minute_max,
        reason=event.reason,
        set_by=recorded.actor,
        set_at=recorded.at,
    )


def breach_of(recorded: Recorded[RiskEvent | OrderEvent]) -> Iterable[Key]:
    """The breach that was opened or cleared."""
    event = recorded.event
    if isinstance(event, e.LimitBreached | e.BreachCleared):
        return [(recorded.tenant, recorded.stream_id, event.breach_id)]
    return []


def fold_breach(row: BreachRow | None, recorded: Recorded[RiskEvent | OrderEvent]) -> BreachRow | None:
    """The breach after this event."""
    match recorded.event:
        case e.LimitBreached() as event:
            return BreachRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                breach_id=event.breach_id,
                opened_version=recorded.version,
                measure=event.measure,
                observed=event.observed,
                allowed=event.allowed,
                mark_sequence=event.mark_sequence,
                book_version=event.book_version,
                opened_at=recorded.at,
            )
        case e.BreachCleared() as event:
            return row and msgspec.structs.replace(row, cleared_at=recorded.at, cleared_observed=event.observed)
        case _:
            return row


def halt_of(recorded: Recorded[RiskEvent | OrderEvent]) -> Iterable[Key]:
    """The cause that halts or no longer does."""
    event = recorded.event
    if isinstance(event, TradingHalted | TradingResumed):
        return [(recorded.tenant, recorded.stream_id, event.cause)]
    return []


def fold_halt(row: HaltRow | None, recorded: Recorded[RiskEvent | OrderEvent]) -> HaltRow | None:
    """The halt after this event."""
    match recorded.event:
        case TradingHalted() as event:
            return HaltRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                cause=event.cause,
                reason=event.reason,
                halted_at=recorded.at,
            )
        case TradingResumed():
            return row and msgspec.structs.replace(row, resumed_at=recorded.at)
        case _:
            return row


async def limits(db: Database, *, tenant: str, account_id: str) -> LimitsRow | None:
    """The account's limits, or None when none were ever set."""
    return await db.row(LimitsRow, LIMITS, tenant, account_id)


async def breaches(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[BreachRow]:
    """The account's breaches, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(BreachRow, BREACHES, tenant, account_id, before, limit)


async def open_breaches(db: Database, *, tenant: str, limit: int, after: tuple[str, str] = ("", "")) -> list[BreachRow]:
    """What is open in the whole tenant, for its risk desk; `after` is account and breach of the page's last row."""
    return await db.rows(BreachRow, OPEN_BREACHES, tenant, *after, limit)


async def halts(db: Database, *, tenant: str, account_id: str, limit: int, after: str = "") -> list[HaltRow]:
    """The account's halts by cause, those that hold and those that did; `after` is the page's last cause."""
    return await db.rows(HaltRow, HALTS, tenant, account_id, after, limit)


board = ReadModel(
    name="risk_board",
    version=1,
    ddl=DDL,
    events=("risk.events", "orders.events"),
    tables=(
        Folded(name="risk_limits", row=LimitsRow, key=("tenant", "account_id"), keys_of=limits_of, fold=fold_limits),
        Folded(
            name="risk_breaches",
            row=BreachRow,
            key=("tenant", "account_id", "breach_id"),
            keys_of=breach_of,
            fold=fold_breach,
        ),
        Folded(
            name="trading_halts",
            row=HaltRow,
            key=("tenant", "account_id", "cause"),
            keys_of=halt_of,
            fold=fold_halt,
        ),
    ),
)
"""What risk allows, what went beyond it, and what is halted."""
