"""Limits: what one order may be worth."""

from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import dollars, limits_set, place, placed, refused, set_limits


def test_are_copied_into_the_book() -> None:
    after = book.given().when(set_limits(5_000)).then(limits_set(5_000))
    assert after.limits.order_notional_max == dollars(5_000)


def test_that_come_later_win() -> None:
    book.given(limits_set(5_000), limits_set(20_000)).when(place()).then(placed())
    book.given(limits_set(20_000), limits_set(5_000)).when(place()).then(refused(Refusal.LIMIT_NOTIONAL))


def test_of_nothing_stop_every_order() -> None:
    book.given(limits_set(0)).when(place(quantity="0.01")).then(refused(Refusal.LIMIT_NOTIONAL))


def test_leave_working_orders_alone() -> None:
    after = book.given(placed()).when(set_limits(0)).then(limits_set(0))
    assert "walnut" in after.working
