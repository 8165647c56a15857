"""Orders given about the breaks of one account: opened and closed by the agent that matches, explained by people."""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from domain.kernel.ids import BreakId, Micros, OrderId, Symbol
from domain.kernel.messages import Command
from domain.kernel.money import Price, Quantity


class Kind(StrEnum):
    """What does not agree: an execution that one side lacks, one that both tell differently, or a statement."""

    MISSING_HERE = "MISSING_HERE"
    MISSING_AT_VENUE = "MISSING_AT_VENUE"
    DIFFERENT = "DIFFERENT"
    STATEMENT = "STATEMENT"


class Origin(StrEnum):
    """Whose word a piece of evidence is: an event of ours, or a record of the venue."""

    OURS = "OURS"
    VENUE = "VENUE"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One message of either side: `place` is the sequence of an event, the offset of a record of a feed."""

    origin: Origin
    id: str
    topic: str
    place: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as both sides tell it, sales below zero; a side that says nothing has zeros."""

    symbol: Symbol
    ours: Quantity
    theirs: Quantity
    our_price: Price
    their_price: Price


class OpenBreak(Command, frozen=True, kw_only=True):
    """Both sides have not agreed for too long. Sent by the matching agent."""

    break_id: BreakId
    kind: Kind
    reference: str
    order_id: OrderId
    differences: tuple[Difference, ...]
    evidence: tuple[Evidence, ...]
    since: Micros
    market_time: Micros


class RecordMatch(Command, frozen=True, kw_only=True):
    """The venue's statement agrees with our executions. Sent by the matching agent."""

    statement_id: str
    session_date: str
    as_of_ns: int
    executions: int
    evidence: tuple[Evidence, ...]


class ExplainBreak(Command, frozen=True, kw_only=True):
    """Say what is known about a break."""

    break_id: BreakId
    reason: str


class CloseBreak(Command, frozen=True, kw_only=True):
    """A break is over: a late message made both sides agree, or a person settled it."""

    break_id: BreakId
    reason: str
    evidence: tuple[Evidence, ...]


ReconciliationCommand: TypeAlias = OpenBreak | RecordMatch | ExplainBreak | CloseBreak
