"""Place order: what is set aside, and every reason to refuse."""

import msgspec
import pytest

from domain.kernel.market import Phase
from domain.kernel.money import Price, Quantity
from domain.orders.commands import PlaceOrder, Side, TimeInForce
from domain.orders.decide import MARK_AGE_MAX_US, WORKING_ORDERS_MAX, orders
from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    NOW,
    approved,
    cancelled,
    credited,
    dollars,
    each,
    expired,
    filled,
    halted,
    limits_set,
    market,
    opened,
    place,
    placed,
    refused,
    rejected,
    reserved,
)
from tests.kit.stories import Story


def test_sets_aside_what_a_limit_purchase_may_cost() -> None:
    after = book.given().when(place(quantity=100, limit=100)).then(placed(reserved=10_000))
    assert after.free_cash == dollars(90_000)


def test_sets_aside_five_percent_above_the_mark_for_a_market_purchase() -> None:
    book.given().when(place(limit=None)).then(placed(limit=None, reserved=10_500))


def test_rounds_what_it_sets_aside_up() -> None:
    book.given().when(place(quantity="0.001", limit="100.01")).then(
        placed(quantity="0.001", limit="100.01", reserved="0.11")
    )


def test_sets_nothing_aside_for_a_sale_of_held_shares() -> None:
    held = filled(100, side=Side.BUY, order_id="oak", unfilled=0, released=0)
    book.given(held).when(place(side=Side.SELL)).then(placed(side=Side.SELL, reserved=0))


def test_keeps_the_market_it_was_decided_on() -> None:
    seen = market(99)
    after = book.given().when(place(seen=seen)).then(placed(seen=seen))
    assert after.working[placed().order_id].session_date == "2012-03-05"


def test_refuses_a_book_that_is_not_open() -> None:
    Story(orders).given().when(place()).then(refused(Refusal.NOT_OPEN))
    Story(orders).given(approved()).when(place()).then(refused(Refusal.NOT_OPEN))


def test_refuses_a_book_whose_owner_passed_no_check() -> None:
    Story(orders).given(opened(), credited()).when(place()).then(refused(Refusal.KYC_PENDING))
    Story(orders).given(opened(), credited(), halted()).when(place()).then(refused(Refusal.KYC_PENDING))


def test_takes_orders_once_both_are_known_in_any_order() -> None:
    Story(orders).given(opened(), approved(), credited()).when(place()).then(placed())
    Story(orders).given(approved(), opened(), credited()).when(place()).then(placed())


def test_refuses_a_halted_book() -> None:
    book.given(halted()).when(place()).then(refused(Refusal.HALTED))


@pytest.mark.parametrize(
    "end",
    [filled(100, unfilled=0, released=10_000), cancelled(), expired(), rejected()],
    ids=lambda e: type(e).__name__,
)
def test_refuses_an_id_that_was_used(end: object) -> None:
    book.given(placed()).when(place()).then(refused(Refusal.DUPLICATE_ORDER))
    book.given(placed(), end).when(place()).then(refused(Refusal.DUPLICATE_ORDER))  # type: ignore[arg-type]  # any end


@pytest.mark.parametrize("quantity", [0, -1])
def test_refuses_a_quantity_that_is_not_positive(quantity: int) -> None:
    command = msgspec.structs.replace(place(), quantity=Quantity(quantity))
    book.given().when(command).then(refused(Refusal.QUANTITY))


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_refuses_a_limit_order_without_a_positive_limit(limit: int | None) -> None:
    command = msgspec.structs.replace(place(), limit_price=None if limit is None else Price(limit))
    book.given().when(command).then(refused(Refusal.LIMIT_PRICE))


@pytest.mark.parametrize("limit", [each(100), 0, -1])
def test_a_market_order_with_a_limit_reserves_no_negative_cash(limit: int) -> None:
    command = msgspec.structs.replace(place(limit=None), limit_price=Price(limit))
    book.given().when(command).then(refused(Refusal.LIMIT_PRICE))


def test_refuses_a_symbol_that_no_mark_has_priced() -> None:
    unpriced = msgspec.structs.replace(market(), price=Price(0))
    book.given().when(place(seen=unpriced)).then(refused(Refusal.UNKNOWN_SYMBOL))


