"""The blotter: one row per order, as its trader would read it."""

from typing import Any

import pytest

from domain.orders.commands import Side
from domain.orders.events import OrderEvent, Refusal
from infra.postgres import Database
from projections.orders import blotter as b
from projections.orders.blotter import BlotterRow, Status, blotter
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import row_after, rows_after, table_of
from tests.projections.hosting import projector_of

ORDERS = table_of(blotter, "order_blotter")


def order(*events: OrderEvent) -> Any:
    return row_after(ORDERS, *events)


def test_a_placed_order_has_its_terms_and_nothing_filled() -> None:
    row = order(o.placed(quantity=100, limit=100))
    assert (row.status, row.quantity, row.unfilled, row.filled) == (Status.PLACED, o.shares(100), o.shares(100), 0)
    assert (row.reserved, row.limit_price, row.average_price) == (o.dollars(10_000), o.each(100), None)
    assert (row.topic, row.partition, row.sequence) == ("orders.events", 0, 0)


def test_an_accepted_order_works_under_the_venues_name() -> None:
    row = order(o.placed(), o.accepted())
    assert (row.status, row.venue_order_id) == (Status.WORKING, "v-1")


def test_a_refused_order_is_shown_with_its_reason() -> None:
    row = order(o.refused(Refusal.COLLAR))
    assert (row.status, row.reason, row.symbol, row.quantity) == (Status.REFUSED, "COLLAR", None, 0)


def test_a_refused_cancel_leaves_the_order_as_it_was() -> None:
    assert order(o.placed(), o.refused(Refusal.CANCEL_PENDING)) == order(o.placed())


def test_a_refusal_about_an_order_that_never_was_shows_none() -> None:
    assert rows_after(ORDERS, o.refused(Refusal.UNKNOWN_ORDER)) == []


def test_a_part_that_was_filled_leaves_the_rest_open() -> None:
    row = order(o.placed(quantity=100), o.filled(30, amount=3000, unfilled=70, released=3000))
    assert (row.status, row.filled, row.unfilled) == (Status.PARTLY_FILLED, o.shares(30), o.shares(70))
    assert (row.filled_amount, row.reserved, row.is_open) == (o.dollars(3000), o.dollars(7000), True)


def test_the_average_price_is_exact_and_rounded_once() -> None:
    row = order(
        o.placed(quantity=3),
        o.filled(1, execution="x-1", price="100.01", amount="100.01", unfilled=2, released=0),
        o.filled(2, execution="x-2", price="100.02", amount="200.04", unfilled=0, released=0),
    )
    assert row.average_price == 10_001_666_667
    assert (row.status, row.reserved, row.is_open) == (Status.FILLED, 0, False)


def test_the_average_of_two_prices_one_step_apart_is_the_even_one() -> None:
    def average(low: str, high: str) -> int:
        return int(
            order(
                o.placed(quantity=2),
                o.filled(1, execution="x-1", price=low, unfilled=1),
                o.filled(1, execution="x-2", price=high, unfilled=0),
            ).average_price
        )

    assert average("1.00000001", "1.00000002") == 100_000_002
    assert average("1.00000002", "1.00000003") == 100_000_002


def test_a_cancel_is_pending_until_the_venue_says_so() -> None:
    asked = order(o.placed(), o.cancel_requested())
    assert (asked.status, asked.is_cancelling) == (Status.PLACED, True)
    done = order(o.placed(), o.cancel_requested(), o.cancelled())
    assert (done.status, done.is_cancelling, done.reserved, done.unfilled) == (
        Status.CANCELLED,
        False,
        0,
        o.shares(100),
    )


def test_a_cancel_that_the_venue_rejects_leaves_the_order_working() -> None:
    row = order(o.placed(), o.accepted(), o.cancel_requested(), o.cancel_rejected())
    assert (row.status, row.is_cancelling, row.reason) == (Status.WORKING, False, "too late")


def test_a_late_fill_counts_and_the_order_stays_cancelled() -> None:
    row = order(o.placed(quantity=100), o.cancelled(), o.filled(30, late=True, unfilled=0, released=0))
    assert (row.status, row.filled, row.unfilled, row.reserved) == (Status.CANCELLED, o.shares(30), o.shares(70), 0)


