"""Cancel order: the venue is asked, and its word is awaited."""

from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    cancel,
    cancel_rejected,
    cancel_requested,
    cancelled,
    dollars,
    filled,
    halted,
    placed,
    record_cancel,
    record_cancel_rejection,
    record_fill,
    record_replace,
    refused,
    replace_rejected,
    replace_requested,
    replaced,
)


def test_asks_the_venue() -> None:
    after = book.given(placed()).when(cancel()).then(cancel_requested())
    assert after.reserved == dollars(10_000), "until the venue has answered, its cash stays reserved"


def test_asks_for_what_is_left_of_a_partly_filled_order() -> None:
    book.given(placed(), filled(30)).when(cancel()).then(cancel_requested())


def test_refuses_an_unknown_order() -> None:
    book.given().when(cancel()).then(refused(Refusal.UNKNOWN_ORDER))


def test_refuses_a_closed_order() -> None:
    book.given(placed(), cancelled()).when(cancel()).then(refused(Refusal.ALREADY_CLOSED))


def test_refuses_while_the_venue_has_not_answered_the_first() -> None:
    book.given(placed(), cancel_requested()).when(cancel()).then(refused(Refusal.CANCEL_PENDING))


def test_may_be_asked_again_after_a_rejection() -> None:
    book.given(placed(), cancel_requested(), cancel_rejected()).when(cancel()).then(cancel_requested())


def test_is_allowed_in_a_halt() -> None:
    book.given(placed(), halted(working=("walnut",))).when(cancel()).then(cancel_requested())


def test_is_over_when_the_venue_says_so() -> None:
    after = (
        book.given(placed(), filled(30), cancel_requested())
        .when(record_cancel())
        .then(cancelled(unfilled=70, released=7_000))
    )
    assert (after.reserved, after.cash) == (0, dollars(97_000))


def test_loses_against_a_fill_that_came_first() -> None:
    book.given(placed(), cancel_requested()).when(record_fill(100)).then(
        filled(100, amount=10_000, unfilled=0, released=10_000)
    )


def test_leaves_the_order_working_when_the_venue_rejects_it() -> None:
    after = book.given(placed(), cancel_requested()).when(record_cancel_rejection()).then(cancel_rejected())
    assert not after.working[placed().order_id].cancelling


def test_rejection_that_nobody_waits_for_is_refused() -> None:
    book.given(placed()).when(record_cancel_rejection()).then(refused(Refusal.NOT_PENDING))


def test_order_that_the_venue_takes_back_by_itself_is_cancelled() -> None:
    book.given(placed()).when(record_cancel()).then(cancelled())


def test_second_word_of_the_venue_is_refused() -> None:
    book.given(placed(), cancelled()).when(record_cancel()).then(refused(Refusal.ALREADY_CLOSED))
    book.given().when(record_cancel()).then(refused(Refusal.UNKNOWN_ORDER))


def test_names_the_version_that_a_pending_replace_asks_for() -> None:
    book.given(placed(), replace_requested(version=2)).when(cancel()).then(cancel_requested(version=2))


def test_an_order_whose_replace_was_rejected_can_be_cancelled() -> None:
    """The venue never knew version 2; a cancel of it would be rejected for ever."""
    book.given(placed(), replace_requested(version=2), replace_rejected()).when(cancel()).then(
        cancel_requested(version=1)
    )


def test_survives_a_replace_that_the_venue_took_first() -> None:
    story = (placed(), replace_requested(), cancel_requested(version=2))
    after = book.given(*story).when(record_replace(2)).then(replaced())
    assert after.working[placed().order_id].cancelling
    book.given(*story, replaced()).when(record_cancel()).then(cancelled(unfilled=200, released=20_000))
