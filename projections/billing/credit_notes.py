"""billing.events -> the notes that correct invoices, and the fills that cost something else."""

from collections.abc import Iterator

from domain.billing import events as e
from domain.kernel.ids import Micros
from domain.kernel.money import Money
from infra.postgres import Database
from projections.read_model import Appended, OnTape, ReadModel, Row

DDL = """
CREATE TABLE billing_credit_lines (
    tenant text NOT NULL,
    account_id text NOT NULL,
    credit_note_id text NOT NULL,
    number integer NOT NULL,
    fill_event_id text NOT NULL,
    fill_sequence bigint NOT NULL,
    billed bigint NOT NULL,
    corrected bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence, number)
);
CREATE INDEX ON billing_credit_lines (tenant, account_id, credit_note_id, number);
CREATE TABLE billing_credit_notes (
    tenant text NOT NULL,
    account_id text NOT NULL,
    credit_note_id text NOT NULL,
    opened_version bigint NOT NULL,
    invoice_id text NOT NULL,
    month text NOT NULL,
    list_version bigint NOT NULL,
    fills integer NOT NULL,
    total bigint NOT NULL,
    lines_total bigint NOT NULL,
    invoice_total bigint NOT NULL,
    issued_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence),
    CONSTRAINT note_lines_add_up CHECK (lines_total = total)
);
CREATE INDEX ON billing_credit_notes (tenant, account_id, opened_version);
"""
CREDIT_NOTES = """
SELECT * FROM billing_credit_notes WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""
CREDIT_NOTE = "SELECT * FROM billing_credit_notes WHERE tenant = $1 AND account_id = $2 AND credit_note_id = $3"
CREDIT_LINES = """
SELECT * FROM billing_credit_lines
WHERE tenant = $1 AND account_id = $2 AND credit_note_id = $3 AND number > $4 ORDER BY number LIMIT $5
"""


class CreditNoteRow(Row, frozen=True, kw_only=True):
    """A correction of an invoice."""

    tenant: str
    account_id: str
    credit_note_id: str
    opened_version: int
    invoice_id: str
    month: str
    list_version: int
    fills: int
    total: Money
    lines_total: Money
    invoice_total: Money
    issued_at: Micros


class CreditLineRow(Row, frozen=True, kw_only=True):
    """One fill that costs something else."""

    tenant: str
    account_id: str
    credit_note_id: str
    number: int
    fill_event_id: str
    fill_sequence: int
    billed: Money
    corrected: Money


def credit_notes_of(record: OnTape) -> Iterator[CreditNoteRow]:
    """A credit note."""
    recorded = record.message
    if isinstance(recorded.event, e.CreditNoteIssued):
        note = recorded.event
        yield CreditNoteRow(
            tenant=recorded.tenant,
            account_id=recorded.stream_id,
            credit_note_id=note.credit_note_id,
            opened_version=recorded.version,
            invoice_id=note.invoice_id,
            month=note.month,
            list_version=note.list_version,
            fills=len(note.lines),
            total=note.total,
            lines_total=Money(sum(line.corrected - line.billed for line in note.lines)),
            invoice_total=note.invoice_total,
            issued_at=recorded.at,
        )


def credit_lines_of(record: OnTape) -> Iterator[CreditLineRow]:
    """A row for each line of a credit note."""
    recorded = record.message
    if isinstance(recorded.event, e.CreditNoteIssued):
        for number, line in enumerate(recorded.event.lines):
            yield CreditLineRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                credit_note_id=recorded.event.credit_note_id,
                number=number,
                fill_event_id=line.fill_event_id,
                fill_sequence=line.fill_sequence,
                billed=line.billed,
                corrected=line.corrected,
            )


async def credit_notes(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[CreditNoteRow]:
    """The account's credit notes, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(CreditNoteRow, CREDIT_NOTES, tenant, account_id, before, limit)


async def credit_note(db: Database, *, tenant: str, account_id: str, credit_note_id: str) -> CreditNoteRow | None:
    """One credit note."""
    return await db.row(CreditNoteRow, CREDIT_NOTE, tenant, account_id, credit_note_id)


async def credit_lines(db: Database, *, of: CreditNoteRow, limit: int, after: int = -1) -> list[CreditLineRow]:
    """A credit note's lines; `after` is the `number` of the page's last row."""
    return await db.rows(CreditLineRow, CREDIT_LINES, of.tenant, of.account_id, of.credit_note_id, after, limit)


notes_issued = ReadModel(
    name="credit_notes",
    version=1,
    ddl=DDL,
    events=("billing.events",),
    tables=(
        Appended(name="billing_credit_notes", row=CreditNoteRow, rows_of=credit_notes_of),
        Appended(name="billing_credit_lines", row=CreditLineRow, rows_of=credit_lines_of),
    ),
)
"""What was put right after it was invoiced."""
