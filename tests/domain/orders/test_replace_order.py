"""Replace order: what is set aside while two sets of terms may both be filled."""

import msgspec
import pytest

from domain.kernel.market import Phase
from domain.kernel.money import Price
from domain.orders.commands import Side
from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    cancel_requested,
    cancelled,
    credited,
    dollars,
    filled,
    halted,
    limits_set,
    market,
    place,
    placed,
    record_fill,
    record_replace,
    record_replace_rejection,
    refused,
    replace,
    replace_rejected,
    replace_requested,
    replaced,
    reserved,
    shares,
)

HELD = filled(300, order_id="oak", amount=30_000, unfilled=0, released=0)


def test_asks_the_venue_and_reserves_the_larger_of_old_and_new() -> None:
    after = book.given(placed()).when(replace(quantity=200)).then(replace_requested(quantity=200, reserved=20_000))
    assert after.reserved == dollars(20_000)


def test_keeps_the_old_reservation_while_fewer_shares_are_asked_for() -> None:
    book.given(placed()).when(replace(quantity=50)).then(replace_requested(quantity=50, reserved=10_000))


def test_reserves_old_shares_at_the_old_price_until_the_venue_has_answered() -> None:
    """The venue may fill all of the old terms at 100 and then take the new ones: 100 x 100 and 100 x 95."""
    after = (
        book.given(placed())
        .when(replace(quantity=200, limit=95))
        .then(replace_requested(quantity=200, limit=95, reserved=19_500))
    )
    assert after.free_cash == dollars(80_500)


def test_counts_what_is_filled_already_as_a_part_of_the_new_quantity() -> None:
    after = book.given(placed(), filled(30)).when(replace(quantity=200)).then(replace_requested(reserved=17_000))
    assert after.working[placed().order_id].unfilled_wanted == shares(170)


def test_refuses_a_quantity_that_is_filled_already() -> None:
    book.given(placed(), filled(30)).when(replace(quantity=30)).then(refused(Refusal.QUANTITY))
    book.given(placed(), filled(30)).when(replace(quantity=31)).then(replace_requested(quantity=31, reserved=7_000))


def test_refuses_a_limit_that_is_not_positive() -> None:
    command = msgspec.structs.replace(replace(), limit_price=Price(0))
    book.given(placed()).when(command).then(refused(Refusal.LIMIT_PRICE))


def test_refuses_unknown_and_closed_orders() -> None:
    book.given().when(replace()).then(refused(Refusal.UNKNOWN_ORDER))
    book.given(placed(), cancelled()).when(replace()).then(refused(Refusal.ALREADY_CLOSED))


def test_refuses_a_market_order() -> None:
    book.given(placed(limit=None)).when(replace()).then(refused(Refusal.NOT_REPLACEABLE))


def test_refuses_while_a_cancel_or_another_replace_is_pending() -> None:
    book.given(placed(), cancel_requested()).when(replace()).then(refused(Refusal.CANCEL_PENDING))
    book.given(placed(), replace_requested()).when(replace()).then(refused(Refusal.REPLACE_PENDING))


def test_refuses_in_a_halt() -> None:
    book.given(placed(), halted()).when(replace()).then(refused(Refusal.HALTED))


def test_refuses_outside_the_session_and_far_from_the_mark() -> None:
    book.given(placed()).when(replace(seen=market(phase=Phase.CLOSED))).then(refused(Refusal.MARKET_CLOSED))
    book.given(placed()).when(replace(limit=111)).then(refused(Refusal.COLLAR))


def test_refuses_a_value_above_the_limit_of_one_order() -> None:
    book.given(placed(), limits_set(19_999)).when(replace(quantity=200)).then(refused(Refusal.LIMIT_NOTIONAL))


def test_refuses_what_free_cash_cannot_pay_for() -> None:
    book.given(placed(), reserved("80000.01")).when(replace(quantity=200)).then(refused(Refusal.BUYING_POWER))
    book.given(placed(), reserved(80_000)).when(replace(quantity=200)).then(replace_requested(reserved=20_000))


def test_refuses_shares_that_are_not_held() -> None:
    sale = placed(side=Side.SELL, quantity=100)
    book.given(HELD, sale).when(replace(quantity=301)).then(refused(Refusal.HOLDINGS))
    book.given(HELD, sale).when(replace(quantity=300)).then(replace_requested(quantity=300, reserved=0))


