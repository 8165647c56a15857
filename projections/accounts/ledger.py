"""orders.events, accounts.events -> the ledger: every movement of cash and shares, twice, so that it sums to zero.

A line of the ledger is one leg of a movement, in minor units of the account's currency or in shares of a symbol. Cash
moves between five places: the customer's cash, cash set aside for a withdrawal, the bank outside, the market, and
*clearing*, where cash stands after `accounts` told of it and before the book of `orders` did. Clearing is zero whenever
the sagas are through: what stays there is stuck. Legs carry the sign of the place: plus is what came to it.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeAlias, TypeVar

import msgspec

from domain.accounts import events as a
from domain.accounts.events import AccountEvent
from domain.kernel.ids import Micros, Symbol
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Quantity
from domain.orders import events as o
from domain.orders.commands import Side
from domain.orders.events import OrderEvent
from infra.postgres import Database
from projections.read_model import Appended, Folded, Key, OnTape, ReadModel, Row

DDL = """
CREATE TABLE ledger_lines (
    tenant text NOT NULL,
    account_id text NOT NULL,
    place text NOT NULL,
    symbol text NOT NULL,
    amount bigint NOT NULL,
    cause text NOT NULL,
    reference text NOT NULL,
    recorded_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    leg integer NOT NULL,
    PRIMARY KEY (topic, partition, sequence, leg)
);
CREATE INDEX ON ledger_lines (tenant, account_id, recorded_at, topic, sequence, leg);
CREATE TABLE ledger_balances (
    tenant text NOT NULL,
    account_id text NOT NULL,
    cash bigint NOT NULL,
    reserved bigint NOT NULL,
    clearing bigint NOT NULL,
    bank bigint NOT NULL,
    market bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id),
    CONSTRAINT cash_sums_to_zero CHECK (cash + reserved + clearing + bank + market = 0)
) WITH (fillfactor = 80);
CREATE TABLE ledger_holdings (
    tenant text NOT NULL,
    account_id text NOT NULL,
    symbol text NOT NULL,
    held bigint NOT NULL,
    market bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant, account_id, symbol),
    CONSTRAINT shares_sum_to_zero CHECK (held + market = 0)
) WITH (fillfactor = 80);
"""
LINES = """
SELECT * FROM ledger_lines
WHERE tenant = $1 AND account_id = $2 AND (recorded_at, topic, sequence, leg) > ($3, $4, $5, $6)
ORDER BY recorded_at, topic, sequence, leg LIMIT $7
"""
BALANCE = "SELECT * FROM ledger_balances WHERE tenant = $1 AND account_id = $2"
HOLDINGS = """
SELECT * FROM ledger_holdings
WHERE tenant = $1 AND account_id = $2 AND symbol > $3 ORDER BY symbol LIMIT $4
"""
SUMS = """
SELECT symbol, sum(amount)::bigint AS amount FROM ledger_lines
WHERE tenant = $1 AND account_id = $2 GROUP BY symbol ORDER BY symbol
"""


class Place(StrEnum):
    """Where cash or shares are. Shares are held by the customer (HELD) or stand with the market."""

    CASH = "CASH"
    RESERVED = "RESERVED"
    CLEARING = "CLEARING"
    BANK = "BANK"
    MARKET = "MARKET"
    HELD = "HELD"


CASH_SYMBOL = Symbol("")
"""The symbol of lines in cash."""


class LedgerLine(Row, frozen=True, kw_only=True):
    """One leg. `reference` is the deposit, withdrawal or execution; `symbol` is empty for cash."""

    tenant: str
    account_id: str
    place: Place
    symbol: Symbol
    amount: int
    cause: str
    reference: str
    recorded_at: Micros
    leg: int


class Balances(Row, frozen=True, kw_only=True):
    """One account's cash by place; the five sum to zero. `cash + reserved` is what the book calls its cash."""

    tenant: str
    account_id: str
    cash: Money = Money(0)
    reserved: Money = Money(0)
    clearing: Money = Money(0)
    bank: Money = Money(0)
    market: Money = Money(0)


