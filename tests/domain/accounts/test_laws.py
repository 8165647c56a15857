"""Laws of an account, over any history of commands."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts import commands as c
from domain.accounts import events as e
from domain.accounts.commands import AccountCommand
from domain.accounts.decide import accounts
from domain.accounts.state import Account
from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.money import AMOUNT_MAX, Money
from domain.kernel.snapshots import decode, encode

amounts = st.sampled_from([-1, 0, 1, 500, AMOUNT_MAX - 500, AMOUNT_MAX, AMOUNT_MAX + 1]).map(Money)
actors = st.sampled_from(["saga:test", "saga:test", "sub:ann"])
deposits = st.sampled_from(["salary", "gift", "estate"]).map(DepositId)
withdrawals = st.sampled_from(["rent", "car"]).map(WithdrawalId)
commands: st.SearchStrategy[AccountCommand] = st.one_of(
    st.builds(c.OpenAccount, owner=st.sampled_from(["ann", ""]), currency=st.sampled_from(["USD", "USD", "XAU", ""])),
    st.builds(c.DepositCash, deposit_id=deposits, amount=amounts),
    st.builds(c.RequestWithdrawal, withdrawal_id=withdrawals, amount=amounts),
    st.builds(c.CompleteWithdrawal, actor=actors, withdrawal_id=withdrawals),
    st.builds(c.RefuseWithdrawal, actor=actors, withdrawal_id=withdrawals, reason=st.just("no")),
)
OPEN = c.OpenAccount(owner="ann", currency="USD")


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=30), st.booleans())
def test_every_transfer_counts_once_and_ends_once(history: list[AccountCommand], is_opened: bool) -> None:
    account = accounts.initial
    events = []
    for command in [OPEN, *history] if is_opened else history:
        event = accounts.decide(account, command)
        after = accounts.evolve(account, event)
        restored = decode(encode(account), Account)
        assert (restored, accounts.decide(restored, command)) == (account, event)
        if isinstance(event, e.AccountRefused):
            assert after == account, command
        assert not set(after.pending) & set(after.ended), command
        assert 0 <= after.deposited == sum(after.deposits.values()) <= AMOUNT_MAX, command
        account = after
        events.append(event)
    assert accounts.fold(events) == account
    accounts.fold(reversed(events))
    paid = [event.withdrawal_id for event in events if isinstance(event, e.CashWithdrawn | e.WithdrawalRefused)]
    asked = [event.withdrawal_id for event in events if isinstance(event, e.WithdrawalRequested)]
    assert len(paid) == len(set(paid))
    assert set(paid) <= set(asked)
