"""Executions: partial, beyond the order, late, repeated, early, absurd."""

import msgspec
import pytest

from domain.kernel.money import AMOUNT_MAX, Money, Price, Quantity
from domain.orders.commands import Side
from domain.orders.decide import orders
from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    accepted,
    cancelled,
    dollars,
    filled,
    placed,
    record_acceptance,
    record_fill,
    record_rejection,
    refused,
    rejected,
    replace_requested,
    replaced,
    shares,
)
from tests.kit.stories import Story

HELD = filled(100, order_id="oak", execution="x-0", amount=10_000, unfilled=0, released=0)


def test_move_cash_and_shares_and_free_the_part_of_the_reservation() -> None:
    after = book.given(placed()).when(record_fill(30)).then(filled(30, amount=3_000, unfilled=70, released=3_000))
    assert after.cash == dollars(97_000)
    assert after.reserved == dollars(7_000)
    assert dict(after.holdings) == {"AAPL": shares(30)}


def test_below_the_limit_free_what_they_did_not_cost() -> None:
    after = (
        book.given(placed())
        .when(record_fill(30, price=90))
        .then(filled(30, price=90, amount=2_700, unfilled=70, released=3_000))
    )
    assert after.free_cash == dollars(90_300)


def test_of_the_last_share_close_the_order() -> None:
    after = (
        book.given(placed(), filled(30))
        .when(record_fill(70, execution="x-2"))
        .then(filled(70, execution="x-2", amount=7_000, unfilled=0, released=7_000))
    )
    assert (after.reserved, len(after.working), set(after.closed)) == (0, 0, {"walnut"})


def test_of_a_sale_bring_cash_and_take_shares() -> None:
    after = (
        book.given(HELD, placed(side=Side.SELL))
        .when(record_fill(100, side=Side.SELL))
        .then(filled(100, side=Side.SELL, amount=10_000, unfilled=0, released=0))
    )
    assert after.cash == dollars(100_000)
    assert len(after.holdings) == 0


def test_may_come_before_the_acceptance() -> None:
    book.given(placed(), filled(30)).when(record_acceptance()).then(accepted())


def test_beyond_the_order_are_kept_and_close_it() -> None:
    after = book.given(placed()).when(record_fill(130)).then(filled(130, amount=13_000, unfilled=0, released=10_000))
    assert dict(after.holdings) == {"AAPL": shares(130)}
    assert after.free_cash == dollars(87_000)


def test_a_late_fill_after_a_cancel_is_kept() -> None:
    after = book.given(placed(), cancelled()).when(record_fill(30)).then(filled(30, unfilled=0, released=0, late=True))
    assert dict(after.holdings) == {"AAPL": shares(30)}
    assert after.cash == dollars(97_000)


def test_of_an_order_we_never_placed_are_kept_as_late() -> None:
    after = (
        book.given()
        .when(record_fill(30, order_id="stranger"))
        .then(filled(30, order_id="stranger", unfilled=0, released=0, late=True))
    )
    assert "stranger" in after.closed


def test_of_a_book_that_was_never_opened_are_kept() -> None:
    after = Story(orders).given().when(record_fill(30)).then(filled(30, unfilled=0, released=0, late=True))
    assert after.cash == -dollars(3_000)


def test_count_once_however_often_the_venue_repeats_them() -> None:
    book.given(placed(), filled(30)).when(record_fill(30)).then(refused(Refusal.DUPLICATE_EXECUTION))


def test_count_once_even_after_the_order_is_closed() -> None:
    book.given(placed(), filled(30), cancelled(unfilled=70, released=7_000)).when(record_fill(30)).then(
        refused(Refusal.DUPLICATE_EXECUTION)
    )


def test_above_the_reservation_are_paid_from_free_cash() -> None:
    after = (
        book.given(placed(limit=None, reserved=10_500))
        .when(record_fill(100, price=110))
        .then(filled(100, price=110, amount=11_000, unfilled=0, released=10_500))
    )
    assert after.free_cash == dollars(89_000)


def test_of_a_market_order_free_their_share_of_the_reservation() -> None:
    after = (
        book.given(placed(limit=None, reserved=10_500))
        .when(record_fill(30))
        .then(filled(30, unfilled=70, released=3_150))
    )
    assert after.reserved == dollars(7_350)


def test_in_fractions_of_a_share_never_reserve_less_than_nothing() -> None:
    story = placed(quantity=1, limit=None, reserved="0.01")
    after = (
        book.given(story)
        .when(record_fill("0.00000001", price="0.01"))
        .then(filled("0.00000001", price="0.01", amount=0, unfilled="0.99999999", released=0))
    )
    assert after.reserved == dollars("0.01")


@pytest.mark.parametrize("quantity", [0, -1])
def test_of_no_shares_are_refused(quantity: int) -> None:
    nothing = msgspec.structs.replace(record_fill(), quantity=Quantity(quantity))
    book.given(placed()).when(nothing).then(refused(Refusal.QUANTITY))


@pytest.mark.parametrize("price", [0, -1])
def test_at_no_price_are_refused(price: int) -> None:
    given_away = msgspec.structs.replace(record_fill(), price=Price(price))
    book.given(placed()).when(given_away).then(refused(Refusal.AMOUNT))


@pytest.mark.parametrize(
    ("quantity", "price"), [(AMOUNT_MAX, AMOUNT_MAX), (AMOUNT_MAX + 1, 1), (1, AMOUNT_MAX * 2**64)]
)
def test_that_no_record_could_hold_do_not_stop_the_partition(quantity: int, price: int) -> None:
    absurd = msgspec.structs.replace(record_fill(), quantity=Quantity(quantity), price=Price(price))
    book.given(placed()).when(absurd).then(refused(Refusal.AMOUNT))


def test_acceptance_is_recorded_once() -> None:
    book.given(placed()).when(record_acceptance()).then(accepted())
    book.given(placed(), accepted()).when(record_acceptance()).then(refused(Refusal.ALREADY_ACCEPTED))
    book.given(placed(), cancelled()).when(record_acceptance()).then(refused(Refusal.ALREADY_CLOSED))
    book.given().when(record_acceptance()).then(refused(Refusal.UNKNOWN_ORDER))


def test_rejection_frees_the_reservation() -> None:
    after = book.given(placed()).when(record_rejection()).then(rejected(released=10_000))
    assert after.free_cash == dollars(100_000)


@pytest.mark.parametrize("known", [(accepted(),), (filled(30),), (replace_requested(), replaced())])
def test_an_order_that_the_venue_took_is_not_rejected_afterwards(known: tuple[object, ...]) -> None:
    book.given(placed(), *known).when(record_rejection()).then(refused(Refusal.ALREADY_ACCEPTED))  # type: ignore[arg-type]  # any events


@pytest.mark.parametrize("actor", ["sub:ann", "saga:test", "agent:test", ""])
def test_are_taken_from_an_effect_only(actor: str) -> None:
    book.given(placed()).when(record_acceptance(actor=actor)).then(refused(Refusal.FORBIDDEN_ACTOR))


def test_cost_at_most_one_cent_of_rounding_more_than_they_free() -> None:
    """Cash is whole cents: half a cent of each fill is rounded, while the rest is reserved rounded up."""
    after = (
        book.given(placed(quantity=1, limit=1, reserved=1, seen=None))
        .when(record_fill("0.015", price=1))
        .then(filled("0.015", price=1, amount="0.02", unfilled="0.985", released="0.01"))
    )
    assert after.free_cash == dollars(99_999) - Money(1)
