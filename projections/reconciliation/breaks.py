"""reconciliation.events -> breaks and matched statements: what we and the venue did not agree about, and what agrees.

What a break says of both sides, and the messages it names, are rows of their own: whoever explains it reads them all.
"""

from collections.abc import Iterable, Iterator

import msgspec

from domain.kernel.ids import BreakId, Micros, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Price, Quantity
from domain.reconciliation import events as e
from domain.reconciliation.commands import Kind, Origin
from domain.reconciliation.events import ReconciliationEvent
from infra.postgres import Database
from projections.read_model import Appended, Folded, Key, OnTape, ReadModel, Row

DDL = """
CREATE TABLE reconciliation_breaks (
    tenant text NOT NULL,
    account_id text NOT NULL,
    break_id text NOT NULL,
    opened_version bigint NOT NULL,
    opened_event_id text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    order_id text NOT NULL,
    since bigint NOT NULL,
    market_time bigint NOT NULL,
    opened_at bigint NOT NULL,
    explanation text,
    explained_by text,
    explained_at bigint,
    closed_reason text,
    closed_by text,
    closed_at bigint,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, break_id)
) WITH (fillfactor = 80);
CREATE INDEX ON reconciliation_breaks (tenant, account_id, opened_version DESC);
CREATE INDEX ON reconciliation_breaks (tenant, account_id, break_id) WHERE closed_at IS NULL;
CREATE TABLE reconciliation_differences (
    tenant text NOT NULL,
    account_id text NOT NULL,
    break_id text NOT NULL,
    number integer NOT NULL,
    symbol text NOT NULL,
    ours bigint NOT NULL,
    theirs bigint NOT NULL,
    our_price bigint NOT NULL,
    their_price bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence, number)
);
CREATE INDEX ON reconciliation_differences (tenant, account_id, break_id, number);
CREATE TABLE reconciliation_evidence (
    tenant text NOT NULL,
    account_id text NOT NULL,
    break_id text NOT NULL,
    number integer NOT NULL,
    said_by text NOT NULL,
    origin text NOT NULL,
    evidence_id text NOT NULL,
    evidence_topic text NOT NULL,
    place bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence, number)
);
CREATE INDEX ON reconciliation_evidence (tenant, account_id, break_id, sequence, number);
CREATE TABLE reconciliation_statements (
    tenant text NOT NULL,
    account_id text NOT NULL,
    statement_id text NOT NULL,
    version bigint NOT NULL,
    session_date text NOT NULL,
    executions bigint NOT NULL,
    matched_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence)
);
CREATE INDEX ON reconciliation_statements (tenant, account_id, version DESC);
"""
BY_ID = "SELECT * FROM reconciliation_breaks WHERE tenant = $1 AND account_id = $2 AND break_id = $3"
BY_ACCOUNT = """
SELECT * FROM reconciliation_breaks
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""
OPEN = """
SELECT * FROM reconciliation_breaks
WHERE tenant = $1 AND closed_at IS NULL AND (account_id, break_id) > ($2, $3)
ORDER BY account_id, break_id LIMIT $4
"""
DIFFERENCES = """
SELECT * FROM reconciliation_differences WHERE tenant = $1 AND account_id = $2 AND break_id = $3
ORDER BY number LIMIT $4
"""
EVIDENCE = """
SELECT * FROM reconciliation_evidence WHERE tenant = $1 AND account_id = $2 AND break_id = $3
ORDER BY sequence, number LIMIT $4
"""
STATEMENTS = """
SELECT * FROM reconciliation_statements
WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR version < $3)
ORDER BY version DESC LIMIT $4
"""


class BreakRow(Row, frozen=True, kw_only=True):
    """One break; open until `closed_at`. `explanation` is what was said of it last."""

    tenant: str
    account_id: str
    break_id: BreakId
    opened_version: int
    opened_event_id: str
    kind: Kind
    reference: str
    order_id: str
    since: Micros
    market_time: Micros
    opened_at: Micros
    explanation: str | None = None
    explained_by: str | None = None
    explained_at: Micros | None = None
    closed_reason: str | None = None
    closed_by: str | None = None
    closed_at: Micros | None = None


class DifferenceRow(Row, frozen=True, kw_only=True):
    """One symbol as both sides tell it; a side that says nothing has zeros."""

    tenant: str
    account_id: str
    break_id: BreakId
    number: int
    symbol: Symbol
    ours: Quantity
    theirs: Quantity
    our_price: Price
    their_price: Price


class EvidenceRow(Row, frozen=True, kw_only=True):
    """A message that a break names: `said_by` is the event that named it, `place` its sequence or its offset."""

    tenant: str
    account_id: str
    break_id: BreakId
    number: int
    said_by: str
    origin: Origin
    evidence_id: str
    evidence_topic: str
    place: int


class StatementRow(Row, frozen=True, kw_only=True):
    """One statement of the venue that agreed."""

    tenant: str
    account_id: str
    statement_id: str
    version: int
    session_date: str
    executions: int
    matched_at: Micros


def break_of(recorded: Recorded[ReconciliationEvent]) -> Iterable[Key]:
    """The break that the event is about."""
    event = recorded.event
    if isinstance(event, e.BreakOpened | e.BreakExplained | e.BreakClosed):
        return [(recorded.tenant, recorded.stream_id, event.break_id)]
    return []


def fold_break(row: BreakRow | None, recorded: Recorded[ReconciliationEvent]) -> BreakRow | None:
    """The break after this event."""
    replace = msgspec.structs.replace
    match recorded.event:
        case e.BreakOpened() as event:
            return BreakRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                break_id=event.break_id,
                opened_version=recorded.version,
                opened_event_id=recorded.event_id,
                kind=event.kind,
                reference=event.reference,
                order_id=event.order_id,
                since=event.since,
                market_time=event.market_time,
                opened_at=recorded.at,
            )
        case e.BreakExplained() as event:
            return row and replace(row, explanation=event.reason, explained_by=recorded.actor, explained_at=recorded.at)
        case e.BreakClosed() as event:
            return row and replace(row, closed_reason=event.reason, closed_by=recorded.actor, closed_at=recorded.at)
        case _:
            return row


def differences_of(record: OnTape) -> Iterator[DifferenceRow]:
    """What each side says of a break that opens."""
    recorded = record.message
    if not isinstance(recorded.event, e.BreakOpened):
        return
    for number, difference in enumerate(recorded.event.differences):
        yield DifferenceRow(
            tenant=recorded.tenant,
            account_id=recorded.stream_id,
            break_id=recorded.event.break_id,
            number=number,
            **msgspec.structs.asdict(difference),
        )


def evidence_of(record: OnTape) -> Iterator[EvidenceRow]:
    """The messages that a break names as it opens or closes."""
    recorded = record.message
    if not isinstance(recorded.event, e.BreakOpened | e.BreakClosed):
        return
    for number, evidence in enumerate(recorded.event.evidence):
        yield EvidenceRow(
            tenant=recorded.tenant,
            account_id=recorded.stream_id,
            break_id=recorded.event.break_id,
            number=number,
            said_by=type(recorded.event).__name__,
            origin=evidence.origin,
            evidence_id=evidence.id,
            evidence_topic=evidence.topic,
            place=evidence.place,
        )


def statements_of(record: OnTape) -> Iterator[StatementRow]:
    """A statement that agreed."""
    recorded = record.message
    if isinstance(recorded.event, e.StatementMatched):
        yield StatementRow(
            tenant=recorded.tenant,
            account_id=recorded.stream_id,
            statement_id=recorded.event.statement_id,
            version=recorded.version,
            session_date=recorded.event.session_date,
            executions=recorded.event.executions,
            matched_at=recorded.at,
        )


async def by_id(db: Database, *, tenant: str, account_id: str, break_id: str) -> BreakRow | None:
    """One break, if the account has it."""
    found = await db.rows(BreakRow, BY_ID, tenant, account_id, break_id)
    return found[0] if found else None


async def by_account(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[BreakRow]:
    """The account's breaks, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(BreakRow, BY_ACCOUNT, tenant, account_id, before, limit)


