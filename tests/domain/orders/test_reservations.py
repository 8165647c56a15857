"""Cash of deposits and withdrawals, and who may move it."""

import msgspec
import pytest

from domain.kernel.money import AMOUNT_MAX, Money
from domain.orders.commands import SagaCommand
from domain.orders.decide import orders
from domain.orders.events import Refusal
from tests.domain.orders.book import book
from tests.kit.orders import (
    approve_trading,
    approved,
    book_refused,
    credit,
    credited,
    dollars,
    end_day,
    halt,
    halted,
    limits_set,
    open_trading,
    opened,
    place,
    placed,
    refused,
    release,
    released,
    reserve,
    reserved,
    resume,
    resumed,
    set_limits,
    spend,
    spent,
)
from tests.kit.stories import Story


def test_trading_opens_once() -> None:
    Story(orders).given().when(open_trading()).then(opened())
    book.given().when(open_trading()).then(book_refused(Refusal.ALREADY_OPEN, "USD"))


def test_trading_is_approved_once_by_each_check_before_or_after_it_opens() -> None:
    nobody = Story(orders)
    nobody.given().when(approve_trading("first")).then(approved("first"))
    nobody.given(opened()).when(approve_trading("first")).then(approved("first"))
    once = nobody.given(opened(), approved("first"))
    once.when(approve_trading("first")).then(book_refused(Refusal.ALREADY_APPROVED, "first"))
    assert once.when(approve_trading("second")).then(approved("second")).is_approved


def test_a_halt_that_comes_before_the_opening_holds_after_it() -> None:
    early = Story(orders).given().when(halt("KYC")).then(halted("KYC"))
    assert early.halts == {"KYC"}
    Story(orders).given(approved(), halted("KYC"), opened()).when(place()).then(refused(Refusal.HALTED))
    Story(orders).given(halted("KYC")).when(resume("KYC")).then(resumed("KYC"))


def test_a_deposit_is_free_to_spend() -> None:
    after = book.given().when(credit(1_000)).then(credited(101_000, deposit="salary", amount=1_000))
    assert after.free_cash == dollars(101_000)


def test_a_deposit_counts_once() -> None:
    book.given().when(credit(1_000, deposit="savings")).then(book_refused(Refusal.DUPLICATE_TRANSFER, "savings"))


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX])
def test_a_deposit_that_is_nothing_or_more_than_a_book_can_hold_is_refused(amount: int) -> None:
    command = msgspec.structs.replace(credit(), amount=Money(amount))
    book.given().when(command).then(book_refused(Refusal.AMOUNT, "salary"))


def test_a_withdrawal_is_set_aside() -> None:
    after = book.given().when(reserve(1_000)).then(reserved(1_000))
    assert (after.cash, after.free_cash) == (dollars(100_000), dollars(99_000))


def test_a_withdrawal_may_take_the_last_free_cent_and_no_more() -> None:
    book.given(placed()).when(reserve(90_000)).then(reserved(90_000))
    book.given(placed()).when(reserve("90000.01")).then(book_refused(Refusal.BUYING_POWER, "rent"))


def test_a_withdrawal_is_set_aside_once() -> None:
    for story in ((reserved(),), (reserved(), spent()), (reserved(), released())):
        book.given(*story).when(reserve()).then(book_refused(Refusal.DUPLICATE_TRANSFER, "rent"))


@pytest.mark.parametrize("amount", [0, -1])
def test_a_negative_withdrawal_makes_no_free_cash(amount: int) -> None:
    command = msgspec.structs.replace(reserve(), amount=Money(amount))
    book.given().when(command).then(book_refused(Refusal.AMOUNT, "rent"))


def test_a_payment_takes_what_was_set_aside() -> None:
    after = book.given(reserved(1_000)).when(spend()).then(spent(1_000, cash=99_000))
    assert (after.cash, after.reserved) == (dollars(99_000), 0)


def test_a_refused_withdrawal_frees_what_was_set_aside() -> None:
    after = book.given(reserved(1_000)).when(release()).then(released(1_000))
    assert (after.cash, after.reserved) == (dollars(100_000), 0)


@pytest.mark.parametrize("command", [spend(), release()], ids=["spend", "release"])
def test_a_withdrawal_ends_once(command: SagaCommand) -> None:
    for story in ((), (reserved(), spent()), (reserved(), released())):
        book.given(*story).when(command).then(book_refused(Refusal.UNKNOWN_TRANSFER, "rent"))


UPKEEP = [
    (open_trading, "USD"),
    (approve_trading, "check"),
    (halt, "exposure"),
    (resume, "exposure"),
    (credit, "salary"),
    (set_limits, "limits"),
    (reserve, "rent"),
    (spend, "rent"),
    (release, "rent"),
    (end_day, "2012-03-05"),
]


@pytest.mark.parametrize(("command", "reference"), UPKEEP, ids=lambda p: getattr(p, "__name__", ""))
@pytest.mark.parametrize("actor", ["sub:ann", "effect:test", ""])
def test_only_sagas_keep_the_book(command: type, reference: str, actor: str) -> None:
    book.given().when(command(actor=actor)).then(book_refused(Refusal.FORBIDDEN_ACTOR, reference))


@pytest.mark.parametrize(("command", "reference"), UPKEEP[:-1], ids=lambda p: getattr(p, "__name__", ""))
def test_agents_end_days_and_nothing_else(command: type, reference: str) -> None:
    book.given().when(command(actor="agent:test")).then(book_refused(Refusal.FORBIDDEN_ACTOR, reference))


def test_limits_and_deposits_that_come_before_the_opening_are_kept() -> None:
    """Sagas send side by side: refused, the book would trade without its limit, and the deposit would be lost."""
    told = Story(orders)
    told.given().when(set_limits(5000)).then(limits_set(5000))
    told.given(limits_set(5000)).when(credit(1000)).then(credited(1000, deposit="salary", amount=1000))


@pytest.mark.parametrize(("command", "reference"), UPKEEP[6:], ids=lambda p: getattr(p, "__name__", ""))
def test_a_book_that_is_not_open_is_not_kept(command: type, reference: str) -> None:
    Story(orders).given().when(command(actor="saga:test")).then(book_refused(Refusal.NOT_OPEN, reference))
