"""A date -> the hours of its market, in New York's time: PRE_OPEN, OPEN, CLOSED."""

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
PRE_OPEN_LASTS = timedelta(minutes=30)
CLOSED_LASTS = timedelta(minutes=45)
"""How much of the evening is played before the next morning: long enough to be seen, too short to bore."""

_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_EARLY_CLOSE = time(13, 0)
_THURSDAY, _FRIDAY = 3, 4


class Phase(StrEnum):
    """The part of a trading day that the market is in."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSED = "CLOSED"


def pre_open_at(day: date) -> datetime:
    """Where the play of a day begins."""
    return open_at(day) - PRE_OPEN_LASTS


def open_at(day: date) -> datetime:
    """The opening bell."""
    return datetime.combine(day, _OPEN, EASTERN)


def close_at(day: date) -> datetime:
    """The closing bell, early on the eves that have one."""
    return datetime.combine(day, _EARLY_CLOSE if closes_early(day) else _CLOSE, EASTERN)


def ends_at(day: date) -> datetime:
    """Where the play of a day ends."""
    return close_at(day) + CLOSED_LASTS


def phase(at: datetime) -> Phase:
    """The phase of the market at this moment of a trading day."""
    local = at.astimezone(EASTERN)
    if local < open_at(local.date()):
        return Phase.PRE_OPEN
    return Phase.OPEN if local < close_at(local.date()) else Phase.CLOSED


def closes_early(day: date) -> bool:
    """The eve of Independence Day, the day after Thanksgiving and Christmas Eve end at one o'clock (so since 2004)."""
    weekday = day.weekday()
    eve_of_a_holiday = (day.month, day.day) in {(7, 3), (12, 24)} and weekday <= _THURSDAY
    # Thanksgiving is the fourth Thursday of November, 22nd to 28th.
    after_thanksgiving = day.month == 11 and weekday == _FRIDAY and 23 <= day.day <= 29  # noqa: PLR2004
    return eve_of_a_holiday or after_thanksgiving