async def open_breaks(db: Database, *, tenant: str, limit: int, after: tuple[str, str] = ("", "")) -> list[BreakRow]:
    """What is open in the whole tenant; `after` is account and break of the page's last row."""
    return await db.rows(BreakRow, OPEN, tenant, *after, limit)


async def differences(db: Database, *, of: BreakRow, limit: int) -> list[DifferenceRow]:
    """What each side says."""
    return await db.rows(DifferenceRow, DIFFERENCES, of.tenant, of.account_id, of.break_id, limit)


async def evidence(db: Database, *, of: BreakRow, limit: int) -> list[EvidenceRow]:
    """The messages of both sides, as the break opened and as it closed."""
    return await db.rows(EvidenceRow, EVIDENCE, of.tenant, of.account_id, of.break_id, limit)


async def statements(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[StatementRow]:
    """The statements that agreed, newest first; `before` is the `version` of the page's last row."""
    return await db.rows(StatementRow, STATEMENTS, tenant, account_id, before, limit)


breaks = ReadModel(
    name="reconciliation_breaks",
    version=1,
    ddl=DDL,
    events=("reconciliation.events",),
    tables=(
        Folded(
            name="reconciliation_breaks",
            row=BreakRow,
            key=("tenant", "account_id", "break_id"),
            keys_of=break_of,
            fold=fold_break,
        ),
        Appended(name="reconciliation_differences", row=DifferenceRow, rows_of=differences_of),
        Appended(name="reconciliation_evidence", row=EvidenceRow, rows_of=evidence_of),
        Appended(name="reconciliation_statements", row=StatementRow, rows_of=statements_of),
    ),
)
"""Where both sides did not agree, and where they do."""
