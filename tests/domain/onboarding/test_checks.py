"""Checks of one account: asked one at a time, decided once, and a standing that follows."""

import pytest

from domain.onboarding.commands import Outcome
from domain.onboarding.decide import CHECKS_MAX, SAYS_NOTHING, onboarding
from domain.onboarding.events import Refusal
from domain.onboarding.state import Standing
from tests.kit.kyc import (
    DUE,
    EFFECT,
    NOW,
    RUN,
    VALID_UNTIL,
    expire,
    expired,
    failed,
    kyc_refused,
    passed,
    referred,
    report,
    request,
    requested,
)
from tests.kit.stories import Story

file = Story(onboarding)


def test_a_check_is_requested_and_waits_until_its_day() -> None:
    assert file.given().when(request()).then(requested()).standing is Standing.NONE


def test_a_check_is_requested_once() -> None:
    for story in ((requested(),), (requested(), passed()), (requested(), failed())):
        file.given(*story).when(request()).then(kyc_refused(Refusal.DUPLICATE_CHECK))


def test_one_check_waits_at_a_time() -> None:
    for story in ((requested(),), (requested(), referred())):
        file.given(*story).when(request("second")).then(kyc_refused(Refusal.CHECK_PENDING, "second"))
    for over in (passed(), failed(), expired()):
        file.given(requested(), over).when(request("second")).then(requested("second"))


def test_a_check_of_nobody_is_refused() -> None:
    file.given().when(request(sealed=b"")).then(kyc_refused(Refusal.APPLICANT_MISSING))


def test_an_account_is_checked_only_so_often() -> None:
    many = [event for number in range(CHECKS_MAX) for event in (requested(f"c-{number}"), failed(f"c-{number}"))]
    file.given(*many).when(request()).then(kyc_refused(Refusal.LIMIT_CHECKS))
    file.given(*many[:-2]).when(request()).then(requested())


def test_a_passed_check_gives_a_good_standing() -> None:
    after = file.given(requested()).when(report()).then(passed())
    assert (after.standing, after.stands_on) == (Standing.GOOD, "first")
    file.given(requested(), referred()).when(report()).then(passed())


def test_a_failed_first_check_takes_nothing_away() -> None:
    after = file.given(requested()).when(report(Outcome.FAILED, cause="DECLINED")).then(failed(cause="DECLINED"))
    assert after.standing is Standing.NONE


def test_a_person_looks_once_and_the_check_still_waits() -> None:
    after = file.given(requested()).when(report(Outcome.REFERRED)).then(referred())
    assert after.open_check == "first"
    file.given(requested(), referred()).when(report(Outcome.REFERRED)).then(kyc_refused(Refusal.ALREADY_REFERRED))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_check_is_decided_once(outcome: Outcome) -> None:
    for over in (passed(), failed(), expired()):
        file.given(requested(), over).when(report(outcome)).then(kyc_refused(Refusal.ALREADY_DECIDED))


def test_a_report_on_a_check_that_nobody_asked_for_is_refused() -> None:
    file.given().when(report()).then(kyc_refused(Refusal.UNKNOWN_CHECK))


def test_a_report_on_another_run_than_the_one_that_was_referred_is_refused() -> None:
    file.given(requested(), referred()).when(report(run_id="run-2")).then(kyc_refused(Refusal.OTHER_RUN))


@pytest.mark.parametrize("actor", ["sub:ann", "saga:test", "agent:test", ""])
def test_only_effects_report(actor: str) -> None:
    file.given(requested()).when(report(actor=actor)).then(kyc_refused(Refusal.FORBIDDEN_ACTOR))


def test_a_later_failed_check_takes_the_standing_away_and_a_later_pass_gives_it_back() -> None:
    lost = (requested(), passed(), requested("second"), failed("second", revokes=True))
    after = file.given(*lost[:-1]).when(report(Outcome.FAILED, "second")).then(lost[-1])
    assert after.standing is Standing.LOST
    again = file.given(*lost, requested("third")).when(report(Outcome.PASSED, "third"))
    assert again.then(passed("third", restores=True)).standing is Standing.GOOD


@pytest.mark.parametrize("cause", sorted(SAYS_NOTHING))
def test_a_run_that_says_nothing_of_the_person_takes_no_standing_away(cause: str) -> None:
    story = file.given(requested(), passed(), requested("second"))
    after = story.when(report(Outcome.FAILED, "second", cause=cause)).then(failed("second", cause=cause))
    assert after.standing is Standing.GOOD


def test_the_clock_ends_a_check_on_its_day_and_not_before() -> None:
    waiting, standing = file.given(requested()), file.given(requested(), passed())
    waiting.when(expire(at=DUE - 1, actor=EFFECT)).then(kyc_refused(Refusal.NOT_DUE))
    waiting.when(expire(at=DUE, actor=EFFECT)).then(expired())
    standing.when(expire(at=VALID_UNTIL - 1, actor=EFFECT)).then(kyc_refused(Refusal.NOT_DUE))
    standing.when(expire(at=VALID_UNTIL, actor=EFFECT)).then(expired(revokes=True))


def test_an_officer_ends_a_check_early() -> None:
    after = file.given(requested(), passed()).when(expire(at=NOW)).then(expired(revokes=True))
    assert after.standing is Standing.LOST


def test_an_old_check_ends_without_taking_a_newer_standing_away() -> None:
    renewed = file.given(requested(), passed(), requested("second"), passed("second", run_id=RUN))
    assert renewed.when(expire()).then(expired()).standing is Standing.GOOD


def test_a_check_that_is_over_does_not_end_again() -> None:
    file.given(requested(), expired()).when(expire()).then(kyc_refused(Refusal.ALREADY_EXPIRED))
    file.given(requested(), failed()).when(expire()).then(kyc_refused(Refusal.ALREADY_DECIDED))
    file.given().when(expire()).then(kyc_refused(Refusal.UNKNOWN_CHECK))
