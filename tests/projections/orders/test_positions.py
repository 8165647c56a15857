"""Positions: what is held, what it cost, what its sales earned, to the cent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import ExecutionId, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity, notional
from domain.orders.commands import Side
from domain.orders.events import OrderEvent, OrderFilled
from infra.postgres import Database
from projections.orders import positions as p
from projections.orders.positions import positions
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import row_after, table_of
from tests.projections.hosting import projector_of

POSITIONS = table_of(positions, "positions")


def bought(quantity: int, amount: o.Number) -> OrderFilled:
    return o.filled(quantity, amount=amount)


def sold(quantity: int, amount: o.Number) -> OrderFilled:
    return o.filled(quantity, amount=amount, side=Side.SELL)


def position(*events: OrderEvent) -> Any:
    return row_after(POSITIONS, *events)


def test_purchases_add_up() -> None:
    row = position(bought(10, 1000), bought(20, 2300))
    assert (row.quantity, row.cost, row.realized) == (o.shares(30), o.dollars(3300), 0)


def test_a_sale_earns_the_proceeds_less_its_share_of_the_cost() -> None:
    row = position(bought(10, 1000), bought(20, 2300), sold(10, 1500))
    assert (row.quantity, row.cost, row.realized) == (o.shares(20), o.dollars(2200), o.dollars(400))


def test_the_cent_that_does_not_divide_stays_with_the_rest() -> None:
    row = position(bought(3, "100.00"), sold(1, 40), sold(1, 40), sold(1, 40))
    assert (row.quantity, row.cost, row.realized) == (0, 0, o.dollars(20))


def test_a_closed_position_keeps_what_it_earned() -> None:
    row = position(bought(10, 1000), sold(10, 900))
    assert (row.quantity, row.cost, row.realized) == (0, 0, -o.dollars(100))
    assert (row.bought, row.sold) == (o.shares(10), o.shares(10))


def test_more_sold_than_held_is_a_short_position_with_its_proceeds() -> None:
    row = position(bought(10, 1000), sold(15, 1800))
    assert (row.quantity, row.cost, row.realized) == (-o.shares(5), -o.dollars(600), o.dollars(200))
    covered = position(bought(10, 1000), sold(15, 1800), bought(5, 500))
    assert (covered.quantity, covered.cost, covered.realized) == (0, 0, o.dollars(300))


def test_unrealized_profit_follows_the_price() -> None:
    row = position(bought(10, 1000))
    assert row.unrealized(o.each(130)) == o.dollars(300)
    assert p.unrealized([row], {}) == {}


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 2**52), st.integers(1, 2**44)),
        min_size=1,
        max_size=30,
    )
)
def test_cash_that_moved_is_realized_less_cost_whatever_was_traded(trades: list[tuple[bool, int, int]]) -> None:
    events = [
        OrderFilled(
            order_id=OrderId("walnut"),
            execution_id=ExecutionId(str(number)),
            symbol=Symbol("AAPL"),
            side=Side.BUY if is_purchase else Side.SELL,
            quantity=Quantity(quantity),
            price=Price(price),
            amount=notional(Quantity(quantity), Price(price)),
            unfilled=Quantity(0),
            released=Money(0),
            late=True,
            venue_time_ns=0,
        )
        for number, (is_purchase, quantity, price) in enumerate(trades)
    ]
    row = position(*events)
    moved = sum(event.amount if event.side is Side.SELL else -event.amount for event in events)
    assert moved == row.realized - row.cost
    assert row.quantity == row.bought - row.sold
    assert row.quantity != 0 or row.cost == 0


@pytest.mark.postgres
async def test_what_is_held_is_what_the_book_holds(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=14, count=500))
    projector = await projector_of(db, tape.codec, [positions])
    await projector.apply(tape.arrived)
    for account_id in ACCOUNTS:
        rows = await p.by_account(db, tenant="acme", account_id=account_id, limit=100)
        held = {row.symbol: row.quantity for row in rows if row.quantity}
        assert held == dict(tape.states["orders", account_id].holdings)
        assert await p.by_account(db, tenant="rival", account_id=account_id, limit=100) == []
        first = rows[:1]
        assert await p.by_account(db, tenant="acme", account_id=account_id, limit=1) == first
        for row in first:
            assert await p.by_symbol(db, tenant="acme", account_id=account_id, symbol=row.symbol) == row