def test_a_fill_of_an_unknown_order_gets_a_row_without_terms() -> None:
    row = order(o.filled(30, late=True, unfilled=0, released=0))
    assert (row.status, row.symbol, row.side, row.filled, row.kind) == (
        Status.FILLED,
        "AAPL",
        Side.BUY,
        o.shares(30),
        None,
    )


def test_a_replaced_order_has_the_new_terms_and_version() -> None:
    asked = order(o.placed(), o.replace_requested(quantity=200, reserved=20_000))
    assert (asked.is_replacing, asked.reserved, asked.quantity) == (True, o.dollars(20_000), o.shares(100))
    done = order(o.placed(), o.replace_requested(), o.replaced(quantity=200, limit=99, unfilled=200, released=200))
    assert (done.is_replacing, done.quantity, done.limit_price, done.order_version) == (
        False,
        o.shares(200),
        o.each(99),
        2,
    )
    assert done.reserved == o.dollars(19_800)


def test_a_replace_that_the_venue_rejects_gives_back_what_it_reserved() -> None:
    row = order(o.placed(), o.replace_requested(reserved=20_000), o.replace_rejected(released=10_000))
    assert (row.is_replacing, row.reserved, row.reason) == (False, o.dollars(10_000), "too late")


def test_day_orders_expire_together_at_the_close() -> None:
    rows = rows_after(
        ORDERS,
        o.placed("birch"),
        o.placed("maple"),
        o.placed("walnut"),
        o.day_ended(("birch", 100, 10_000), ("walnut", 100, 10_000)),
    )
    assert [row.status for row in rows] == [Status.EXPIRED, Status.PLACED, Status.EXPIRED]
    assert {row.version for row in rows} == {4, 2}


def test_a_rejected_order_has_the_venues_reason() -> None:
    row = order(o.placed(), o.rejected())
    assert (row.status, row.reason, row.reserved) == (Status.REJECTED, "no such market", 0)


def test_cash_and_halts_touch_no_order() -> None:
    assert order(o.opened(), o.credited(), o.placed(), o.halted(), o.limits_set(), o.resumed()).version == 3


@pytest.mark.postgres
async def test_open_orders_are_those_the_book_works_with_all_they_reserve(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=12, count=500))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    for account_id in ACCOUNTS:
        book = tape.states["orders", account_id]
        who = {"tenant": "acme", "account_id": account_id}
        rows = await b.open_orders(db, **who)
        assert {row.order_id: row.unfilled for row in rows} == {
            order_id: order.unfilled for order_id, order in book.working.items()
        }
        assert {row.order_id: row.reserved for row in rows} == {
            order_id: order.reserved for order_id, order in book.working.items()
        }
        for_withdrawals = sum(book.withdrawals.values())
        assert await b.reserved(db, **who) == book.reserved - for_withdrawals


@pytest.mark.postgres
async def test_pages_hold_every_order_once_newest_first(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=13, count=300))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    everything = await b.by_account(db, tenant="acme", account_id=ACCOUNTS[0], limit=1_000)
    paged: list[BlotterRow] = []
    while page := await b.by_account(
        db, tenant="acme", account_id=ACCOUNTS[0], limit=7, before=paged[-1].opened_version if paged else None
    ):
        paged += page
    assert len(everything) > 7
    assert paged == everything
    assert await b.by_id(db, tenant="acme", account_id=ACCOUNTS[0], order_id=paged[0].order_id) == paged[0]


@pytest.mark.postgres
async def test_nothing_is_shown_to_another_tenant_or_account(db: Database, tape: Tape) -> None:
    tape.decide("orders", ACCOUNTS[0], o.place("walnut"))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    assert await b.by_id(db, tenant="acme", account_id=ACCOUNTS[0], order_id="walnut") is not None
    assert await b.by_id(db, tenant="rival", account_id=ACCOUNTS[0], order_id="walnut") is None
    assert await b.by_id(db, tenant="acme", account_id=ACCOUNTS[1], order_id="walnut") is None
    assert await b.by_account(db, tenant="rival", account_id=ACCOUNTS[0], limit=10) == []
