"""billing.events -> every fill that was charged, by which list, and the invoice that it is on."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from domain.billing import events as e
from domain.billing.events import BillingEvent
from domain.kernel.ids import ExecutionId, Micros, OrderId, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Price, Quantity
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE billing_accruals (
    tenant text NOT NULL,
    account_id text NOT NULL,
    fill_event_id text NOT NULL,
    fill_sequence bigint NOT NULL,
    order_id text NOT NULL,
    execution_id text NOT NULL,
    symbol text NOT NULL,
    session_date text NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    list_version bigint NOT NULL,
    commission bigint NOT NULL,
    invoice_id text,
    accrued_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, fill_event_id)
) WITH (fillfactor = 80);
CREATE INDEX ON billing_accruals (tenant, account_id, fill_sequence);
"""
ACCRUALS = """
SELECT * FROM billing_accruals WHERE tenant = $1 AND account_id = $2 AND ($3::bigint IS NULL OR fill_sequence < $3)
ORDER BY fill_sequence DESC LIMIT $4
"""


class AccrualRow(Row, frozen=True, kw_only=True):
    """A fill that was charged; `invoice_id` is there when it is on an invoice."""

    tenant: str
    account_id: str
    fill_event_id: str
    fill_sequence: int
    order_id: OrderId
    execution_id: ExecutionId
    symbol: Symbol
    session_date: str
    quantity: Quantity
    price: Price
    list_version: int
    commission: Money
    invoice_id: str | None = None
    accrued_at: Micros


Part: TypeAlias = tuple[Recorded[BillingEvent], str]
"""An event and a fill that it speaks of."""


def fills_of(recorded: Recorded[BillingEvent]) -> Iterator[Part]:
    """An invoice tells something new of each fill that it counts."""
    match recorded.event:
        case e.CommissionAccrued() as event:
            yield recorded, event.fill.event_id
        case e.InvoiceIssued() as event:
            for line in event.lines:
                yield recorded, line.fill.event_id


def accrual_of(part: Part) -> Iterable[Key]:
    """The fill."""
    recorded, fill_event_id = part
    return [(recorded.tenant, recorded.stream_id, fill_event_id)]


def fold_accrual(row: AccrualRow | None, part: Part) -> AccrualRow | None:
    """The fill's row after this event."""
    recorded, _ = part
    match recorded.event:
        case e.CommissionAccrued() as event:
            fill = event.fill
            return AccrualRow(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                fill_event_id=fill.event_id,
                fill_sequence=fill.sequence,
                order_id=fill.order_id,
                execution_id=fill.execution_id,
                symbol=fill.symbol,
                session_date=fill.session_date,
                quantity=fill.quantity,
                price=fill.price,
                list_version=event.list_version,
                commission=event.commission,
                accrued_at=recorded.at,
            )
        case e.InvoiceIssued() as event:
            return row and msgspec.structs.replace(row, invoice_id=event.invoice_id)
        case _:
            return row


async def accruals(
    db: Database, *, tenant: str, account_id: str, limit: int, before: int | None = None
) -> list[AccrualRow]:
    """Charged fills, newest first; `before` is the `fill_sequence` of the page's last row."""
    return await db.rows(AccrualRow, ACCRUALS, tenant, account_id, before, limit)


charged_fills = ReadModel(
    name="billing_accruals",
    version=1,
    ddl=DDL,
    events=("billing.events",),
    tables=(
        Folded(
            name="billing_accruals",
            row=AccrualRow,
            key=("tenant", "account_id", "fill_event_id"),
            keys_of=accrual_of,
            fold=fold_accrual,
            split=fills_of,
        ),
    ),
)
"""What each fill costs."""
