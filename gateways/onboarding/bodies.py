"""What is asked of a check: who the person is, in words that can be nothing but names, lines and days.

Names are what people are called, in any script. What no name holds is refused: markup, control and formatting
characters, private and unassigned ones, so that nothing that is shown to an officer can act or mislead. No message
repeats what was sent.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import Annotated

import msgspec
from pydantic import AfterValidator, Field, StringConstraints

from domain.kernel.ids import CheckId
from domain.onboarding.commands import ExpireKycCheck, RequestKycCheck
from gateways.http import Body
from infra.kyc.records import Address, Applicant

NAME_CHARACTERS_MAX = 100
"""Longest name of a person, in characters; the longest in passports have some eighty."""
LINE_CHARACTERS_MAX = 200
"""Longest line of an address."""
MARKUP = frozenset('<>{}[]\\"`|&;=$%#@*^~')
"""What scripts, markup and queries are made of, and no name is."""
FIRST_BIRTH = date(1900, 1, 1)
"""Nobody who was born before lives."""
_CATEGORIES_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _name(text: str) -> str:
    composed = _line(text)
    if len(composed) > NAME_CHARACTERS_MAX:
        raise ValueError(f"must have at most {NAME_CHARACTERS_MAX} characters")
    if not any(unicodedata.category(each).startswith("L") for each in composed):
        raise ValueError("must hold a letter")
    return composed


def _line(text: str) -> str:
    composed = unicodedata.normalize("NFC", text.strip())
    if not composed:
        raise ValueError("must not be empty")
    if len(composed) > LINE_CHARACTERS_MAX:
        raise ValueError(f"must have at most {LINE_CHARACTERS_MAX} characters")
    if any(_refused(composed)):
        raise ValueError(
            "must hold letters, digits, spaces and plain punctuation only: no markup, no control characters"
        )
    return composed


def _birth(text: str) -> str:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day < FIRST_BIRTH:
        raise ValueError(f"must be a day such as 1990-12-31, not before {FIRST_BIRTH.isoformat()}")
    return text


def _refused(text: str) -> Iterator[bool]:
    return (each in MARKUP or unicodedata.category(each) in _CATEGORIES_REFUSED for each in text)


Strict = StringConstraints(strict=True)
Name = Annotated[str, Strict, AfterValidator(_name)]
Line = Annotated[str, Strict, AfterValidator(_line)]
Birth = Annotated[str, Strict, AfterValidator(_birth)]
Email = Annotated[
    str, StringConstraints(strict=True, max_length=254, pattern=r"^[A-Za-z0-9.!#%&'*+/=?_~-]+@[A-Za-z0-9.-]+$")
]
Cause = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True)]


class AddressBody(Body):
    """Where the person lives."""

    country: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
    postcode: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9 -]{1,16}$")]
    street: Line | None = None
    building_number: Line | None = None
    town: Line | None = None

    def to_address(self) -> Address:
        """As it is sealed."""
        return Address(
            country=self.country,
            postcode=self.postcode,
            street=self.street,
            building_number=self.building_number,
            town=self.town,
        )


class KycCheckBody(Body):
    """Who owns the account."""

    first_name: Name
    last_name: Name
    date_of_birth: Birth
    email: Email | None = None
    address: AddressBody | None = Field(default=None)

    def plaintext(self) -> bytes:
        """What is sealed: the same bytes for the same person."""
        applicant = Applicant(
            first_name=self.first_name,
            last_name=self.last_name,
            date_of_birth=self.date_of_birth,
            email=self.email,
            address=None if self.address is None else self.address.to_address(),
        )
        return msgspec.json.encode(applicant)

    @staticmethod
    def to_command(check_id: str, sealed: bytes) -> RequestKycCheck:
        """The command; who it is about is in it as ciphertext alone."""
        return RequestKycCheck(check_id=CheckId(check_id), applicant_sealed=sealed)


class ExpireBody(Body):
    """Why a check holds no longer."""

    cause: Cause

    def to_command(self, check_id: str) -> ExpireKycCheck:
        """The command."""
        return ExpireKycCheck(check_id=CheckId(check_id), cause=self.cause)
