"""Cursors: what goes in comes out, later positions sort later, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways import cursor
from gateways.cursor import CursorUnreadable

TOPICS = st.sampled_from(["orders.events", "accounts.events", "risk.events"])
PLACES = st.dictionaries(st.tuples(TOPICS, st.integers(0, 9)), st.integers(-1, 2**60), max_size=12)


@given(PLACES)
def test_reads_what_it_wrote(places: dict[tuple[str, int], int]) -> None:
    assert cursor.decode(cursor.encode(places)) == places


@given(PLACES.filter(bool), st.data())
def test_sorts_as_the_positions_of_the_same_places(places: dict[tuple[str, int], int], data: st.DataObject) -> None:
    moved = dict(places)
    moved[data.draw(st.sampled_from(sorted(places)))] += data.draw(st.integers(1, 1_000))
    assert cursor.encode(places) < cursor.encode(moved)


@given(st.text(max_size=80))
def test_reads_nothing_else_or_says_so(text: str) -> None:
    try:
        places = cursor.decode(text)
    except CursorUnreadable:
        return
    assert all(sequence >= -1 for sequence in places.values())


@pytest.mark.parametrize("text", ["", "!", "zzzz", "0" * 100_000])
def test_says_that_a_text_is_no_cursor(text: str) -> None:
    with pytest.raises(CursorUnreadable):
        cursor.decode(text)
