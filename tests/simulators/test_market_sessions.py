"""The hours of the market, and the days it has data for."""

from datetime import UTC, date, datetime

import exchange_calendars
import pytest

from simulators import amounts
from simulators.market import days, sessions
from simulators.market.sessions import EASTERN, Phase


@pytest.mark.parametrize(
    ("clock", "phase"),
    [
        ("09:00:00", Phase.PRE_OPEN),
        ("09:29:59", Phase.PRE_OPEN),
        ("09:30:00", Phase.OPEN),
        ("15:59:59", Phase.OPEN),
        ("16:00:00", Phase.CLOSED),
    ],
)
def test_a_day_has_three_phases(clock: str, phase: Phase) -> None:
    assert sessions.phase(datetime.fromisoformat(f"2012-06-04T{clock}").replace(tzinfo=EASTERN)) is phase


def test_the_bell_rings_in_new_york_summer_and_winter() -> None:
    assert sessions.open_at(date(2012, 6, 4)).astimezone(UTC).hour == 13
    assert sessions.open_at(date(2012, 12, 4)).astimezone(UTC).hour == 14


def test_the_bells_are_those_of_the_exchange_calendar() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="2012-05-18", end="2013-03-01")
    dates = [session.date for session in days.sessions(start=date(2012, 5, 18))]
    assert dates == [session.date() for session in calendar.sessions]
    for day in dates:
        opening, closing = calendar.session_open_close(str(day))
        assert (sessions.open_at(day), sessions.close_at(day)) == (opening, closing), day


def test_a_date_counts_only_with_all_symbols() -> None:
    assert days.sessions(start=date(2012, 5, 1))[0].date == date(2012, 5, 18)
    assert days.sessions(("IBM", "AAPL"), date(2012, 5, 1))[0].date == date(2012, 5, 1)


def test_prices_are_read_to_their_last_digit() -> None:
    first_of_fb = days.sessions(("FB",), date(2012, 5, 18), 1)[0].days[0]
    assert amounts.price_text(first_of_fb.close) == "38.2318"


def test_dates_after_the_data_are_refused() -> None:
    with pytest.raises(days.NoSuchDays, match="end 2013-03-01"):
        days.sessions(start=date(2020, 1, 1))
