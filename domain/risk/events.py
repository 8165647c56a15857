"""What is allowed to one account, and when it was beyond that."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import BreachId
from domain.kernel.messages import Event
from domain.kernel.money import Money
from domain.risk.commands import Measure


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    LIMIT_BELOW_ZERO = "LIMIT_BELOW_ZERO"
    REASON_MISSING = "REASON_MISSING"
    ALREADY_BREACHED = "ALREADY_BREACHED"
    NOT_BREACHED = "NOT_BREACHED"
    ALREADY_HALTED = "ALREADY_HALTED"
    NOT_HALTED = "NOT_HALTED"


class LimitsSet(Event, frozen=True, kw_only=True):
    """The account is held to these limits from here on."""

    order_notional_max: Money
    gross_exposure_max: Money
    orders_per_minute_max: int
    reason: str


class LimitBreached(Event, frozen=True, kw_only=True):
    """A measure is above its limit; the mark and the book's version it was seen at let anyone recompute it."""

    breach_id: BreachId
    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int


class BreachCleared(Event, frozen=True, kw_only=True):
    """The measure is well below its limit again."""

    breach_id: BreachId
    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int


class HaltOrdered(Event, frozen=True, kw_only=True):
    """Somebody stopped the account's trading by hand."""

    reason: str


class HaltLifted(Event, frozen=True, kw_only=True):
    """The halt by hand is over."""

    reason: str


class RiskRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the measure or cause that the command named."""

    reference: str
    reason: Refusal


RiskEvent: TypeAlias = LimitsSet | LimitBreached | BreachCleared | HaltOrdered | HaltLifted | RiskRefused
REFUSALS = (RiskRefused,)
