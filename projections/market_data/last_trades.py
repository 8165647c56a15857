"""market_data.marks -> last_trades: each symbol's last price, with its bid and ask and the mark that told it.

Marks are a feed: every partition holds all of them, one is read, and a mark that is older than the row changes nothing.
Prices are the market's and belong to no tenant.
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Phase
from domain.kernel.money import Price
from domain.market_data.marks import Mark, MarkPrice
from infra.postgres import Database
from projections.read_model import Folded, Key, OneOfAll, ReadModel, Row

DDL = """
CREATE TABLE last_trades (
    symbol text PRIMARY KEY,
    last bigint NOT NULL,
    bid bigint NOT NULL,
    ask bigint NOT NULL,
    phase text NOT NULL,
    session_date text NOT NULL,
    market_time bigint NOT NULL,
    observed_at bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL
) WITH (fillfactor = 50);
"""
BY_SYMBOLS = "SELECT * FROM last_trades WHERE symbol = ANY ($1) ORDER BY symbol"
PAGE = "SELECT * FROM last_trades WHERE symbol > $1 ORDER BY symbol LIMIT $2"


class Told(msgspec.Struct, frozen=True):
    """What one mark told of one symbol."""

    symbol: Symbol
    price: MarkPrice
    mark: Mark


class LastTrade(Row, frozen=True, kw_only=True):
    """One symbol's latest prices; `sequence` is that of the mark."""

    symbol: Symbol
    last: Price
    bid: Price
    ask: Price
    phase: Phase
    session_date: str
    market_time: Micros
    observed_at: Micros


def split(mark: Mark) -> Iterator[Told]:
    """The mark, symbol by symbol."""
    for symbol, price in mark.prices.items():
        yield Told(Symbol(symbol), price, mark)


def keys_of(told: Told) -> Iterable[Key]:
    """The symbol's row."""
    return [(told.symbol,)]


def fold(row: LastTrade | None, told: Told) -> LastTrade | None:
    """The symbol's prices after this mark. A feed that was started again counts its marks anew, so time comes first."""
    mark = told.mark
    if row is not None and (mark.observed_at, mark.sequence) <= (row.observed_at, row.sequence):
        return row
    return LastTrade(
        symbol=told.symbol,
        last=told.price.last,
        bid=told.price.bid,
        ask=told.price.ask,
        phase=mark.phase,
        session_date=mark.session_date,
        market_time=mark.market_time,
        observed_at=mark.observed_at,
        sequence=mark.sequence,
    )


async def by_symbols(db: Database, symbols: Collection[str]) -> dict[Symbol, LastTrade]:
    """The last trades of these symbols; one that no mark has named is missing."""
    return {row.symbol: row for row in await db.rows(LastTrade, BY_SYMBOLS, list(symbols))}


async def page(db: Database, *, limit: int, after: str = "") -> list[LastTrade]:
    """All symbols in order; `after` is the last symbol of the page before."""
    return await db.rows(LastTrade, PAGE, after, limit)


last_trades = ReadModel(
    name="last_trades",
    version=1,
    ddl=DDL,
    feeds=(OneOfAll("market_data.marks", Mark),),
    tables=(Folded(name="last_trades", row=LastTrade, key=("symbol",), keys_of=keys_of, fold=fold, split=split),),
)
"""The market as the marks last told it."""
