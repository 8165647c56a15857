"""What a report of the vendor means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import AccountId, Micros
from domain.kernel.messages import Unreadable
from domain.onboarding import reports
from domain.onboarding.commands import Outcome
from domain.onboarding.decide import EFFECT
from domain.onboarding.reports import KycReport
from tests.kit.kyc import FIRST, RUN

MEANINGS = {
    "approved": (Outcome.PASSED, ""),
    "review": (Outcome.REFERRED, "document"),
    "declined": (Outcome.FAILED, "DECLINED"),
    "abandoned": (Outcome.FAILED, "ABANDONED"),
    "error": (Outcome.FAILED, "VENDOR_ERROR"),
    "refused": (Outcome.FAILED, "APPLICANT_REFUSED"),
    "erased": (Outcome.FAILED, "ERASED"),
}


def told(status: str) -> KycReport:
    return KycReport(
        source_id=reports.source_id(FIRST, RUN, status),
        tenant="acme",
        account_id=AccountId("acc"),
        check_id=FIRST,
        run_id=RUN,
        status=status,
        cause="document",
        body_sealed=b"sealed",
        received_at=Micros(9),
    )


@pytest.mark.parametrize("status", MEANINGS)
def test_every_ended_run_has_one_meaning(status: str) -> None:
    command = reports.interpret(told(status))
    assert (command.outcome, command.cause) == MEANINGS[status]
    assert (command.check_id, command.run_id, command.at) == (FIRST, RUN, 9)
    assert command.actor.startswith(EFFECT)


@given(st.text().filter(lambda status: status not in MEANINGS))
def test_no_other_word_decides_anything(status: str) -> None:
    with pytest.raises(Unreadable, match="decides nothing"):
        reports.interpret(told(status))


def test_a_state_of_a_run_is_told_once_however_often_it_is_read() -> None:
    assert reports.source_id("c", "r", "review") == reports.source_id("c", "r", "review")
    assert len({reports.source_id("c", "r", status) for status in MEANINGS}) == len(MEANINGS)
