"""What is told to a KYC vendor about a person, and what the vendor says about the check."""

from enum import StrEnum

import msgspec


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person lives; the country is its three letters."""

    country: str
    postcode: str
    street: str | None = None
    building_number: str | None = None
    town: str | None = None
    state: str | None = None

    def __repr__(self) -> str:
        """No personal data gets into a log by its repr."""
        return "Address(…)"


class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """A person to be checked; `date_of_birth` as YYYY-MM-DD."""

    first_name: str
    last_name: str
    date_of_birth: str
    email: str | None = None
    address: Address | None = None

    def __repr__(self) -> str:
        """No personal data gets into a log by its repr."""
        return "Applicant(…)"


class RunStatus(StrEnum):
    """Where a run of the vendor's workflow stands."""

    PROCESSING = "processing"
    AWAITING_INPUT = "awaiting_input"
    AWAITING_CLIENT_INPUT = "awaiting_client_input"
    APPROVED = "approved"
    DECLINED = "declined"
    REVIEW = "review"
    ABANDONED = "abandoned"
    ERROR = "error"

    @property
    def is_ended(self) -> bool:
        """Whether the vendor has said what it has to say, at least for now."""
        return self not in _OPEN


_OPEN = {RunStatus.PROCESSING, RunStatus.AWAITING_INPUT, RunStatus.AWAITING_CLIENT_INPUT}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the vendor's workflow; `raw` is the answer byte for byte, which is personal data."""

    run_id: str
    applicant_id: str
    status: RunStatus
    check_id: str
    customer: str
    reasons: tuple[str, ...]
    created_at: str
    raw: bytes

    def __repr__(self) -> str:
        """The raw answer stays out of logs."""
        return f"Run({self.run_id}, {self.status})"
