"""A played day is the real day, whatever the seed."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import amounts
from simulators.market import bridge, days, quotes, sessions, timeline
from simulators.market.days import Day

YEAR = [
    session for session in days.sessions(("AAPL", "GOOG", "IBM", "MSFT"), date(2012, 1, 1)) if session.date.year == 2012
]
DAYS = [day for session in YEAR for day in session.days]
DAYS += [session.days[0] for session in days.sessions(("FB",), date(2012, 5, 18)) if session.date.year == 2012]

any_day = st.sampled_from(DAYS)
any_seed = st.integers(0, 2**64)


def test_there_are_250_days_of_2012_and_155_of_fb() -> None:
    assert len(DAYS) == 4 * 250 + 155


@pytest.mark.parametrize("steps", [bridge.STEPS_MIN, 97])
def test_every_day_of_2012_keeps_its_four_prices(steps: int) -> None:
    for day in DAYS:
        path = bridge.path(day, seed=1, steps=steps)
        assert len(path) == steps
        _touches(day, path)


@settings(max_examples=300, deadline=None)
@given(any_day, any_seed, st.integers(bridge.STEPS_MIN, 400))
def test_a_path_touches_the_four_prices_and_never_leaves_them(day: Day, seed: int, steps: int) -> None:
    path = bridge.path(day, seed=seed, steps=steps)
    assert len(path) == steps
    _touches(day, path)


@settings(max_examples=50, deadline=None)
@given(any_day, any_seed)
def test_the_same_seed_plays_the_same_day(day: Day, seed: int) -> None:
    assert bridge.path(day, seed=seed, steps=200) == bridge.path(day, seed=seed, steps=200)


def test_another_seed_plays_another_way() -> None:
    assert bridge.path(DAYS[0], seed=1, steps=200) != bridge.path(DAYS[0], seed=2, steps=200)


def test_a_known_path_stays_as_it_is() -> None:
    path = bridge.path(days.sessions(("AAPL",)).pop(0).days[0], seed=1, steps=8)
    assert " ".join(map(amounts.price_text, path)) == "561.50 548.50 567.50 566.20 563.38 567.03 561.13 564.29"


def test_a_day_without_movement_is_a_flat_line() -> None:
    flat = Day("AAPL", date(2012, 6, 4), 5, 5, 5, 5)
    assert set(bridge.path(flat, seed=1, steps=50)) == {5}


def test_too_few_steps_are_refused_with_the_number_needed() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        bridge.path(DAYS[0], seed=1, steps=3)


@settings(max_examples=50, deadline=None)
@given(any_day, any_seed)
def test_a_quote_encloses_its_last_price_and_has_its_own_id(day: Day, seed: int) -> None:
    shown = list(quotes.of_day(day, seed=seed, steps=60))
    assert all(quote.bid <= quote.last <= quote.ask and quote.bid < quote.ask for quote in shown)
    assert all(quote.bid % amounts.CENT == quote.ask % amounts.CENT == 0 for quote in shown)
    assert len({quote.id for quote in shown}) == len(shown)
    assert all(sessions.phase(quote.time) is sessions.Phase.OPEN for quote in shown)
    _touches(day, [quote.last for quote in shown])


def test_market_time_only_moves_forward_and_ids_never_repeat() -> None:
    played = days.sessions(count=2)
    said = list(timeline.moments(played, seed=1, steps=20))
    said += timeline.moments(played, seed=1, steps=20, lap=2)
    ids = [quote.id for moment in said for quote in moment.quotes]
    assert len(set(ids)) == len(ids) == 2 * 2 * 20 * 5
    first_lap = [moment.clock.time for moment in said[: len(said) // 2]]
    assert first_lap == sorted(first_lap)


def _touches(day: Day, path: list[int]) -> None:
    assert (path[0], max(path), min(path), path[-1]) == (day.open, day.high, day.low, day.close), day
