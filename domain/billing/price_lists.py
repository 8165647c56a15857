"""The rules of a price list: dates without gap or overlap, rates that make sense, no priced date given up."""

from collections.abc import Sequence
from itertools import pairwise

from domain.billing.events import Refusal
from domain.billing.rates import COMMISSION_MAX, PriceRow, Rates, day_after, is_date
from domain.kernel.money import AMOUNT_MAX

ROWS_MAX = 100
"""Rows of one list: more than a price list has changes in a lifetime, few enough to travel with a command."""
Fault = tuple[Refusal, str]
"""Why a list is refused, and the date of the row that is wrong."""


def fault_of(rows: Sequence[PriceRow], before: Sequence[PriceRow]) -> Fault | None:
    """The first rule that the rows break, or None; `before` is the list that they take the place of."""
    if not 0 < len(rows) <= ROWS_MAX:
        return Refusal.ROWS, str(len(rows))
    return next(filter(None, map(_row_fault, rows)), None) or _dates_fault(rows) or _cover_fault(rows, before)


def _row_fault(row: PriceRow) -> Fault | None:
    if not (is_date(row.begins_on) and (row.ends_on is None or is_date(row.ends_on))):
        return Refusal.DATE, row.begins_on
    if row.ends_on is not None and row.ends_on < row.begins_on:
        return Refusal.DATE, row.begins_on
    return None if _is_sound(row.rates) else (Refusal.RATES, row.begins_on)


def _is_sound(rates: Rates) -> bool:
    maximum = COMMISSION_MAX if rates.maximum is None else rates.maximum
    parts = (rates.per_share, rates.basis_points)
    return all(0 <= part <= AMOUNT_MAX for part in parts) and 0 <= rates.minimum <= maximum <= COMMISSION_MAX


def _dates_fault(rows: Sequence[PriceRow]) -> Fault | None:
    for earlier, later in pairwise(rows):
        if earlier.ends_on is None or later.begins_on <= earlier.ends_on:
            return Refusal.OVERLAP, later.begins_on
        if later.begins_on != day_after(earlier.ends_on):
            return Refusal.GAP, later.begins_on
    return None


def _cover_fault(rows: Sequence[PriceRow], before: Sequence[PriceRow]) -> Fault | None:
    """Every date that was ever priced stays priced, so that a fill of it can be charged, or charged again."""
    if not before:
        return None
    if rows[0].begins_on > before[0].begins_on:
        return Refusal.SHORTENED, before[0].begins_on
    end, end_before = rows[-1].ends_on, before[-1].ends_on
    if end is not None and (end_before is None or end < end_before):
        return Refusal.SHORTENED, end
    return None
