"""The life of an account: opened once, every transfer counted once, every withdrawal ended once."""

import msgspec
import pytest

from domain.accounts import commands as c
from domain.accounts import events as e
from domain.accounts.decide import accounts
from domain.accounts.events import AccountRefused, Refusal
from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.money import AMOUNT_MAX, Money
from tests.kit.stories import Story

OPENED = e.AccountOpened(owner="ann", currency="USD")
DEPOSITED = e.CashDeposited(deposit_id=DepositId("salary"), amount=Money(500))
REQUESTED = e.WithdrawalRequested(withdrawal_id=WithdrawalId("rent"), amount=Money(300))
WITHDRAWN = e.CashWithdrawn(withdrawal_id=WithdrawalId("rent"), amount=Money(300))
REFUSED = e.WithdrawalRefused(withdrawal_id=WithdrawalId("rent"), amount=Money(300), reason="BUYING_POWER")

OPEN = c.OpenAccount(owner="ann", currency="USD")
DEPOSIT = c.DepositCash(deposit_id=DepositId("salary"), amount=Money(500))
REQUEST = c.RequestWithdrawal(withdrawal_id=WithdrawalId("rent"), amount=Money(300))
COMPLETE = c.CompleteWithdrawal(actor="saga:test", withdrawal_id=WithdrawalId("rent"))
REFUSE = c.RefuseWithdrawal(actor="saga:test", withdrawal_id=WithdrawalId("rent"), reason="BUYING_POWER")

nobody = Story(accounts)
account = Story(accounts, OPENED)


def no(reason: Refusal, reference: str = "rent") -> AccountRefused:
    return AccountRefused(reference=reference, reason=reason)


def test_an_account_is_opened_once() -> None:
    after = nobody.given().when(OPEN).then(OPENED)
    assert (after.owner, after.is_open) == ("ann", True)
    account.given().when(OPEN).then(no(Refusal.ALREADY_OPEN, "ann"))


def test_an_account_without_an_owner_is_still_open() -> None:
    nameless = e.AccountOpened(owner="", currency="USD")
    assert Story(accounts, nameless).given().state.is_open


def test_an_account_is_held_in_a_currency_we_know() -> None:
    nobody.given().when(c.OpenAccount(owner="ann", currency="XAU")).then(no(Refusal.CURRENCY, "XAU"))


@pytest.mark.parametrize("command", [DEPOSIT, REQUEST, COMPLETE, REFUSE], ids=lambda it: type(it).__name__)
def test_an_account_that_does_not_exist_moves_nothing(
    command: c.DepositCash | c.RequestWithdrawal | c.CompleteWithdrawal | c.RefuseWithdrawal,
) -> None:
    reference = command.deposit_id if isinstance(command, c.DepositCash) else command.withdrawal_id
    nobody.given().when(command).then(no(Refusal.NOT_OPEN, reference))


def test_a_deposit_counts_once() -> None:
    after = account.given().when(DEPOSIT).then(DEPOSITED)
    assert after.deposited == 500
    account.given(DEPOSITED).when(DEPOSIT).then(no(Refusal.DUPLICATE_TRANSFER, "salary"))


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1])
def test_a_transfer_of_nothing_or_too_much_is_refused(amount: int) -> None:
    deposit = msgspec.structs.replace(DEPOSIT, amount=Money(amount))
    request = msgspec.structs.replace(REQUEST, amount=Money(amount))
    account.given().when(deposit).then(no(Refusal.AMOUNT, "salary"))
    account.given().when(request).then(no(Refusal.AMOUNT))


def test_deposits_together_stay_within_what_a_book_can_hold() -> None:
    huge = e.CashDeposited(deposit_id=DepositId("estate"), amount=Money(AMOUNT_MAX - 499))
    account.given(huge).when(DEPOSIT).then(no(Refusal.AMOUNT, "salary"))


def test_a_withdrawal_waits_for_the_book() -> None:
    after = account.given().when(REQUEST).then(REQUESTED)
    assert dict(after.pending) == {"rent": 300}


@pytest.mark.parametrize("story", [(REQUESTED,), (REQUESTED, WITHDRAWN), (REQUESTED, REFUSED)])
def test_a_withdrawal_is_requested_once(story: tuple[e.AccountEvent, ...]) -> None:
    account.given(*story).when(REQUEST).then(no(Refusal.DUPLICATE_TRANSFER))


def test_a_withdrawal_ends_with_its_payment() -> None:
    after = account.given(REQUESTED).when(COMPLETE).then(WITHDRAWN)
    assert (dict(after.pending), dict(after.ended)) == ({}, {"rent": 300})


def test_a_withdrawal_ends_with_its_refusal() -> None:
    account.given(REQUESTED).when(REFUSE).then(REFUSED)


@pytest.mark.parametrize("command", [COMPLETE, REFUSE], ids=["complete", "refuse"])
def test_a_withdrawal_ends_once(command: c.CompleteWithdrawal | c.RefuseWithdrawal) -> None:
    account.given(REQUESTED, WITHDRAWN).when(command).then(no(Refusal.NOT_PENDING))
    account.given(REQUESTED, REFUSED).when(command).then(no(Refusal.NOT_PENDING))
    account.given().when(command).then(no(Refusal.UNKNOWN_WITHDRAWAL))


@pytest.mark.parametrize("actor", ["sub:ann", "effect:test", "agent:test", ""])
def test_only_a_saga_ends_a_withdrawal(actor: str) -> None:
    for command in (COMPLETE, REFUSE):
        forged = msgspec.structs.replace(command, actor=actor)
        account.given(REQUESTED).when(forged).then(no(Refusal.FORBIDDEN_ACTOR))
