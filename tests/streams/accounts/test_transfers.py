"""Cash between an account and its book, step by step, and the whole way with the real deciders on both ends."""

from typing import Any

import msgspec
import pytest

from domain.accounts import commands as ac
from domain.accounts import events as a
from domain.kernel.ids import DepositId, Micros, WithdrawalId
from domain.kernel.messages import Command, Event
from domain.kernel.money import Money
from domain.orders import commands as oc
from domain.orders import events as o
from domain.orders.events import Refusal
from infra.avro.codec import Codec
from streams.accounts import opening, transfers
from streams.sagas import steps
from tests.kit.sagas import given, wiring
from tests.kit.tape import Tape

RENT, SALARY = WithdrawalId("rent"), DepositId("salary")
CENTS = Money(100_00)


def test_the_wiring_sentence_names_what_the_saga_reads_and_writes() -> None:
    assert wiring(transfers) == ("accounts.events, orders.events", "orders.commands, accounts.commands")


STORIES: list[tuple[Event, str, Command]] = [
    (a.CashDeposited(deposit_id=SALARY, amount=CENTS), "orders", oc.CreditCash(deposit_id=SALARY, amount=CENTS)),
    (
        a.WithdrawalRequested(withdrawal_id=RENT, amount=CENTS),
        "orders",
        oc.ReserveCash(withdrawal_id=RENT, amount=CENTS),
    ),
    (o.CashReserved(withdrawal_id=RENT, amount=CENTS), "accounts", ac.CompleteWithdrawal(withdrawal_id=RENT)),
    (a.CashWithdrawn(withdrawal_id=RENT, amount=CENTS), "orders", oc.SpendReservation(withdrawal_id=RENT)),
    (
        a.WithdrawalRefused(withdrawal_id=RENT, amount=CENTS, reason="BUYING_POWER"),
        "orders",
        oc.ReleaseReservation(withdrawal_id=RENT),
    ),
]


@pytest.mark.parametrize(("event", "context", "command"), STORIES, ids=lambda each: type(each).__name__)
def test_each_event_is_followed_by_its_next_step(event: Event, context: str, command: Command) -> None:
    assert given(event).makes(transfers.transfers) == [(context, command)]


def test_cash_that_is_not_there_refuses_the_withdrawal_with_the_reason_of_the_book() -> None:
    refused = o.BookRefused(reference="rent", reason=Refusal.BUYING_POWER)
    made = given(refused, actor="saga:accounts.transfers").makes(transfers.transfers)
    assert made == [("accounts", ac.RefuseWithdrawal(withdrawal_id=RENT, reason=Refusal.BUYING_POWER))]


def test_a_refusal_of_somebody_else_moves_no_cash() -> None:
    refused = o.BookRefused(reference="rent", reason=Refusal.BUYING_POWER)
    assert given(refused, actor="sub:ann").makes(transfers.transfers) == []
    assert given(o.TradingOpened(currency="USD")).makes(transfers.transfers) == []


class Bank:
    """Both sagas over both deciders in memory: every step is decided at once, and its event seen in turn."""

    def __init__(self, codec: Codec) -> None:
        self.tape = Tape(codec, partitions=1)
        self._seen = 0

    def ask(self, command: Command) -> None:
        """The owner asks; everything that follows, follows."""
        self.tape.decide("accounts", "ann", msgspec.structs.replace(command, actor="sub:ann", at=Micros(1)))
        while self._seen < len(self.tape.recorded()):
            recorded = self.tape.recorded()[self._seen]
            self._seen += 1
            for saga in (opening.opening, transfers.transfers):
                for context, issued in steps(saga, recorded):
                    self.tape.decide(context, "ann", issued.command)

    @property
    def types(self) -> list[str]:
        return [type(each.event).__name__ for each in self.tape.recorded()]

    @property
    def book(self) -> Any:
        return self.tape.states["orders", "ann"]


@pytest.fixture
def bank(codec: Codec) -> Bank:
    made = Bank(codec)
    made.ask(ac.OpenAccount(owner="ann", currency="USD"))
    made.ask(ac.DepositCash(deposit_id=SALARY, amount=CENTS))
    return made


def test_an_opened_account_with_a_deposit_may_spend_it(bank: Bank) -> None:
    assert bank.types == ["AccountOpened", "LimitsSet", "TradingOpened", "CashDeposited", "CashCredited"]
    assert bank.book.cash == CENTS


def test_a_withdrawal_is_reserved_paid_and_spent(bank: Bank) -> None:
    before = len(bank.types)
    bank.ask(ac.RequestWithdrawal(withdrawal_id=RENT, amount=CENTS))
    assert bank.types[before:] == ["WithdrawalRequested", "CashReserved", "CashWithdrawn", "ReservationSpent"]
    assert bank.book.cash == 0


def test_a_withdrawal_beyond_the_cash_is_refused_and_everything_comes_to_rest(bank: Bank) -> None:
    before = len(bank.types)
    bank.ask(ac.RequestWithdrawal(withdrawal_id=RENT, amount=Money(CENTS + 1)))
    assert bank.types[before : before + 3] == ["WithdrawalRequested", "BookRefused", "WithdrawalRefused"]
    assert all(name.endswith("Refused") for name in bank.types[before + 3 :])
    assert bank.book.cash == CENTS


def test_the_first_limits_of_an_account_reach_its_risk_file(bank: Bank) -> None:
    limits = next(each.event for each in bank.tape.recorded("risk"))
    assert limits.order_notional_max == opening.ORDER_NOTIONAL_MAX
