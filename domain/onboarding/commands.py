"""Orders given to one account's file of checks: by its owner, by the word of the vendor, and by the passing of time."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import CheckId
from domain.kernel.messages import Command


class Outcome(StrEnum):
    """What a report of the vendor means."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    REFERRED = "REFERRED"


class RequestKycCheck(Command, frozen=True, kw_only=True):
    """Check who owns the account: `applicant_sealed` is who it is, sealed at the gateway for this account."""

    check_id: CheckId
    applicant_sealed: bytes


class RecordKycReport(Command, frozen=True, kw_only=True):
    """The vendor said how a run of the check ended, or that a person must look. Sent by an effect."""

    check_id: CheckId
    run_id: str
    outcome: Outcome
    cause: str


class ExpireKycCheck(Command, frozen=True, kw_only=True):
    """The check holds no longer: its time is over (sent by an effect), or an officer ends it early."""

    check_id: CheckId
    cause: str


OnboardingCommand: TypeAlias = RequestKycCheck | RecordKycReport | ExpireKycCheck
