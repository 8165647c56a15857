"""The rules of a check's life: one check at a time, one decision a check, and a standing that follows from them."""

from typing import assert_never

from domain.kernel.decider import Decider
from domain.kernel.ids import Micros
from domain.onboarding import commands as c
from domain.onboarding import events as e
from domain.onboarding.commands import OnboardingCommand, Outcome
from domain.onboarding.events import KycRefused, OnboardingEvent, Refusal
from domain.onboarding.state import Check, CheckState, KycFile, Standing, evolve

EFFECT = "effect:"
"""Actors that speak for the vendor, and for the clock, begin with this."""
DAY_US = 86_400_000_000
ANSWER_DAYS_MAX = 30
"""Days that a check may wait for its answer: people at the vendor look within a few, after that nobody does."""
VALID_DAYS = 365
"""Days that a passed check holds: whose address or papers changed is asked again every year."""
CHECKS_MAX = 100
"""Checks of one account for as long as it lives: a bound on its state; a check costs money besides."""
VENDOR_ERROR = "VENDOR_ERROR"
APPLICANT_REFUSED = "APPLICANT_REFUSED"
SAYS_NOTHING = frozenset({VENDOR_ERROR, APPLICANT_REFUSED})
"""Causes of a failed check that say nothing of the person: they take no standing away."""
_OPEN = (CheckState.WAITING, CheckState.REFERRED)


def decide(file: KycFile, command: OnboardingCommand) -> OnboardingEvent:
    """The fact or the refusal that follows from this command."""
    match command:
        case c.RequestKycCheck():
            return request(file, command)
        case c.RecordKycReport():
            return record(file, command)
        case c.ExpireKycCheck():
            return expire(file, command)
        case _:
            assert_never(command)


def request(file: KycFile, command: c.RequestKycCheck) -> OnboardingEvent:
    """A new check, when none is open."""
    if not command.applicant_sealed:
        return KycRefused(reference=command.check_id, reason=Refusal.APPLICANT_MISSING)
    if command.check_id in file.checks:
        return KycRefused(reference=command.check_id, reason=Refusal.DUPLICATE_CHECK)
    if file.open_check:
        return KycRefused(reference=command.check_id, reason=Refusal.CHECK_PENDING)
    if len(file.checks) >= CHECKS_MAX:
        return KycRefused(reference=command.check_id, reason=Refusal.LIMIT_CHECKS)
    due_at = Micros(command.at + ANSWER_DAYS_MAX * DAY_US)
    return e.KycCheckRequested(check_id=command.check_id, applicant_sealed=command.applicant_sealed, due_at=due_at)


def record(file: KycFile, command: c.RecordKycReport) -> OnboardingEvent:
    """The vendor's word decides a check once; a person's look may come between."""
    refusal = _unreportable(file, command)
    if refusal is not None:
        return KycRefused(reference=command.check_id, reason=refusal)
    match command.outcome:
        case Outcome.REFERRED:
            return e.KycCheckReferred(check_id=command.check_id, run_id=command.run_id, cause=command.cause)
        case Outcome.PASSED:
            return e.KycCheckPassed(
                check_id=command.check_id,
                run_id=command.run_id,
                valid_until=Micros(command.at + VALID_DAYS * DAY_US),
                restores=file.standing is Standing.LOST,
            )
        case Outcome.FAILED:
            return e.KycCheckFailed(
                check_id=command.check_id,
                run_id=command.run_id,
                cause=command.cause,
                revokes=file.standing is Standing.GOOD and command.cause not in SAYS_NOTHING,
            )
        case _:
            assert_never(command.outcome)


def expire(file: KycFile, command: c.ExpireKycCheck) -> OnboardingEvent:
    """A check ends when its time is over; an officer may end it before."""
    check = file.checks.get(command.check_id)
    refusal = _unexpirable(check, command)
    if refusal is not None:
        return KycRefused(reference=command.check_id, reason=refusal)
    revokes = file.standing is Standing.GOOD and file.stands_on == command.check_id
    return e.KycCheckExpired(check_id=command.check_id, cause=command.cause, revokes=revokes)


def _unreportable(file: KycFile, command: c.RecordKycReport) -> Refusal | None:
    if not command.actor.startswith(EFFECT):
        return Refusal.FORBIDDEN_ACTOR
    check = file.checks.get(command.check_id)
    if check is None:
        return Refusal.UNKNOWN_CHECK
    if check.state not in _OPEN:
        return Refusal.ALREADY_DECIDED
    if check.run_id and command.run_id != check.run_id:
        return Refusal.OTHER_RUN
    if command.outcome is Outcome.REFERRED and check.state is CheckState.REFERRED:
        return Refusal.ALREADY_REFERRED
    return None


def _unexpirable(check: Check | None, command: c.ExpireKycCheck) -> Refusal | None:
    if check is None:
        return Refusal.UNKNOWN_CHECK
    if check.state is CheckState.EXPIRED:
        return Refusal.ALREADY_EXPIRED
    if check.state is CheckState.FAILED:
        return Refusal.ALREADY_DECIDED
    # An officer may see what no clock knows; the clock itself is held to the day that was said.
    is_early = command.actor.startswith(EFFECT) and command.at < check.due_at
    return Refusal.NOT_DUE if is_early else None


onboarding: Decider[KycFile, OnboardingCommand, OnboardingEvent] = Decider(KycFile(), decide, evolve)
