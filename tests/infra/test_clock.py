"""The only clock: microseconds of the wall, and instants read from text without a float on the way."""

import time

import pytest

from infra.clock import instant, wall


def test_the_wall_is_in_microseconds() -> None:
    before, now, after = time.time_ns() // 1_000, wall(), time.time_ns() // 1_000
    assert before <= now <= after


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("2012-03-05T09:30:00.250000-05:00", 1_330_957_800_250_000),
        ("2012-06-04T09:30:00-04:00", 1_338_816_600_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_an_instant_is_exact(text: str, micros: int) -> None:
    assert instant(text) == micros


def test_the_same_moment_in_two_zones_is_one_instant() -> None:
    assert instant("2012-06-04T09:30:00-04:00") == instant("2012-06-04T13:30:00Z")


@pytest.mark.parametrize("text", ["2012-06-04T09:30:00", "2012-06-04"])
def test_a_time_without_an_offset_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="has no offset from UTC: write it as 2012-06-04T09:30:00-04:00"):
        instant(text)


def test_words_are_no_instant() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        instant("noon")
