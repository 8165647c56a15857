"""Breaches and officers halt books; each resume lifts its own cause, and working orders are cancelled."""

import pytest

from domain.kernel.ids import BreachId, OrderId
from domain.kernel.messages import Command, Event
from domain.kernel.money import Money
from domain.orders import commands as oc
from domain.orders.events import TradingHalted, TradingOpened, TradingResumed
from domain.risk import events as r
from domain.risk.commands import Measure
from streams.risk import halts
from tests.kit.sagas import given, wiring

BREACH = {"breach_id": BreachId("b"), "measure": Measure.GROSS_EXPOSURE, "mark_sequence": 9, "book_version": 4}


def test_the_wiring_sentence_names_what_the_saga_reads_and_writes() -> None:
    assert wiring(halts) == ("risk.events, orders.events", "orders.commands")


STORIES: list[tuple[Event, Command]] = [
    (
        r.LimitsSet(
            order_notional_max=Money(5), gross_exposure_max=Money(9), orders_per_minute_max=3, reason="careful"
        ),
        oc.SetLimits(order_notional_max=Money(5)),
    ),
    (r.HaltOrdered(reason="looks odd"), oc.HaltTrading(cause=halts.BY_HAND, reason="looks odd")),
    (r.HaltLifted(reason="explained"), oc.ResumeTrading(cause=halts.BY_HAND)),
]


@pytest.mark.parametrize(("event", "command"), STORIES, ids=lambda each: type(each).__name__)
def test_each_word_of_risk_is_passed_to_the_book(event: Event, command: Command) -> None:
    assert given(event).makes(halts.halts) == [("orders", command)]


@pytest.mark.parametrize("measure", Measure)
def test_a_breach_halts_for_its_measure_and_names_what_was_seen(measure: Measure) -> None:
    breached = r.LimitBreached(**{**BREACH, "measure": measure}, observed=12, allowed=10)  # type: ignore[arg-type]
    cleared = r.BreachCleared(**{**BREACH, "measure": measure}, observed=8, allowed=10)  # type: ignore[arg-type]
    halt = oc.HaltTrading(cause=measure, reason="12 of 10 at mark 9")
    assert given(breached).makes(halts.halts) == [("orders", halt)]
    assert given(cleared).makes(halts.halts) == [("orders", oc.ResumeTrading(cause=measure))]
    assert measure != halts.BY_HAND, "a breach that is over must not lift a halt by hand"


def test_every_working_order_of_a_halted_book_is_cancelled() -> None:
    halted = TradingHalted(cause="HAND", reason="looks odd", working=(OrderId("walnut"), OrderId("oak")))
    assert given(halted).makes(halts.halts) == [
        ("orders", oc.CancelOrder(order_id=OrderId("walnut"))),
        ("orders", oc.CancelOrder(order_id=OrderId("oak"))),
    ]


def test_a_halt_without_working_orders_cancels_nothing() -> None:
    assert given(TradingHalted(cause="HAND", reason="looks odd", working=())).makes(halts.halts) == []


def test_a_resume_and_a_refusal_make_no_step() -> None:
    assert given(TradingResumed(cause="HAND", remaining=())).makes(halts.halts) == []
    assert given(TradingOpened(currency="USD")).makes(halts.halts) == []