def test_shares_promised_by_a_pending_replace_are_not_sold_twice() -> None:
    promised = (HELD, placed(side=Side.SELL, quantity=100), replace_requested(quantity=300, reserved=0))
    book.given(*promised).when(place("elm", side=Side.SELL, quantity=1)).then(refused(Refusal.HOLDINGS, "elm"))


def test_an_overdrawn_book_may_still_ask_for_less() -> None:
    late = filled(1000, order_id="oak", amount=100_000, unfilled=0, released=0, late=True)
    book.given(placed(), late).when(replace(quantity=50)).then(replace_requested(quantity=50, reserved=10_000))


def test_an_oversold_book_may_still_ask_for_less() -> None:
    oversold = filled(400, order_id="elm", side=Side.SELL, amount=40_000, unfilled=0, released=0, late=True)
    book.given(HELD, placed(side=Side.SELL), oversold).when(replace(quantity=50)).then(
        replace_requested(quantity=50, reserved=0)
    )


def test_gives_back_what_the_new_terms_do_not_need() -> None:
    after = (
        book.given(placed(), replace_requested(quantity=50, limit=90, reserved=10_000))
        .when(record_replace())
        .then(replaced(quantity=50, limit=90, unfilled=50, released=5_500))
    )
    assert after.reserved == dollars(4_500)


def test_gives_back_what_the_old_terms_do_not_need_when_it_is_rejected() -> None:
    after = book.given(placed(), replace_requested()).when(record_replace_rejection()).then(replace_rejected())
    assert after.reserved == dollars(10_000)


def test_next_version_is_one_that_was_never_asked_for() -> None:
    book.given(placed(), replace_requested(version=2), replace_rejected(version=2)).when(replace()).then(
        replace_requested(version=3, replaces=1)
    )
    book.given(placed(), replace_requested(version=2), replaced(version=2)).when(replace(quantity=300)).then(
        replace_requested(version=3, replaces=2, quantity=300, reserved=30_000)
    )


@pytest.mark.parametrize("version", [1, 3])
def test_answer_to_another_version_is_refused(version: int) -> None:
    story = book.given(placed(), replace_requested(version=2))
    story.when(record_replace(version)).then(refused(Refusal.NOT_PENDING))
    story.when(record_replace_rejection(version)).then(refused(Refusal.NOT_PENDING))


def test_answer_that_nobody_waits_for_is_refused() -> None:
    book.given(placed()).when(record_replace()).then(refused(Refusal.NOT_PENDING))
    book.given(placed(), replace_requested(), replaced()).when(record_replace()).then(refused(Refusal.NOT_PENDING))


def test_a_fill_in_between_counts_for_the_new_terms() -> None:
    story = (placed(), replace_requested(quantity=200))
    book.given(*story).when(record_fill(30)).then(filled(30, unfilled=70, released=3_000))
    book.given(*story, filled(30)).when(record_replace()).then(replaced(unfilled=170, released=0))


def test_a_fill_in_between_at_the_old_price_is_paid_from_the_reservation() -> None:
    """30 of the old terms at 100 leave 70 at 100 and 100 at 95."""
    story = (placed(), replace_requested(quantity=200, limit=95, reserved=19_500))
    after = book.given(*story).when(record_fill(30)).then(filled(30, unfilled=70, released=3_000))
    assert after.free_cash == dollars(80_500)


def test_new_terms_that_are_filled_already_close_the_order() -> None:
    story = (placed(), filled(30), replace_requested(quantity=50, reserved=7_000))
    more = filled(30, execution="x-2", unfilled=40, released=3_000)
    after = book.given(*story, more).when(record_replace()).then(replaced(quantity=50, unfilled=0, released=4_000))
    assert (after.reserved, len(after.working)) == (0, 0)


def test_of_a_sale_reserves_no_cash() -> None:
    story = (HELD, placed(side=Side.SELL), replace_requested(quantity=300, reserved=0))
    book.given(*story).when(record_replace()).then(replaced(quantity=300, unfilled=300, released=0))
    book.given(*story).when(record_replace_rejection()).then(replace_rejected(released=0))


def test_deposit_in_between_pays_for_more() -> None:
    poor = (placed(quantity=900), reserved(10_000))
    book.given(*poor).when(replace(quantity=901)).then(refused(Refusal.BUYING_POWER))
    book.given(*poor, credited(100_100, deposit="gift", amount=100)).when(replace(quantity=901)).then(
        replace_requested(quantity=901, reserved=90_100)
    )
