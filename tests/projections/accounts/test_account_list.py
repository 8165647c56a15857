"""Accounts and withdrawals, as their owner would read them."""

import pytest

from domain.accounts import events as e
from domain.kernel.ids import WithdrawalId
from infra.postgres import Database
from projections.accounts import account_list as file
from projections.accounts.account_list import WithdrawalRow, WithdrawalStatus, account_list
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import ACCOUNT, FIRST_AT, row_after, rows_after, table_of
from tests.projections.hosting import projector_of

ACCOUNT_ROWS = table_of(account_list, "accounts")
WITHDRAWALS = table_of(account_list, "withdrawals")
RENT = WithdrawalId("rent")
REQUESTED = e.WithdrawalRequested(withdrawal_id=RENT, amount=o.dollars(400))


def test_an_opened_account_belongs_to_its_owner() -> None:
    row = row_after(ACCOUNT_ROWS, e.AccountOpened(owner="ann", currency="USD"))
    assert (row.account_id, row.owner, row.currency, row.opened_at) == (ACCOUNT, "ann", "USD", FIRST_AT)


def test_a_refused_opening_is_no_account() -> None:
    assert rows_after(ACCOUNT_ROWS, e.AccountRefused(reference="GBP", reason=e.Refusal.CURRENCY)) == []


def test_a_withdrawal_is_pending_until_it_is_paid() -> None:
    asked = row_after(WITHDRAWALS, REQUESTED)
    assert (asked.status, asked.amount, asked.ended_at) == (WithdrawalStatus.PENDING, o.dollars(400), None)
    paid = row_after(WITHDRAWALS, REQUESTED, e.CashWithdrawn(withdrawal_id=RENT, amount=o.dollars(400)))
    assert (paid.status, paid.ended_at) == (WithdrawalStatus.PAID, FIRST_AT + 1_000_000)


def test_a_refused_withdrawal_has_its_reason() -> None:
    refusal = e.WithdrawalRefused(withdrawal_id=RENT, amount=o.dollars(400), reason="BUYING_POWER")
    row = row_after(WITHDRAWALS, REQUESTED, refusal)
    assert (row.status, row.reason) == (WithdrawalStatus.REFUSED, "BUYING_POWER")


@pytest.mark.postgres
async def test_queries_give_what_is_the_owners_and_nobody_elses(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=20, count=300))
    await (await projector_of(db, tape.codec, [account_list])).apply(tape.arrived)
    opened = {account_id for context, account_id in tape.states if context == "accounts"}
    mine = await file.by_owner(db, tenant="acme", owner="ann", limit=3)
    mine += await file.by_owner(db, tenant="acme", owner="ann", limit=3, after=mine[-1].account_id)
    assert [row.account_id for row in mine] == sorted(opened)
    assert await file.by_owner(db, tenant="acme", owner="bob", limit=3) == []
    assert await file.account(db, tenant="rival", account_id=ACCOUNTS[0]) is None
    assert (await file.account(db, tenant="acme", account_id=ACCOUNTS[0])) in mine
    paged: list[WithdrawalRow] = []
    who = {"tenant": "acme", "account_id": ACCOUNTS[0]}
    while page := await file.withdrawals(db, **who, limit=2, before=paged[-1].opened_version if paged else None):
        paged += page
    state = tape.states["accounts", ACCOUNTS[0]]
    assert {row.withdrawal_id for row in paged} == {*state.pending, *state.ended}
    assert len(paged) > 2
    assert await file.withdrawal(db, **who, withdrawal_id=paged[0].withdrawal_id) == paged[0]
