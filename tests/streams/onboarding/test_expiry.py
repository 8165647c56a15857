"""A check ends when its time is over: the clock says when, the decider whether."""

from domain.kernel.ids import Micros
from domain.onboarding.decide import onboarding
from domain.onboarding.events import KycCheckExpired
from streams.onboarding import expiry
from streams.onboarding.expiry import Due
from tests.kit import kyc
from tests.kit.sagas import recorded


def due_after(*events: object) -> Due:
    due = Due()
    for event in events:
        due.see(recorded(event))  # type: ignore[arg-type]  # events of onboarding
    return due


def over(due: Due, now: int) -> list[str]:
    return [check_id for (_, _, check_id), _ in due.over(Micros(now))]


def test_a_waiting_check_is_over_on_its_day_and_a_passed_one_a_year_later() -> None:
    assert over(due_after(kyc.requested()), kyc.DUE - 1) == []
    assert over(due_after(kyc.requested()), kyc.DUE) == ["first"]
    assert over(due_after(kyc.requested(), kyc.passed()), kyc.DUE) == []
    assert over(due_after(kyc.requested(), kyc.passed()), kyc.VALID_UNTIL) == ["first"]


def test_what_has_failed_or_expired_does_not_end_again() -> None:
    assert over(due_after(kyc.requested(), kyc.failed()), kyc.VALID_UNTIL) == []
    assert over(due_after(kyc.requested(), kyc.passed(), kyc.expired()), kyc.VALID_UNTIL) == []


def test_the_longest_overdue_end_first_and_only_so_many_at_once() -> None:
    many = [kyc.requested(f"c-{number}", due_at=10_000 - number) for number in range(expiry.ENDED_MAX + 1)]
    found = over(due_after(*many), 10_000)
    assert found[0] == f"c-{expiry.ENDED_MAX}"
    assert len(found) == expiry.ENDED_MAX


def test_the_end_that_is_sent_is_one_that_the_decider_takes_and_has_one_id_for_ever() -> None:
    ((key, due_at),) = due_after(kyc.requested(), kyc.passed()).over(kyc.VALID_UNTIL)
    issued = expiry.ending(key, due_at, kyc.VALID_UNTIL)
    assert issued.command_id == expiry.ending(key, due_at, Micros(kyc.VALID_UNTIL + 1)).command_id
    file = onboarding.fold([kyc.requested(), kyc.passed()])
    event = onboarding.decide(file, issued.command)
    assert isinstance(event, KycCheckExpired)
    assert event.revokes
