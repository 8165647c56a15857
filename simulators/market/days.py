"""bokeh_sampledata's stock prices -> trading days: what was really paid for five shares, day by day, read as text.

The file is read as it lies in the installed package; the package's own readers turn prices into floats, so they stay
unused.
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources

from simulators import amounts

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT", "FB")
FIRST_DAY = date(2012, 6, 4)
"""Two weeks after FB's first day (2012-05-18), so that all five are there and the noise of that day is over."""


@dataclass(frozen=True, slots=True)
class Day:
    """One symbol's day: the four prices that a replay of it must touch."""

    symbol: str
    date: date
    open: int
    high: int
    low: int
    close: int


@dataclass(frozen=True, slots=True)
class Session:
    """One date of the market, with a day for each symbol that was asked for."""

    date: date
    days: tuple[Day, ...]


class NoSuchDays(ValueError):
    """The data cannot give what was asked; the message says what it has."""


def sessions(symbols: Sequence[str] = SYMBOLS, start: date = FIRST_DAY, count: int | None = None) -> list[Session]:
    """The first `count` dates (all without it) from `start` on, on which each of these symbols has a price."""
    by_date: dict[date, dict[str, Day]] = {}
    for day in _read():
        if day.symbol in symbols and day.date >= start:
            by_date.setdefault(day.date, {})[day.symbol] = day
    whole = [
        Session(when, tuple(found[symbol] for symbol in symbols))
        for when, found in sorted(by_date.items())
        if len(found) == len(symbols)
    ]
    if not whole:
        raise NoSuchDays(f"no date from {start} on has all of {', '.join(symbols)}: the data end 2013-03-01")
    return whole[:count]


def _read() -> Iterator[Day]:
    source = resources.files("bokeh_sampledata").joinpath("_data", "stocks.csv.gz")
    with source.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            yield Day(
                row["Ticker"],
                date.fromisoformat(row["Date"]),
                *(amounts.parse(row[column]) for column in ("Open", "High", "Low", "Close")),
            )
