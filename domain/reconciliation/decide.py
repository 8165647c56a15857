"""The rules of breaks: the agent that matches opens them, each once; it or a person closes them, with a reason."""

from typing import Any, assert_never

import msgspec

from domain.kernel.decider import Decider
from domain.reconciliation import commands as c
from domain.reconciliation import events as e
from domain.reconciliation.commands import ReconciliationCommand
from domain.reconciliation.events import ReconciliationEvent, ReconciliationRefused, Refusal
from domain.reconciliation.state import Breaks, evolve

AGENT = "agent:"
"""Actors that watch the tape begin with this."""


def decide(breaks: Breaks, command: ReconciliationCommand) -> ReconciliationEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.OpenBreak():
            return open_break(breaks, command)
        case c.RecordMatch():
            return record_match(breaks, command)
        case c.ExplainBreak():
            return explain_break(breaks, command)
        case c.CloseBreak():
            return close_break(breaks, command)
        case _:
            assert_never(command)


def open_break(breaks: Breaks, command: c.OpenBreak) -> ReconciliationEvent:
    """A break opens once, on the word of the agent."""
    if not command.actor.startswith(AGENT):
        return ReconciliationRefused(reference=command.break_id, reason=Refusal.FORBIDDEN_ACTOR)
    is_open = breaks.is_open.get(command.break_id)
    if is_open is not None:
        reason = Refusal.ALREADY_OPEN if is_open else Refusal.ALREADY_CLOSED
        return ReconciliationRefused(reference=command.break_id, reason=reason)
    return e.BreakOpened(**_said(command))


def record_match(breaks: Breaks, command: c.RecordMatch) -> ReconciliationEvent:
    """Statements agree in the order of their time, on the word of the agent."""
    if not command.actor.startswith(AGENT):
        return ReconciliationRefused(reference=command.statement_id, reason=Refusal.FORBIDDEN_ACTOR)
    if command.as_of_ns <= breaks.matched_ns:
        return ReconciliationRefused(reference=command.statement_id, reason=Refusal.ALREADY_MATCHED)
    return e.StatementMatched(**_said(command))


def explain_break(breaks: Breaks, command: c.ExplainBreak) -> ReconciliationEvent:
    """Anything that is found out about a break is kept, also when it is closed."""
    if not command.reason:
        return ReconciliationRefused(reference=command.break_id, reason=Refusal.REASON_MISSING)
    if command.break_id not in breaks.is_open:
        return ReconciliationRefused(reference=command.break_id, reason=Refusal.UNKNOWN_BREAK)
    return e.BreakExplained(break_id=command.break_id, reason=command.reason)


def close_break(breaks: Breaks, command: c.CloseBreak) -> ReconciliationEvent:
    """An open break ends, with a reason."""
    if not command.reason:
        return ReconciliationRefused(reference=command.break_id, reason=Refusal.REASON_MISSING)
    is_open = breaks.is_open.get(command.break_id)
    if not is_open:
        reason = Refusal.UNKNOWN_BREAK if is_open is None else Refusal.ALREADY_CLOSED
        return ReconciliationRefused(reference=command.break_id, reason=reason)
    return e.BreakClosed(break_id=command.break_id, reason=command.reason, evidence=command.evidence)


def _said(command: ReconciliationCommand) -> dict[str, Any]:
    """What the fact takes over from the command, which is everything but who and when."""
    said = msgspec.structs.asdict(command)
    return {name: value for name, value in said.items() if name not in ("at", "actor")}


reconciliation: Decider[Breaks, ReconciliationCommand, ReconciliationEvent] = Decider(Breaks(), decide, evolve)
