"""Orders given to one account's risk file: its limits, what was seen against them, halts by hand."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import BreachId
from domain.kernel.messages import Command
from domain.kernel.money import Money


class Measure(StrEnum):
    """What is held against a limit: cents of gross exposure, or orders in one minute of market time."""

    GROSS_EXPOSURE = "GROSS_EXPOSURE"
    ORDER_RATE = "ORDER_RATE"


class SetLimits(Command, frozen=True, kw_only=True):
    """Hold the account to these limits, for this reason."""

    order_notional_max: Money
    gross_exposure_max: Money
    orders_per_minute_max: int
    reason: str


class ReportBreach(Command, frozen=True, kw_only=True):
    """A measure was seen above its limit. Sent by the exposure agent."""

    breach_id: BreachId
    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int


class ReportRecovery(Command, frozen=True, kw_only=True):
    """A breached measure was seen back below 95 % of its limit. Sent by the exposure agent."""

    measure: Measure
    observed: int
    allowed: int
    mark_sequence: int
    book_version: int


class OrderHalt(Command, frozen=True, kw_only=True):
    """Stop the account's trading by hand."""

    reason: str


class LiftHalt(Command, frozen=True, kw_only=True):
    """Lift the halt that was made by hand."""

    reason: str


RiskCommand: TypeAlias = SetLimits | ReportBreach | ReportRecovery | OrderHalt | LiftHalt
