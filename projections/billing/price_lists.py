"""billing.events -> the price lists of each tenant: every row of every list that was published."""

from collections.abc import Iterator

from domain.billing.events import PriceListPublished
from domain.kernel.ids import Micros
from domain.kernel.money import BasisPoints, Money, Price
from infra.postgres import Database
from projections.read_model import Appended, OnTape, ReadModel, Row

DDL = """
CREATE TABLE price_rows (
    tenant text NOT NULL,
    list_version bigint NOT NULL,
    number integer NOT NULL,
    begins_on text NOT NULL,
    ends_on text,
    per_share bigint NOT NULL,
    basis_points bigint NOT NULL,
    minimum bigint NOT NULL,
    maximum bigint,
    reason text NOT NULL,
    published_by text NOT NULL,
    published_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, partition, sequence, number)
);
CREATE INDEX ON price_rows (tenant, list_version, number);
"""
LISTS = """
SELECT * FROM price_rows
WHERE tenant = $1 AND list_version IN (
    SELECT list_version FROM price_rows
    WHERE tenant = $1 AND number = 0 AND ($2::bigint IS NULL OR list_version < $2)
    ORDER BY list_version DESC LIMIT $3
)
ORDER BY list_version DESC, number
"""


class PriceRowRow(Row, frozen=True, kw_only=True):
    """One row of a list, and who published the list and why."""

    tenant: str
    list_version: int
    number: int
    begins_on: str
    ends_on: str | None
    per_share: Price
    basis_points: BasisPoints
    minimum: Money
    maximum: Money | None
    reason: str
    published_by: str
    published_at: Micros


def rows_of(record: OnTape) -> Iterator[PriceRowRow]:
    """The rows of a published list."""
    recorded = record.message
    if not isinstance(recorded.event, PriceListPublished):
        return
    for number, row in enumerate(recorded.event.rows):
        yield PriceRowRow(
            tenant=recorded.tenant,
            list_version=recorded.event.list_version,
            number=number,
            begins_on=row.begins_on,
            ends_on=row.ends_on,
            per_share=row.rates.per_share,
            basis_points=row.rates.basis_points,
            minimum=row.rates.minimum,
            maximum=row.rates.maximum,
            reason=recorded.event.reason,
            published_by=recorded.actor,
            published_at=recorded.at,
        )


async def lists(db: Database, *, tenant: str, limit: int, before: int | None = None) -> list[PriceRowRow]:
    """The rows of so many lists, the newest list first; `before` is the `list_version` of the page's last row."""
    return await db.rows(PriceRowRow, LISTS, tenant, before, limit)


price_lists = ReadModel(
    name="price_lists",
    version=1,
    ddl=DDL,
    events=("billing.events",),
    tables=(Appended(name="price_rows", row=PriceRowRow, rows_of=rows_of),),
)
"""What trading costs, as it was published."""
