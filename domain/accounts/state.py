"""One account: who owns it, and how far each withdrawal has come."""

from typing import assert_never

import msgspec
from immutables import Map

from domain.accounts import events as e
from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.money import Money


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`pending` holds withdrawals that wait for the book; `ended` those that were paid or refused.

    `deposited` is all cash that ever came in.
    """

    owner: str = ""
    currency: str = ""
    deposits: Map[DepositId, Money] = Map()
    deposited: Money = Money(0)
    pending: Map[WithdrawalId, Money] = Map()
    ended: Map[WithdrawalId, Money] = Map()

    @property
    def is_open(self) -> bool:
        """The account exists."""
        return bool(self.currency)


def evolve(account: Account, event: e.AccountEvent) -> Account:
    """The account after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.AccountOpened():
            return replace(account, owner=event.owner, currency=event.currency)
        case e.CashDeposited():
            return replace(
                account,
                deposits=account.deposits.set(event.deposit_id, event.amount),
                deposited=Money(account.deposited + event.amount),
            )
        case e.WithdrawalRequested():
            return replace(account, pending=account.pending.set(event.withdrawal_id, event.amount))
        case e.CashWithdrawn() | e.WithdrawalRefused():
            pending = account.pending
            if event.withdrawal_id in pending:
                pending = pending.delete(event.withdrawal_id)
            return replace(account, pending=pending, ended=account.ended.set(event.withdrawal_id, event.amount))
        case e.AccountRefused():
            return account
        case _:
            assert_never(event)
