"""Where we and the venue did not agree about an account, what was found out, and what agrees."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import BreakId, Micros, OrderId
from domain.kernel.messages import Event
from domain.reconciliation.commands import Difference, Evidence, Kind


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    REASON_MISSING = "REASON_MISSING"
    UNKNOWN_BREAK = "UNKNOWN_BREAK"
    ALREADY_OPEN = "ALREADY_OPEN"
    ALREADY_CLOSED = "ALREADY_CLOSED"
    ALREADY_MATCHED = "ALREADY_MATCHED"


class BreakOpened(Event, frozen=True, kw_only=True):
    """Both sides have not agreed for more than five seconds of market time."""

    break_id: BreakId
    kind: Kind
    reference: str
    order_id: OrderId
    differences: tuple[Difference, ...]
    evidence: tuple[Evidence, ...]
    since: Micros
    market_time: Micros


class BreakExplained(Event, frozen=True, kw_only=True):
    """Somebody said what is known about a break; it may be open still."""

    break_id: BreakId
    reason: str


class BreakClosed(Event, frozen=True, kw_only=True):
    """A break is over."""

    break_id: BreakId
    reason: str
    evidence: tuple[Evidence, ...]


class StatementMatched(Event, frozen=True, kw_only=True):
    """The venue's statement agrees with our executions, each of which both sides know."""

    statement_id: str
    session_date: str
    as_of_ns: int
    executions: int
    evidence: tuple[Evidence, ...]


class ReconciliationRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the break or the statement that the command named."""

    reference: str
    reason: Refusal


ReconciliationEvent: TypeAlias = BreakOpened | BreakExplained | BreakClosed | StatementMatched | ReconciliationRefused
REFUSALS = (ReconciliationRefused,)