@pytest.mark.parametrize("phase", [Phase.PRE_OPEN, Phase.CLOSED])
def test_refuses_outside_the_session(phase: Phase) -> None:
    book.given().when(place(seen=market(phase=phase))).then(refused(Refusal.MARKET_CLOSED))


def test_refuses_a_mark_older_than_fifteen_seconds() -> None:
    seen = market(observed_at=NOW - MARK_AGE_MAX_US)
    book.given().when(place(seen=seen, at=NOW)).then(placed(seen=seen))
    book.given().when(place(seen=seen, at=NOW + 1)).then(refused(Refusal.STALE_MARK))


@pytest.mark.parametrize("limit", ["89.99", "110.01"])
def test_refuses_a_limit_more_than_ten_percent_from_the_mark(limit: str) -> None:
    book.given().when(place(limit=limit)).then(refused(Refusal.COLLAR))


@pytest.mark.parametrize("limit", ["90", "110"])
def test_takes_a_limit_ten_percent_from_the_mark(limit: str) -> None:
    book.given().when(place(limit=limit)).then(placed(limit=limit))


def test_refuses_a_value_above_the_limit_of_one_order() -> None:
    book.given(limits_set(10_000)).when(place(quantity=100)).then(placed(quantity=100))
    book.given(limits_set("9999.99")).when(place(quantity=100)).then(refused(Refusal.LIMIT_NOTIONAL))


def test_holds_a_market_order_against_the_limit_at_the_mark() -> None:
    book.given(limits_set("9999.99")).when(place(limit=None)).then(refused(Refusal.LIMIT_NOTIONAL))


def test_refuses_one_working_order_more_than_an_account_may_have() -> None:
    many = [placed(f"order-{n}", quantity=1) for n in range(WORKING_ORDERS_MAX - 1)]
    rich = Story(orders, opened(), approved(), credited(200_000), *many)
    rich.given().when(place()).then(placed())
    rich.given(placed("last", quantity=1)).when(place()).then(refused(Refusal.LIMIT_WORKING_ORDERS))


def test_refuses_to_spend_cash_that_another_order_has_reserved() -> None:
    book.given(placed("oak", quantity=901)).when(place()).then(refused(Refusal.BUYING_POWER))
    book.given(placed("oak", quantity=900)).when(place()).then(placed())


def test_refuses_to_spend_cash_that_a_withdrawal_has_reserved() -> None:
    book.given(reserved("90000.01")).when(place()).then(refused(Refusal.BUYING_POWER))


def test_refuses_to_sell_shares_that_are_not_held() -> None:
    book.given().when(place(side=Side.SELL)).then(refused(Refusal.HOLDINGS))


def test_refuses_to_sell_shares_that_another_sale_has_promised() -> None:
    held = filled(100, order_id="oak", unfilled=0, released=0)
    promised = placed("elm", side=Side.SELL, quantity=1)
    book.given(held, promised).when(place(side=Side.SELL, quantity=100)).then(refused(Refusal.HOLDINGS))
    book.given(held, promised).when(place(side=Side.SELL, quantity=99)).then(placed(side=Side.SELL, quantity=99))


def test_names_the_most_basic_reason_first() -> None:
    nothing_right: PlaceOrder = msgspec.structs.replace(
        place(seen=market(phase=Phase.CLOSED)), quantity=Quantity(-1), limit_price=Price(-1)
    )
    book.given(placed(), halted()).when(nothing_right).then(refused(Refusal.HALTED))
    book.given(placed()).when(nothing_right).then(refused(Refusal.DUPLICATE_ORDER))
    book.given().when(nothing_right).then(refused(Refusal.QUANTITY))


def test_a_day_order_remembers_its_time_in_force() -> None:
    after = book.given().when(place(time_in_force=TimeInForce.DAY)).then(placed(time_in_force=TimeInForce.DAY))
    assert after.working[placed().order_id].time_in_force is TimeInForce.DAY


def test_a_quantity_beyond_all_cash_is_only_refused() -> None:
    endless = msgspec.structs.replace(place(), quantity=Quantity(2**62))
    book.given().when(endless).then(refused(Refusal.BUYING_POWER))
