"""The rules of an account's life."""

from typing import assert_never

from domain.accounts import commands as c
from domain.accounts import events as e
from domain.accounts.commands import AccountCommand
from domain.accounts.events import AccountEvent, AccountRefused, Refusal
from domain.accounts.state import Account, evolve
from domain.kernel.decider import Decider
from domain.kernel.money import AMOUNT_MAX

CURRENCIES = frozenset({"USD"})
"""Currencies an account may be held in; each has two decimals."""
SAGA = "saga:"
"""Actors that continue a process across aggregates begin with this."""


def decide(account: Account, command: AccountCommand) -> AccountEvent:
    """The fact or the refusal that follows from this command."""
    if isinstance(command, c.OpenAccount):
        return open_account(account, command)
    reference = command.deposit_id if isinstance(command, c.DepositCash) else command.withdrawal_id
    if not account.is_open:
        return AccountRefused(reference=reference, reason=Refusal.NOT_OPEN)
    match command:
        case c.DepositCash():
            return deposit(account, command)
        case c.RequestWithdrawal():
            return request_withdrawal(account, command)
        case c.CompleteWithdrawal() | c.RefuseWithdrawal():
            return end_withdrawal(account, command)
        case _:
            assert_never(command)


def open_account(account: Account, command: c.OpenAccount) -> AccountEvent:
    """An account is opened once, in a currency we hold."""
    if account.is_open:
        return AccountRefused(reference=command.owner, reason=Refusal.ALREADY_OPEN)
    if command.currency not in CURRENCIES:
        return AccountRefused(reference=command.currency, reason=Refusal.CURRENCY)
    return e.AccountOpened(owner=command.owner, currency=command.currency)


def deposit(account: Account, command: c.DepositCash) -> AccountEvent:
    """Cash in, once per deposit id."""
    if command.deposit_id in account.deposits:
        return AccountRefused(reference=command.deposit_id, reason=Refusal.DUPLICATE_TRANSFER)
    # The book holds all that ever came in: it must fit, or the credit would be refused after the deposit was taken.
    if command.amount <= 0 or account.deposited + command.amount > AMOUNT_MAX:
        return AccountRefused(reference=command.deposit_id, reason=Refusal.AMOUNT)
    return e.CashDeposited(deposit_id=command.deposit_id, amount=command.amount)


def request_withdrawal(account: Account, command: c.RequestWithdrawal) -> AccountEvent:
    """A withdrawal begins; whether its cash is free is for the book to say."""
    if command.withdrawal_id in account.pending or command.withdrawal_id in account.ended:
        return AccountRefused(reference=command.withdrawal_id, reason=Refusal.DUPLICATE_TRANSFER)
    if not 0 < command.amount <= AMOUNT_MAX:
        return AccountRefused(reference=command.withdrawal_id, reason=Refusal.AMOUNT)
    return e.WithdrawalRequested(withdrawal_id=command.withdrawal_id, amount=command.amount)


def end_withdrawal(account: Account, command: c.CompleteWithdrawal | c.RefuseWithdrawal) -> AccountEvent:
    """The saga says what the book answered."""
    if not command.actor.startswith(SAGA):
        return AccountRefused(reference=command.withdrawal_id, reason=Refusal.FORBIDDEN_ACTOR)
    amount = account.pending.get(command.withdrawal_id)
    if amount is None:
        known = command.withdrawal_id in account.ended
        reason = Refusal.NOT_PENDING if known else Refusal.UNKNOWN_WITHDRAWAL
        return AccountRefused(reference=command.withdrawal_id, reason=reason)
    if isinstance(command, c.CompleteWithdrawal):
        return e.CashWithdrawn(withdrawal_id=command.withdrawal_id, amount=amount)
    return e.WithdrawalRefused(withdrawal_id=command.withdrawal_id, amount=amount, reason=command.reason)


accounts: Decider[Account, AccountCommand, AccountEvent] = Decider(Account(), decide, evolve)
