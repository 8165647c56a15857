"""Halts: a set of causes, each lifted on its own."""

from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    book_refused,
    cancelled,
    filled,
    halt,
    halted,
    place,
    placed,
    record_cancel,
    record_fill,
    refused,
    resume,
    resumed,
)


def test_list_the_orders_that_still_work() -> None:
    book.given(placed("oak"), placed("elm")).when(halt()).then(halted(working=("elm", "oak")))


def test_of_one_cause_hold_once() -> None:
    book.given(halted("exposure")).when(halt("exposure")).then(book_refused(Refusal.ALREADY_HALTED, "exposure"))


def test_of_two_causes_are_lifted_one_by_one() -> None:
    both = (halted("exposure"), halted("officer"))
    after = book.given(*both).when(resume("exposure")).then(resumed("exposure", remaining=("officer",)))
    assert after.halts == {"officer"}
    book.given(*both, resumed("exposure")).when(place()).then(refused(Refusal.HALTED))
    book.given(*both, resumed("exposure"), resumed("officer")).when(place()).then(placed())


def test_are_lifted_by_their_own_cause_only() -> None:
    book.given(halted("exposure")).when(resume("officer")).then(book_refused(Refusal.NOT_HALTED, "officer"))
    book.given().when(resume("officer")).then(book_refused(Refusal.NOT_HALTED, "officer"))


def test_keep_no_word_of_the_venue_out() -> None:
    book.given(placed(), halted()).when(record_fill(30)).then(filled(30))
    book.given(placed(), halted()).when(record_cancel()).then(cancelled())
