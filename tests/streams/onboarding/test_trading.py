"""A passed check lets a book trade; what takes the standing away halts it."""

from domain.kernel.messages import Event
from domain.orders.commands import ApproveTrading, HaltTrading, ResumeTrading
from streams.onboarding import trading
from streams.onboarding.trading import CAUSE
from tests.kit.kyc import FIRST, expired, failed, passed, referred, requested
from tests.kit.sagas import given, wiring


def test_the_wiring_sentence_names_what_the_saga_reads_and_writes() -> None:
    assert wiring(trading) == ("onboarding.events", "orders.commands")


def test_a_passed_check_approves_the_book() -> None:
    assert given(passed()).makes(trading.trading) == [("orders", ApproveTrading(check_id=FIRST))]


def test_a_pass_that_restores_the_standing_lifts_its_own_halt_too() -> None:
    approve, resume = given(passed(restores=True)).makes(trading.trading)
    assert (approve, resume) == (("orders", ApproveTrading(check_id=FIRST)), ("orders", ResumeTrading(cause=CAUSE)))


def test_a_check_that_takes_the_standing_away_halts_the_book() -> None:
    ((_, halt),) = given(failed(cause="DECLINED", revokes=True)).makes(trading.trading)
    assert halt == HaltTrading(cause=CAUSE, reason="check first failed: DECLINED")
    ((_, halt),) = given(expired(revokes=True)).makes(trading.trading)
    assert halt == HaltTrading(cause=CAUSE, reason="check first expired: moved away")


def test_nothing_else_touches_a_book() -> None:
    harmless: tuple[Event, ...] = (requested(), referred(), failed(), expired())
    assert all(given(event).makes(trading.trading) == [] for event in harmless)
