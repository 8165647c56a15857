"""The end of a day: day orders of that session end, and no others."""

from domain.orders.commands import TimeInForce
from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    DAY,
    MONDAY_NOON,
    book_refused,
    cancel_requested,
    day_ended,
    dollars,
    end_day,
    expired,
    filled,
    market,
    placed,
    record_expiry,
    record_fill,
    refused,
)

DAY_ORDER = placed(time_in_force=TimeInForce.DAY)


def test_ends_day_orders_and_frees_their_cash() -> None:
    after = book.given(DAY_ORDER, filled(30)).when(end_day()).then(day_ended(("walnut", 70, 7_000)))
    assert (after.reserved, set(after.closed)) == (0, {"walnut"})


def test_names_all_of_them_in_the_order_of_their_ids() -> None:
    two = (placed("oak", time_in_force=TimeInForce.DAY), placed("elm", time_in_force=TimeInForce.DAY))
    book.given(*two).when(end_day()).then(day_ended(("elm", 100, 10_000), ("oak", 100, 10_000)))


def test_ends_an_order_that_is_being_cancelled() -> None:
    book.given(DAY_ORDER, cancel_requested()).when(end_day()).then(day_ended(("walnut", 100, 10_000)))


def test_leaves_orders_that_are_good_till_cancelled() -> None:
    after = book.given(DAY_ORDER, placed("oak")).when(end_day()).then(day_ended(("walnut", 100, 10_000)))
    assert (set(after.working), after.reserved) == ({"oak"}, dollars(10_000))


def test_that_comes_late_leaves_the_orders_of_the_next_day() -> None:
    tuesday = market(market_time=MONDAY_NOON + DAY)
    next_order = placed("oak", time_in_force=TimeInForce.DAY, seen=tuesday)
    story = book.given(DAY_ORDER, next_order)
    story.when(end_day("2012-03-05")).then(day_ended(("walnut", 100, 10_000)))
    story.when(end_day("2012-03-06")).then(
        day_ended(("oak", 100, 10_000), ("walnut", 100, 10_000), session_date="2012-03-06")
    )


def test_is_refused_when_it_ends_nothing() -> None:
    book.given(placed()).when(end_day()).then(book_refused(Refusal.NOTHING_TO_END, "2012-03-05"))


def test_may_be_said_by_a_saga_too() -> None:
    book.given(DAY_ORDER).when(end_day(actor="saga:test")).then(day_ended(("walnut", 100, 10_000)))


def test_is_not_said_twice_by_the_venue() -> None:
    book.given(DAY_ORDER, day_ended(("walnut", 100, 10_000))).when(record_expiry()).then(
        refused(Refusal.ALREADY_CLOSED)
    )


def test_may_be_said_by_the_venue_first() -> None:
    after = book.given(DAY_ORDER).when(record_expiry()).then(expired())
    assert after.reserved == 0


def test_does_not_lose_a_fill_of_the_last_second() -> None:
    book.given(DAY_ORDER, day_ended(("walnut", 100, 10_000))).when(record_fill(30)).then(
        filled(30, unfilled=0, released=0, late=True)
    )
