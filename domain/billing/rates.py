"""A price list's rows -> the commission of a fill: exact integers, rounded once, half to even."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from domain.kernel.money import MINOR_UNITS, SCALE, BasisPoints, Money, Price, Quantity, share_of

PER_UNIT = 10_000
"""Basis points in one whole."""
COMMISSION_MAX = 10**14
"""No fill costs more, in minor units, whatever its rates: all lines of an invoice together must fit a long."""
_SHARES_UNIT = SCALE * SCALE // MINOR_UNITS
"""What quantity x price is divided by to give minor units."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What one fill costs: so much a share and so many basis points of its value, within a minimum and a maximum.

    There is no maximum when it is None.
    """

    per_share: Price
    basis_points: BasisPoints
    minimum: Money
    maximum: Money | None


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of some market dates, both named ones included; without `ends_on` they hold for good."""

    begins_on: str
    ends_on: str | None
    rates: Rates


def commission(rates: Rates, quantity: Quantity, price: Price) -> Money:
    """What this fill costs, in minor units: both parts are added before anything is rounded."""
    whole = SCALE * PER_UNIT
    exact = quantity * rates.per_share * whole + quantity * price * rates.basis_points
    maximum = COMMISSION_MAX if rates.maximum is None else rates.maximum
    return Money(min(max(share_of(exact, 1, _SHARES_UNIT * whole), rates.minimum), maximum))


def rates_on(rows: Sequence[PriceRow], session_date: str) -> Rates | None:
    """The rates of this market date, or None when no row covers it."""
    for row in rows:
        if row.begins_on <= session_date and (row.ends_on is None or session_date <= row.ends_on):
            return row.rates
    return None


def is_date(text: str) -> bool:
    """An ISO date, written in the one form that sorts as text."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def day_after(session_date: str) -> str:
    """The next day of the calendar, whether the market opens on it or not; the last day of all has none after it."""
    day = date.fromisoformat(session_date)
    return session_date if day == date.max else (day + timedelta(days=1)).isoformat()


def month_of(session_date: str) -> str:
    """The month that a market date belongs to, 2012-03."""
    return session_date[:7]
