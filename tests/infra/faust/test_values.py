"""A state that was kept is read back as it was."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from domain.kernel.ids import BreachId, Micros, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity
from domain.market_data.marks import Board, MarkPrice
from domain.orders.open_days import OpenDay
from domain.risk.at_stake import Asked, Exposure, Holding, Limits, Purchase
from domain.risk.commands import Measure
from infra.faust.values import Values

FULL = Exposure(
    tenant="t",
    account_id="A1",
    book_version=7,
    holdings=Map({Symbol("AAPL"): Holding(Quantity(-5), Price(2**61))}),
    purchases=Map({OrderId("O1"): Purchase(Symbol("IBM"), Quantity(1), None, Price(3))}),
    minute=12,
    minute_seen_at=Micros(9),
    orders_in_minute=4,
    limits=Limits(Money(100), 5),
    breached=Map({Measure.ORDER_RATE: BreachId("B")}),
    asked=Map({Measure.GROSS_EXPOSURE: Asked("C", Micros(1))}),
)


@pytest.mark.parametrize(
    "state",
    [
        Exposure(),
        FULL,
        OpenDay(placed_at=Map({OrderId("O1"): Micros(3)}), asked="2012-03-05"),
        Board(sequence=1, prices={"AAPL": MarkPrice(bid=Price(1), ask=Price(2), last=Price(3))}),
    ],
)
def test_every_state_of_an_agent_survives_its_table(state: msgspec.Struct) -> None:
    values = Values(type(state))
    assert values.decode(values.encode({"orders.events": 4}, state)) == ({"orders.events": 4}, state)


@given(st.dictionaries(st.text(max_size=4), st.integers(-(2**62), 2**62)), st.dictionaries(st.text(), st.integers(0)))
def test_offsets_and_integers_come_back_exactly(amounts: dict[str, int], seen: dict[str, int]) -> None:
    seen = {topic: offset % 2**63 for topic, offset in seen.items()}
    values = Values(OpenDay)
    state = OpenDay(placed_at=Map({OrderId(key): Micros(value) for key, value in amounts.items()}))
    assert values.decode(values.encode(seen, state)) == (seen, state)


def test_a_field_that_came_later_has_its_default() -> None:
    class Older(msgspec.Struct, frozen=True, kw_only=True):
        tenant: str = ""

    value = Values(Older).encode({}, Older(tenant="t"))
    assert Values(Exposure).decode(value)[1] == Exposure(tenant="t")
