"""The life of an account and of each deposit and withdrawal."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.messages import Event
from domain.kernel.money import Money


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    NOT_OPEN = "NOT_OPEN"
    ALREADY_OPEN = "ALREADY_OPEN"
    DUPLICATE_TRANSFER = "DUPLICATE_TRANSFER"
    UNKNOWN_WITHDRAWAL = "UNKNOWN_WITHDRAWAL"
    NOT_PENDING = "NOT_PENDING"
    CURRENCY = "CURRENCY"
    AMOUNT = "AMOUNT"


class AccountOpened(Event, frozen=True, kw_only=True):
    """The account exists and belongs to this subject."""

    owner: str
    currency: str


class CashDeposited(Event, frozen=True, kw_only=True):
    """Cash came in."""

    deposit_id: DepositId
    amount: Money


class WithdrawalRequested(Event, frozen=True, kw_only=True):
    """A withdrawal waits for the book to set its cash aside."""

    withdrawal_id: WithdrawalId
    amount: Money


class CashWithdrawn(Event, frozen=True, kw_only=True):
    """Cash was paid out."""

    withdrawal_id: WithdrawalId
    amount: Money


class WithdrawalRefused(Event, frozen=True, kw_only=True):
    """The withdrawal ended without a payment."""

    withdrawal_id: WithdrawalId
    amount: Money
    reason: str


class AccountRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the transfer or account that the command named."""

    reference: str
    reason: Refusal


AccountEvent: TypeAlias = (
    AccountOpened | CashDeposited | WithdrawalRequested | CashWithdrawn | WithdrawalRefused | AccountRefused
)
REFUSALS = (AccountRefused,)
