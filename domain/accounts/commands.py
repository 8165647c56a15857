"""Orders given to one account: open it, move cash in and out."""

from typing import TypeAlias

from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.messages import Command
from domain.kernel.money import Money


class OpenAccount(Command, frozen=True, kw_only=True):
    """Open the account that the token names; `owner` is the token's subject."""

    owner: str
    currency: str


class DepositCash(Command, frozen=True, kw_only=True):
    """Cash arrived for the account."""

    deposit_id: DepositId
    amount: Money


class RequestWithdrawal(Command, frozen=True, kw_only=True):
    """Pay cash out, once the book has set it aside."""

    withdrawal_id: WithdrawalId
    amount: Money


class CompleteWithdrawal(Command, frozen=True, kw_only=True):
    """The book set the cash aside: pay it out. Sent by a saga."""

    withdrawal_id: WithdrawalId


class RefuseWithdrawal(Command, frozen=True, kw_only=True):
    """The book could not set the cash aside. Sent by a saga."""

    withdrawal_id: WithdrawalId
    reason: str


AccountCommand: TypeAlias = OpenAccount | DepositCash | RequestWithdrawal | CompleteWithdrawal | RefuseWithdrawal
