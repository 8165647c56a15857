"""The rules of limits, breaches and halts."""

from typing import assert_never

from domain.kernel.decider import Decider
from domain.risk import commands as c
from domain.risk import events as e
from domain.risk.commands import RiskCommand
from domain.risk.events import Refusal, RiskEvent, RiskRefused
from domain.risk.state import RiskFile, evolve

AGENT = "agent:"
"""Actors that watch the tape begin with this."""


def decide(file: RiskFile, command: RiskCommand) -> RiskEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.SetLimits():
            return set_limits(command)
        case c.ReportBreach():
            return report_breach(file, command)
        case c.ReportRecovery():
            return report_recovery(file, command)
        case c.OrderHalt():
            if file.is_halted:
                return RiskRefused(reference="halt", reason=Refusal.ALREADY_HALTED)
            return e.HaltOrdered(reason=command.reason)
        case c.LiftHalt():
            if not file.is_halted:
                return RiskRefused(reference="halt", reason=Refusal.NOT_HALTED)
            return e.HaltLifted(reason=command.reason)
        case _:
            assert_never(command)


def set_limits(command: c.SetLimits) -> RiskEvent:
    """New limits, never below zero and never without a reason."""
    if min(command.order_notional_max, command.gross_exposure_max, command.orders_per_minute_max) < 0:
        return RiskRefused(reference="limits", reason=Refusal.LIMIT_BELOW_ZERO)
    if not command.reason:
        return RiskRefused(reference="limits", reason=Refusal.REASON_MISSING)
    return e.LimitsSet(
        order_notional_max=command.order_notional_max,
        gross_exposure_max=command.gross_exposure_max,
        orders_per_minute_max=command.orders_per_minute_max,
        reason=command.reason,
    )


def report_breach(file: RiskFile, command: c.ReportBreach) -> RiskEvent:
    """A breach opens once per measure, on the word of the agent."""
    if not command.actor.startswith(AGENT):
        return RiskRefused(reference=command.measure, reason=Refusal.FORBIDDEN_ACTOR)
    if command.measure in file.breached or command.breach_id in file.known:
        return RiskRefused(reference=command.measure, reason=Refusal.ALREADY_BREACHED)
    return e.LimitBreached(
        breach_id=command.breach_id,
        measure=command.measure,
        observed=command.observed,
        allowed=command.allowed,
        mark_sequence=command.mark_sequence,
        book_version=command.book_version,
    )


def report_recovery(file: RiskFile, command: c.ReportRecovery) -> RiskEvent:
    """An open breach ends, on the word of the agent."""
    if not command.actor.startswith(AGENT):
        return RiskRefused(reference=command.measure, reason=Refusal.FORBIDDEN_ACTOR)
    breach_id = file.breached.get(command.measure)
    if breach_id is None:
        return RiskRefused(reference=command.measure, reason=Refusal.NOT_BREACHED)
    return e.BreachCleared(
        breach_id=breach_id,
        measure=command.measure,
        observed=command.observed,
        allowed=command.allowed,
        mark_sequence=command.mark_sequence,
        book_version=command.book_version,
    )


risk: Decider[RiskFile, RiskCommand, RiskEvent] = Decider(RiskFile(), decide, evolve)
