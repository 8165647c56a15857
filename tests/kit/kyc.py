"""Small verbs for one account's file of checks: the check is `first`, its run `run-1`, the rest is dull."""

from domain.kernel.ids import CheckId, Micros
from domain.onboarding import commands as c
from domain.onboarding import events as e
from domain.onboarding.commands import Outcome
from domain.onboarding.decide import ANSWER_DAYS_MAX, DAY_US, VALID_DAYS

NOW = Micros(1_700_000_000_000_000)
DUE = Micros(NOW + ANSWER_DAYS_MAX * DAY_US)
VALID_UNTIL = Micros(NOW + VALID_DAYS * DAY_US)
FIRST = CheckId("first")
RUN = "run-1"
SEALED = b"\x01 sealed"
EFFECT = "effect:test"
OFFICER = "sub:officer"


def request(check_id: str = FIRST, *, sealed: bytes = SEALED, at: int = NOW) -> c.RequestKycCheck:
    return c.RequestKycCheck(at=Micros(at), actor="sub:ann", check_id=CheckId(check_id), applicant_sealed=sealed)


def report(
    outcome: Outcome = Outcome.PASSED,
    check_id: str = FIRST,
    *,
    run_id: str = RUN,
    cause: str = "",
    at: int = NOW,
    actor: str = EFFECT,
) -> c.RecordKycReport:
    return c.RecordKycReport(
        at=Micros(at), actor=actor, check_id=CheckId(check_id), run_id=run_id, outcome=outcome, cause=cause
    )


def expire(check_id: str = FIRST, *, at: int = NOW, actor: str = OFFICER) -> c.ExpireKycCheck:
    return c.ExpireKycCheck(at=Micros(at), actor=actor, check_id=CheckId(check_id), cause="moved away")


def requested(check_id: str = FIRST, *, due_at: int = DUE) -> e.KycCheckRequested:
    return e.KycCheckRequested(check_id=CheckId(check_id), applicant_sealed=SEALED, due_at=Micros(due_at))


def referred(check_id: str = FIRST, *, run_id: str = RUN, cause: str = "") -> e.KycCheckReferred:
    return e.KycCheckReferred(check_id=CheckId(check_id), run_id=run_id, cause=cause)


def passed(check_id: str = FIRST, *, run_id: str = RUN, restores: bool = False) -> e.KycCheckPassed:
    return e.KycCheckPassed(check_id=CheckId(check_id), run_id=run_id, valid_until=VALID_UNTIL, restores=restores)


def failed(check_id: str = FIRST, *, run_id: str = RUN, cause: str = "", revokes: bool = False) -> e.KycCheckFailed:
    return e.KycCheckFailed(check_id=CheckId(check_id), run_id=run_id, cause=cause, revokes=revokes)


def expired(check_id: str = FIRST, *, revokes: bool = False) -> e.KycCheckExpired:
    return e.KycCheckExpired(check_id=CheckId(check_id), cause="moved away", revokes=revokes)


def kyc_refused(reason: e.Refusal, reference: str = FIRST) -> e.KycRefused:
    return e.KycRefused(reference=reference, reason=reason)
