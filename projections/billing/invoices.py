"""billing.events -> invoices with their notes, down to the fill that each line counts.

The tables hold the sums to account: an invoice whose lines or notes do not add up stops this read model.
"""

from collections.abc import Iterable, Iterator

import msgspec

from domain.billing import events as e
from domain.billing.events import BillingEvent
from domain.kernel.ids import ExecutionId, Micros, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Price, Quantity
from infra.postgres import Database
from projections.read_model import Appended, Folded, Key, OnTape, ReadModel, Row

DDL = """
CREATE TABLE billing_invoices (
    tenant text NOT NULL,
    account_id text NOT NULL,
    invoice_id text NOT NULL,
    opened_version bigint NOT NULL,
    month text NOT NULL,
    fills integer NOT NULL,
    total bigint NOT NULL,
    lines_total bigint NOT NULL,
    corrected bigint NOT NULL,
    owed bigint NOT NULL,
    issued_by text NOT NULL,
    issued_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, invoice_id),
    CONSTRAINT lines_add_up CHECK (lines_total = total),
    CONSTRAINT notes_add_up CHECK (owed = total + corrected)
) WITH (fillfactor = 80);
CREATE INDEX ON billing_invoices (tenant, account_id, opened_version);
CREATE TABLE billing_invoice_lines (
    tenant text NOT NULL,
    account_id text NOT NULL,
    invoice_id text NOT NULL,
    number integer NOT NULL,
    fill_event_id text NOT NULL,
    fill_sequence bigint NOT NULL,
    execution_id text NOT NULL,
    symbol text NOT NULL,
    session_date text NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    list_version bigint NOT NULL,
    commission bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence, number)
);
CREATE INDEX ON billing_invoice_lines (tenant, account_id, invoice_id, number);
"""
INVOICES = """
SELECT * FROM billing_invoices WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR opened_version < $3)
ORDER BY opened_version DESC LIMIT $4
"""
INVOICE = "SELECT * FROM billing_invoices WHERE tenant = $1 AND account_id = $2 AND invoice_id = $3"
INVOICE_LINES = """
SELECT * FROM billing_invoice_lines
WHERE tenant = $1 AND account_id = $2 AND invoice_id = $3 AND number > $4 ORDER BY number LIMIT $5
"""


class InvoiceRow(Row, frozen=True, kw_only=True):
    """An invoice: its total as it was issued, what notes added to it, and what is owed for it."""

    tenant: str
    account_id: str
    invoice_id: str
    opened_version: int
    month: str
    fills: int
    total: Money
    lines_total: Money
    corrected: Money = Money(0)
    owed: Money
    issued_by: str
    issued_at: Micros


class InvoiceLineRow(Row, frozen=True, kw_only=True):
    """One fill on an invoice."""

    tenant: str
    account_id: str
    invoice_id: str
    number: int
    fill_event_id: str
    fill_sequence: int
    execution_id: ExecutionId
    symbol: Symbol
    session_date: str
    quantity: Quantity
    price: Price
    list_version: int
    commission: Money


def invoice_of(recorded: Recorded[BillingEvent]) -> Iterable[Key]:
    """The invoice that an event speaks of."""
    event = recorded.event
    if isinstance(event, e.InvoiceIssued | e.CreditNoteIssued):
        return [(recorded.tenant, recorded.stream_id, event.invoice_id)]
    return []


def fold_invoice(row: InvoiceRow | None, recorded: Recorded[BillingEvent]) -> InvoiceRow | None:
    """The invoice after this event."""
    match recorded.event:
        case e.InvoiceIssued() as event:
            return InvoiceRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                invoice_id=event.invoice_id,
                opened_version=recorded.version,
                month=event.month,
                fills=len(event.lines),
                total=event.total,
                lines_total=Money(sum(line.commission for line in event.lines)),
                owed=event.total,
                issued_by=recorded.actor,
                issued_at=recorded.at,
            )
        case e.CreditNoteIssued() as event if row is not None:
            corrected = Money(row.corrected + event.total)
            return msgspec.structs.replace(row, corrected=corrected, owed=event.invoice_total)
        case _:
            return row


def invoice_lines_of(record: OnTape) -> Iterator[InvoiceLineRow]:
    """A row for each line of an invoice."""
    recorded = record.message
    if isinstance(recorded.event, e.InvoiceIssued):
        for number, line in enumerate(recorded.event.lines):
            yield InvoiceLineRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                invoice_id=recorded.event.invoice_id,
                number=number,
                fill_event_id=line.fill.event_id,
                fill_sequence=line.fill.sequence,
                execution_id=line.fill.execution_id,
                symbol=line.fill.symbol,
                session_date=line.fill.session_date,
                quantity=line.fill.quantity,
                price=line.fill.price,
                list_version=line.list_version,
                commission=line.commission,
            )


async def invoices(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[InvoiceRow]:
    """The account's invoices, newest first; `before` is the `opened_version` of the page's last row."""
    return await db.rows(InvoiceRow, INVOICES, tenant, account_id, before, limit)


async def invoice(db: Database, *, tenant: str, account_id: str, invoice_id: str) -> InvoiceRow | None:
    """One invoice."""
    return await db.row(InvoiceRow, INVOICE, tenant, account_id, invoice_id)


async def invoice_lines(db: Database, *, of: InvoiceRow, limit: int, after: int = -1) -> list[InvoiceLineRow]:
    """An invoice's lines, oldest fill first; `after` is the `number` of the page's last row."""
    return await db.rows(InvoiceLineRow, INVOICE_LINES, of.tenant, of.account_id, of.invoice_id, after, limit)


invoices_issued = ReadModel(
    name="invoices",
    version=1,
    ddl=DDL,
    events=("billing.events",),
    tables=(
        Folded(
            name="billing_invoices",
            row=InvoiceRow,
            key=("tenant", "account_id", "invoice_id"),
            keys_of=invoice_of,
            fold=fold_invoice,
        ),
        Appended(name="billing_invoice_lines", row=InvoiceLineRow, rows_of=invoice_lines_of),
    ),
)
"""What each account owes, and for which fills."""
