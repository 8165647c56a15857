"""What the vendor said, sealed, and what it means for the account's file.

`KycNotice` is what came to the webhook: it decides nothing, it makes an effect look. `KycReport` is what that saw;
`interpret` turns one into the command it stands for. Only the status stands in the clear, everything else is
sealed under the account's key, so that an interpretation can be repaired and needs no key.
"""

from domain.kernel.ids import AccountId, CheckId, Micros, derived
from domain.kernel.messages import Observed, Unreadable
from domain.onboarding.commands import Outcome, RecordKycReport
from domain.onboarding.decide import APPLICANT_REFUSED, VENDOR_ERROR

VENDOR = "onfido"
ACTOR = "effect:onboarding.vendor"
"""The actor that speaks for the vendor."""
REFUSED = "refused"
"""Our word for a run that the vendor would not begin."""
ERASED = "erased"
"""Our word for a run that was never begun, since the person was erased first."""
APPLICANT_CONTEXT = "onboarding.applicant_sealed"
"""The place that an applicant is sealed for; it is read under the same name."""
NOTICE_CONTEXT = "onboarding.notices.body_sealed"
REPORT_CONTEXT = "onboarding.reports.body_sealed"
_FAILURES = {
    "declined": "DECLINED",
    "abandoned": "ABANDONED",
    "error": VENDOR_ERROR,
    REFUSED: APPLICANT_REFUSED,
    ERASED: "ERASED",
}


class KycNotice(Observed, frozen=True, kw_only=True):
    """What came to the vendor's webhook: a run to look at, or why it was refused."""

    source_id: str
    tenant: str
    account_id: AccountId
    run_id: str
    refusal: str
    body_sealed: bytes
    received_at: Micros


class KycReport(Observed, frozen=True, kw_only=True):
    """How a run stood when the effect looked; `source_id` is the same whenever it stands so again."""

    source_id: str
    tenant: str
    account_id: AccountId
    check_id: CheckId
    run_id: str
    status: str
    cause: str
    body_sealed: bytes
    received_at: Micros


def source_id(check_id: str, run_id: str, status: str) -> str:
    """The id of this state of a run: however often it is read, and by whom, it is told once."""
    return derived("kyc", VENDOR, check_id, run_id, status)


def interpret(report: KycReport) -> RecordKycReport:
    """The command that this report stands for; raises Unreadable for a status that decides nothing."""
    if report.status == "approved":
        outcome, cause = Outcome.PASSED, ""
    elif report.status == "review":
        outcome, cause = Outcome.REFERRED, report.cause
    elif report.status in _FAILURES:
        outcome, cause = Outcome.FAILED, _FAILURES[report.status]
    else:
        raise Unreadable(f"report {report.source_id}: status {report.status!r} decides nothing")
    return RecordKycReport(
        at=report.received_at,
        actor=ACTOR,
        check_id=report.check_id,
        run_id=report.run_id,
        outcome=outcome,
        cause=cause,
    )