class Holding(Row, frozen=True, kw_only=True):
    """One account's shares of one symbol, and their counterpart with the market."""

    tenant: str
    account_id: str
    symbol: Symbol
    held: Quantity = Quantity(0)
    market: Quantity = Quantity(0)


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one symbol (cash: the empty one) together."""

    symbol: Symbol
    amount: int


B = TypeVar("B", Balances, Holding)
Moved: TypeAlias = tuple[Place, Place, Symbol, int, str]
"""From, to, of what, how much, under which reference."""


def movements(event: OrderEvent | AccountEvent) -> list[Moved]:
    """What an event moves: each movement is two legs."""
    match event:
        case a.CashDeposited():
            return [(Place.BANK, Place.CLEARING, CASH_SYMBOL, event.amount, event.deposit_id)]
        case o.CashCredited():
            return [(Place.CLEARING, Place.CASH, CASH_SYMBOL, event.amount, event.deposit_id)]
        case o.CashReserved():
            return [(Place.CASH, Place.RESERVED, CASH_SYMBOL, event.amount, event.withdrawal_id)]
        case o.ReservationReleased():
            return [(Place.RESERVED, Place.CASH, CASH_SYMBOL, event.amount, event.withdrawal_id)]
        case o.ReservationSpent():
            return [(Place.RESERVED, Place.CLEARING, CASH_SYMBOL, event.amount, event.withdrawal_id)]
        case a.CashWithdrawn():
            return [(Place.CLEARING, Place.BANK, CASH_SYMBOL, event.amount, event.withdrawal_id)]
        case o.OrderFilled(side=Side.BUY):
            return [
                (Place.CASH, Place.MARKET, CASH_SYMBOL, event.amount, event.execution_id),
                (Place.MARKET, Place.HELD, event.symbol, event.quantity, event.execution_id),
            ]
        case o.OrderFilled():
            return [
                (Place.MARKET, Place.CASH, CASH_SYMBOL, event.amount, event.execution_id),
                (Place.HELD, Place.MARKET, event.symbol, event.quantity, event.execution_id),
            ]
        case _:
            return []  # Orders, limits, halts and refusals move nothing.


def lines_of(record: OnTape) -> Iterator[LedgerLine]:
    """Both legs of each movement."""
    recorded = record.message
    for number, (source, target, symbol, amount, reference) in enumerate(movements(recorded.event)):
        for side, place, signed in ((0, source, -amount), (1, target, amount)):
            yield LedgerLine(
                tenant=recorded.tenant,
                account_id=recorded.stream_id,
                place=place,
                symbol=symbol,
                amount=signed,
                cause=type(recorded.event).__name__,
                reference=reference,
                recorded_at=recorded.recorded_at,
                leg=2 * number + side,
            )


def account_of(recorded: Recorded[OrderEvent | AccountEvent]) -> Iterable[Key]:
    """The account whose cash moves."""
    moves_cash = any(symbol == CASH_SYMBOL for _, _, symbol, _, _ in movements(recorded.event))
    return [(recorded.tenant, recorded.stream_id)] if moves_cash else []


def fold_balances(row: Balances | None, recorded: Recorded[OrderEvent | AccountEvent]) -> Balances | None:
    """The account's cash after this event."""
    row = row or Balances(tenant=recorded.tenant, account_id=recorded.stream_id)
    for source, target, symbol, amount, _ in movements(recorded.event):
        if symbol == CASH_SYMBOL:
            row = _moved(row, source.lower(), target.lower(), amount)
    return row


def holdings_of(recorded: Recorded[OrderEvent | AccountEvent]) -> Iterable[Key]:
    """The shares that move."""
    return [
        (recorded.tenant, recorded.stream_id, symbol)
        for _, _, symbol, _, _ in movements(recorded.event)
        if symbol != CASH_SYMBOL
    ]


def fold_holdings(row: Holding | None, recorded: Recorded[OrderEvent | AccountEvent]) -> Holding | None:
    """The account's shares after this event."""
    for source, target, symbol, amount, _ in movements(recorded.event):
        if symbol != CASH_SYMBOL:
            row = row or Holding(tenant=recorded.tenant, account_id=recorded.stream_id, symbol=symbol)
            row = _moved(row, source.lower(), target.lower(), amount)
    return row


def _moved(row: B, source: str, target: str, amount: int) -> B:
    return msgspec.structs.replace(
        row, **{source: getattr(row, source) - amount, target: getattr(row, target) + amount}
    )


async def balances(db: Database, *, tenant: str, account_id: str) -> Balances:
    """The account's cash by place; an account in which nothing moved yet has zeros."""
    found = await db.row(Balances, BALANCE, tenant, account_id)
    return found or Balances(tenant=tenant, account_id=account_id)


async def holdings(db: Database, *, tenant: str, account_id: str, limit: int, after: str = "") -> list[Holding]:
    """The account's shares by symbol; `after` is the last symbol of the page before."""
    return await db.rows(Holding, HOLDINGS, tenant, account_id, after, limit)


async def lines(
    db: Database, *, tenant: str, account_id: str, limit: int, after: LedgerLine | None = None
) -> list[LedgerLine]:
    """The account's lines, oldest first; `after` is the last line of the page before."""
    start = (-1, "", -1, -1) if after is None else (after.recorded_at, after.topic, after.sequence, after.leg)
    return await db.rows(LedgerLine, LINES, tenant, account_id, *start, limit)


async def sums(db: Database, *, tenant: str, account_id: str) -> list[Sum]:
    """All lines added up, by symbol: each sum is zero, or the ledger is broken."""
    return await db.rows(Sum, SUMS, tenant, account_id)


ledger = ReadModel(
    name="ledger",
    version=1,
    ddl=DDL,
    events=("orders.events", "accounts.events"),
    tables=(
        Appended(name="ledger_lines", row=LedgerLine, rows_of=lines_of),
        Folded(
            name="ledger_balances",
            row=Balances,
            key=("tenant", "account_id"),
            keys_of=account_of,
            fold=fold_balances,
        ),
        Folded(
            name="ledger_holdings",
            row=Holding,
            key=("tenant", "account_id", "symbol"),
            keys_of=holdings_of,
            fold=fold_holdings,
        ),
    ),
)
"""Double entry over the two contexts that move cash."""
