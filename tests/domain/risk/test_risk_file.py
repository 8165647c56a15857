"""A risk file: limits with a reason, breaches opened and cleared once, one halt by hand."""

from typing import Any

import msgspec
import pytest

from domain.kernel.ids import BreachId
from domain.kernel.money import Money
from domain.risk import commands as c
from domain.risk import events as e
from domain.risk.commands import Measure
from domain.risk.decide import risk
from domain.risk.events import Refusal, RiskRefused
from tests.kit.stories import Story

GROSS = Measure.GROSS_EXPOSURE
SEEN: dict[str, Any] = {"observed": 120, "allowed": 100, "mark_sequence": 7, "book_version": 3}

SET = c.SetLimits(
    order_notional_max=Money(1), gross_exposure_max=Money(2), orders_per_minute_max=3, reason="new client"
)
LIMITS_SET = e.LimitsSet(
    order_notional_max=Money(1), gross_exposure_max=Money(2), orders_per_minute_max=3, reason="new client"
)
HALT, LIFT = c.OrderHalt(reason="court order"), c.LiftHalt(reason="lifted")
ORDERED, LIFTED = e.HaltOrdered(reason="court order"), e.HaltLifted(reason="lifted")

file = Story(risk)


def report(breach: str = "b-1", measure: Measure = GROSS, actor: str = "agent:test") -> c.ReportBreach:
    return c.ReportBreach(actor=actor, breach_id=BreachId(breach), measure=measure, **SEEN)


def recovery(measure: Measure = GROSS, actor: str = "agent:test") -> c.ReportRecovery:
    return c.ReportRecovery(actor=actor, measure=measure, **SEEN)


def breached(breach: str = "b-1", measure: Measure = GROSS) -> e.LimitBreached:
    return e.LimitBreached(breach_id=BreachId(breach), measure=measure, **SEEN)


def cleared(breach: str = "b-1", measure: Measure = GROSS) -> e.BreachCleared:
    return e.BreachCleared(breach_id=BreachId(breach), measure=measure, **SEEN)


def no(reason: Refusal, reference: str = "GROSS_EXPOSURE") -> RiskRefused:
    return RiskRefused(reference=reference, reason=reason)


def test_limits_are_set_with_a_reason() -> None:
    file.given().when(SET).then(LIMITS_SET)
    file.given(LIMITS_SET).when(SET).then(LIMITS_SET)
    silent = msgspec.structs.replace(SET, reason="")
    file.given().when(silent).then(no(Refusal.REASON_MISSING, "limits"))


@pytest.mark.parametrize("name", ["order_notional_max", "gross_exposure_max", "orders_per_minute_max"])
def test_no_limit_is_below_zero(name: str) -> None:
    command = msgspec.structs.replace(SET, **{name: -1})
    file.given().when(command).then(no(Refusal.LIMIT_BELOW_ZERO, "limits"))


def test_a_breach_opens_once_for_each_measure() -> None:
    file.given().when(report()).then(breached())
    file.given(breached()).when(report("b-2")).then(no(Refusal.ALREADY_BREACHED))
    file.given(breached()).when(report("b-2", Measure.ORDER_RATE)).then(breached("b-2", Measure.ORDER_RATE))


def test_a_repeated_report_opens_no_cleared_breach_again() -> None:
    file.given(breached(), cleared()).when(report("b-1")).then(no(Refusal.ALREADY_BREACHED))
    file.given(breached(), cleared()).when(report("b-2")).then(breached("b-2"))


def test_a_recovery_clears_the_breach_that_is_open() -> None:
    after = file.given(breached()).when(recovery()).then(cleared("b-1"))
    assert dict(after.breached) == {}


def test_a_recovery_of_nothing_is_refused() -> None:
    file.given().when(recovery()).then(no(Refusal.NOT_BREACHED))
    file.given(breached(measure=Measure.ORDER_RATE)).when(recovery()).then(no(Refusal.NOT_BREACHED))
    file.given(breached(), cleared()).when(recovery()).then(no(Refusal.NOT_BREACHED))


@pytest.mark.parametrize("actor", ["sub:ann", "saga:test", "effect:test", ""])
def test_only_an_agent_reports(actor: str) -> None:
    file.given().when(report(actor=actor)).then(no(Refusal.FORBIDDEN_ACTOR))
    file.given(breached()).when(recovery(actor=actor)).then(no(Refusal.FORBIDDEN_ACTOR))


def test_a_halt_by_hand_holds_until_it_is_lifted() -> None:
    file.given().when(HALT).then(ORDERED)
    file.given(ORDERED).when(HALT).then(no(Refusal.ALREADY_HALTED, "halt"))
    file.given(ORDERED).when(LIFT).then(LIFTED)
    file.given().when(LIFT).then(no(Refusal.NOT_HALTED, "halt"))
    file.given(ORDERED, LIFTED).when(HALT).then(ORDERED)


def test_a_breach_and_a_halt_do_not_touch_each_other() -> None:
    after = file.given(breached(), ORDERED).when(recovery()).then(cleared())
    assert after.is_halted
