"""What became of the checks of one account's owner."""

from enum import StrEnum
from typing import TypeAlias

from domain.kernel.ids import CheckId, Micros
from domain.kernel.messages import Event


class Refusal(StrEnum):
    """Why a command was refused, most basic reason first."""

    FORBIDDEN_ACTOR = "FORBIDDEN_ACTOR"
    APPLICANT_MISSING = "APPLICANT_MISSING"
    DUPLICATE_CHECK = "DUPLICATE_CHECK"
    CHECK_PENDING = "CHECK_PENDING"
    LIMIT_CHECKS = "LIMIT_CHECKS"
    UNKNOWN_CHECK = "UNKNOWN_CHECK"
    OTHER_RUN = "OTHER_RUN"
    ALREADY_DECIDED = "ALREADY_DECIDED"
    ALREADY_REFERRED = "ALREADY_REFERRED"
    ALREADY_EXPIRED = "ALREADY_EXPIRED"
    NOT_DUE = "NOT_DUE"


class KycCheckRequested(Event, frozen=True, kw_only=True):
    """A check waits for the vendor; unanswered, it expires at `due_at`."""

    check_id: CheckId
    applicant_sealed: bytes
    due_at: Micros


class KycCheckReferred(Event, frozen=True, kw_only=True):
    """A person at the vendor must look; the check still waits."""

    check_id: CheckId
    run_id: str
    cause: str


class KycCheckPassed(Event, frozen=True, kw_only=True):
    """The owner is who they say; it holds until `valid_until`.

    `restores` says that the account had lost its standing and has it again.
    """

    check_id: CheckId
    run_id: str
    valid_until: Micros
    restores: bool


class KycCheckFailed(Event, frozen=True, kw_only=True):
    """The check was not passed. `revokes` says that this takes away the standing that an earlier check gave."""

    check_id: CheckId
    run_id: str
    cause: str
    revokes: bool


class KycCheckExpired(Event, frozen=True, kw_only=True):
    """The check holds no longer. `revokes` says that the account stood on it and stands no more."""

    check_id: CheckId
    cause: str
    revokes: bool


class KycRefused(Event, frozen=True, kw_only=True):
    """We said no; `reference` is the check that the command named."""

    reference: str
    reason: Refusal


OnboardingEvent: TypeAlias = (
    KycCheckRequested | KycCheckReferred | KycCheckPassed | KycCheckFailed | KycCheckExpired | KycRefused
)
REFUSALS = (KycRefused,)
