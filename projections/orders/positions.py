"""orders.events -> positions: what each account holds of each symbol, what it cost, what its sales earned.

Cost is average cost, in minor units and exact: a sale takes its share of the cost, rounded once, and the rest stays. So
the cash that trading moved is always realized - cost, to the cent. Unrealized profit is not stored; a query prices it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Price, Quantity, notional
from domain.orders.commands import Side
from domain.orders.events import OrderEvent, OrderFilled
from infra.postgres import Database
from projections.read_model import Folded, Key, ReadModel, Row

DDL = """
CREATE TABLE positions (
    tenant text NOT NULL,
    account_id text NOT NULL,
    symbol text NOT NULL,
    quantity bigint NOT NULL,
    cost bigint NOT NULL,
    realized bigint NOT NULL,
    bought bigint NOT NULL,
    sold bigint NOT NULL,
    version bigint NOT NULL,
    changed_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, symbol)
) WITH (fillfactor = 80);
"""
BY_ACCOUNT = """
SELECT * FROM positions
WHERE tenant = $1 AND account_id = $2 AND symbol > $3
ORDER BY symbol LIMIT $4
"""
BY_SYMBOL = "SELECT * FROM positions WHERE tenant = $1 AND account_id = $2 AND symbol = $3"


class PositionRow(Row, frozen=True, kw_only=True):
    """One account's holding of one symbol.

    `cost` is what the shares held now have cost; it is negative, like `quantity`, when more was sold than there was.
    `bought` and `sold` are all quantities ever. A position that is closed stays, for its realized profit.
    """

    tenant: str
    account_id: str
    symbol: Symbol
    quantity: Quantity = Quantity(0)
    cost: Money = Money(0)
    realized: Money = Money(0)
    bought: Quantity = Quantity(0)
    sold: Quantity = Quantity(0)
    version: int = 0
    changed_at: Micros = Micros(0)

    def value(self, price: Price) -> Money:
        """What the shares are worth at this price."""
        return notional(self.quantity, price)

    def unrealized(self, price: Price) -> Money:
        """What selling everything at this price would earn."""
        return Money(self.value(price) - self.cost)


def keys_of(recorded: Recorded[OrderEvent]) -> Iterable[Key]:
    """The holding that a fill changes."""
    event = recorded.event
    return [(recorded.tenant, recorded.stream_id, event.symbol)] if isinstance(event, OrderFilled) else []


def fold(row: PositionRow | None, recorded: Recorded[OrderEvent]) -> PositionRow | None:
    """The holding after this event."""
    event = recorded.event
    if not isinstance(event, OrderFilled):
        return row
    row = row or PositionRow(tenant=recorded.tenant, account_id=recorded.stream_id, symbol=event.symbol)
    is_purchase = event.side is Side.BUY
    sign = 1 if is_purchase else -1
    traded = _traded(row, sign * event.quantity, sign * event.amount)
    return msgspec.structs.replace(
        traded,
        bought=Quantity(row.bought + (event.quantity if is_purchase else 0)),
        sold=Quantity(row.sold + (0 if is_purchase else event.quantity)),
        version=recorded.version,
        changed_at=recorded.at,
    )


def _traded(row: PositionRow, quantity: int, amount: int) -> PositionRow:
    """Signed quantity and amount of a trade: what closes shares earns or loses, what opens shares adds to the cost."""
    if row.quantity * quantity >= 0:
        return msgspec.structs.replace(row, quantity=Quantity(row.quantity + quantity), cost=Money(row.cost + amount))
    closed = min(abs(quantity), abs(row.quantity))
    amount_closed = _share(amount, closed, abs(quantity))
    cost_closed = _share(row.cost, closed, abs(row.quantity))
    return msgspec.structs.replace(
        row,
        quantity=Quantity(row.quantity + quantity),
        cost=Money(row.cost - cost_closed + amount - amount_closed),
        realized=Money(row.realized - amount_closed - cost_closed),
    )


def _share(amount: int, parts: int, whole: int) -> int:
    """amount x parts / whole in integers of any length, half to even."""
    quotient, rest = divmod(amount * parts, whole)
    twice = 2 * rest
    return quotient + (twice > whole or (twice == whole and quotient % 2 == 1))


async def by_account(db: Database, *, tenant: str, account_id: str, limit: int, after: str = "") -> list[PositionRow]:
    """The account's holdings by symbol; `after` is the last symbol of the page before."""
    return await db.rows(PositionRow, BY_ACCOUNT, tenant, account_id, after, limit)


async def by_symbol(db: Database, *, tenant: str, account_id: str, symbol: str) -> PositionRow | None:
    """One holding."""
    return await db.row(PositionRow, BY_SYMBOL, tenant, account_id, symbol)


def unrealized(rows: Iterable[PositionRow], prices: Mapping[Symbol, Price]) -> dict[Symbol, Money]:
    """What each holding would earn at these prices; a symbol without a price is left out, never guessed."""
    return {row.symbol: row.unrealized(prices[row.symbol]) for row in rows if row.symbol in prices}


positions = ReadModel(
    name="positions",
    version=1,
    ddl=DDL,
    events=("orders.events",),
    tables=(
        Folded(name="positions", row=PositionRow, key=("tenant", "account_id", "symbol"), keys_of=keys_of, fold=fold),
    ),
)
"""Holdings with their cost."""
