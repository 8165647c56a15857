"""Onfido's API v3.6 over HTTPS: an applicant's check is started once, and its run read back as it stands.

The contract is the vendor's OpenAPI; the vendor's own library is not used, since it blocks, validates answers into
three hundred generated classes and forgets their bytes, which are what we seal. Nothing is tried again here:
`ensure_run` looks before it creates, so whoever calls may simply call again. No error says anything of the applicant
but names of fields.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr

from infra.kyc.records import Applicant, Run, RunStatus

T = TypeVar("T")
ANSWER_S = 10
"""Longest wait for an answer of the vendor, who promises none."""
ANSWER_BYTES_MAX = 1_000_000
"""Larger than any run; an answer beyond it is nobody's we know."""
APPLICANTS_PAGE = 100
APPLICANT_PAGES_MAX = 2
"""Pages of the newest applicants searched for one without a run: a crash left it there moments ago."""
LEAD = "check:"
"""Before our id of the check, in tags of runs and in a number of applicants."""
ERROR_TEXT_MAX = 64
"""Characters of a vendor's error type that are kept."""
BUSY = 429
SERVER_ERROR = 500
REDIRECTS = 300
NOT_FOUND = 404
ABOUT_THE_REQUEST = frozenset({400, 409, 410, 413, 422})
"""Statuses that speak of what was asked: asking again changes nothing."""
_MS_PER_S = 1_000


class Access(msgspec.Struct, frozen=True):
    """Where the vendor is, such as https://api.eu.onfido.com/v3.6, and our token."""

    url: str
    token: SecretStr


class VendorUnavailable(Exception):
    """No answer, a busy or failing vendor, or an answer that cannot be read: the same call may work later."""

    def __init__(self, why: str, retry_after_ms: int | None = None) -> None:
        super().__init__(f"the KYC vendor cannot answer: {why}")
        self.retry_after_ms = retry_after_ms


class VendorRefused(Exception):
    """The vendor's own no; the same call gets it again."""

    def __init__(self, status: int, kind: str, fields: Sequence[str] = ()) -> None:
        named = f" of {', '.join(fields)}" if fields else ""
        super().__init__(f"the KYC vendor refuses with {status} {kind}{named}")
        self.status = status
        self.kind = kind
        self.fields = tuple(fields)


class Onfido:
    """The vendor, for one token."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    @classmethod
    @asynccontextmanager
    async def open(cls, access: Access) -> AsyncIterator["Onfido"]:
        """A client with connections of its own, as long as the context lasts."""
        headers = {"Authorization": f"Token token={access.token.get_secret_value()}", "Accept": "application/json"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            yield cls(http, access.url)

    async def ensure_run(self, applicant: Applicant, *, check_id: str, customer: str, workflow_id: str) -> Run:
        """The run of this check: the one that is there, or a new one. Calling again starts nothing twice."""
        found = await self.find_run(check_id)
        if found is not None:
            return found
        applicant_id = await self._find_applicant(check_id) or await self._create_applicant(applicant, check_id)
        asked = {
            "applicant_id": applicant_id,
            "workflow_id": workflow_id,
            "tags": [LEAD + check_id],
            "customer_user_id": customer,
        }
        return _run(await self._ask("POST", "/workflow_runs", body=asked))

    async def run(self, run_id: str) -> Run:
        """The run as it stands. Raises VendorRefused with status 404 for one that the vendor does not know."""
        return _run(await self._ask("GET", f"/workflow_runs/{_segment(run_id)}", is_one=True))

    async def find_run(self, check_id: str) -> Run | None:
        """The first run of this check, if one was started."""
        body = await self._ask("GET", "/workflow_runs", query={"tags": LEAD + check_id})
        runs = [_run(raw) for raw in _read(body, list[msgspec.Raw])]
        # Whatever the vendor thinks of our filter, a run of another check is not an answer.
        mine = sorted((run for run in runs if run.check_id == check_id), key=lambda run: (run.created_at, run.run_id))
        return mine[0] if mine else None

    async def forget(self, applicant_id: str) -> None:
        """Have the vendor delete what it knows of an applicant; one that it does not know is forgotten already."""
        try:
            await self._ask("DELETE", f"/applicants/{_segment(applicant_id)}", is_one=True)
        except VendorRefused as refused:
            if refused.status != NOT_FOUND:
                raise

    async def forget_check(self, check_id: str) -> bool:
        """Have the vendor delete the person of this check; whether it had ever heard of one."""
        run = await self.find_run(check_id)
        applicant_id = run.applicant_id if run else await self._find_applicant(check_id)
        if applicant_id is None:
            return False
        await self.forget(applicant_id)
        return True

    async def _create_applicant(self, applicant: Applicant, check_id: str) -> str:
        given = {name: value for name, value in msgspec.to_builtins(applicant).items() if value is not None}
        given["dob"] = given.pop("date_of_birth")
        if applicant.address is not None:
            given["address"] = {name: value for name, value in given["address"].items() if value is not None}
        # The contract has no field for the customer's own id of an applicant; a number of kind "other" is free.
        given["id_numbers"] = [{"type": "other", "value": LEAD + check_id}]
        return _read(await self._ask("POST", "/applicants", body=given), _Applicant).id

    async def _find_applicant(self, check_id: str) -> str | None:
        """An applicant that we created for this check before a crash."""
        mine = _IdNumber("other", LEAD + check_id)
        for page in range(1, APPLICANT_PAGES_MAX + 1):
            query = {"page": str(page), "per_page": str(APPLICANTS_PAGE)}
            found = _read(await self._ask("GET", "/applicants", query=query), _Applicants).applicants
            for applicant in found:
                if mine in (applicant.id_numbers or ()):
                    return applicant.id
            if len(found) < APPLICANTS_PAGE:
                break
        return None

    async def _ask(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        is_one: bool = False,
    ) -> bytes:
        """The answer's body; `is_one` says that the path names one thing, which may be unknown."""
        try:
            async with self._http.request(
                verb, self._url + path, params=query, json=body, allow_redirects=False
            ) as answer:
                said = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(said) <= ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                    said += more
        except TimeoutError:
            raise VendorUnavailable(f"no answer to {verb} within {ANSWER_S} s") from None
        except aiohttp.ClientError as error:
            # Some of these carry the request with our token in it: none is chained.
            raise VendorUnavailable(f"{verb} failed with {type(error).__name__}") from None
        if len(said) > ANSWER_BYTES_MAX:
            raise VendorUnavailable(f"its answer to {verb} is longer than {ANSWER_BYTES_MAX} bytes")
        if answer.ok and answer.status < REDIRECTS:
            return said
        if answer.status in ABOUT_THE_REQUEST or (answer.status == NOT_FOUND and is_one):
            raise _refused(answer.status, said)
        raise _away(answer.status, answer.headers)


class _IdNumber(msgspec.Struct, frozen=True):
    type: str = ""
    value: str = ""


class _Applicant(msgspec.Struct, frozen=True):
    id: str
    id_numbers: list[_IdNumber] | None = None


class _Applicants(msgspec.Struct, frozen=True):
    applicants: list[_Applicant]


class _Run(msgspec.Struct, frozen=True):
    """The fields of a run that we look at; the rest stays raw."""

    id: str
    applicant_id: str
    status: RunStatus
    created_at: str = ""
    customer_user_id: str | None = None
    tags: list[str] | None = None
    reasons: list[str] | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    fields: dict[str, Any] = {}


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def _run(raw: bytes | msgspec.Raw) -> Run:
    read = _read(raw, _Run)
    checks = [tag.removeprefix(LEAD) for tag in read.tags or () if tag.startswith(LEAD)]
    return Run(
        run_id=read.id,
        applicant_id=read.applicant_id,
        status=read.status,
        check_id=checks[0] if checks else "",
        customer=read.customer_user_id or "",
        reasons=tuple(read.reasons or ()),
        created_at=read.created_at,
        raw=bytes(raw),
    )


def _read(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # What it says may hold words of the applicant: the answer is not quoted.
        raise VendorUnavailable(f"its answer is no {kind.__name__.lstrip('_').lower()} of the contract") from None


def _refused(status: int, said: bytes) -> VendorRefused:
    try:
        error = msgspec.json.decode(said, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error("unreadable_error")
    # The values beside the names repeat what the applicant gave.
    return VendorRefused(status, error.type[:ERROR_TEXT_MAX], sorted(error.fields))


def _away(status: int, headers: Mapping[str, str]) -> VendorUnavailable:
    if status == BUSY or status >= SERVER_ERROR:
        return VendorUnavailable(f"status {status}", _retry_after_ms(headers))
    # A refused token or a wrong address is ours to mend, and no fault of the person asked about.
    return VendorUnavailable(f"status {status}: is TAPELINE_ONFIDO_URL its API, and TAPELINE_ONFIDO_TOKEN good?")


def _retry_after_ms(headers: Mapping[str, str]) -> int | None:
    seconds = headers.get("Retry-After", "")
    return int(seconds) * _MS_PER_S if seconds.isdecimal() else None


def _segment(vendor_id: str) -> str:
    """An id as one segment of a path: a notice that was signed may still name anything."""
    if not vendor_id or not vendor_id.replace("-", "").isalnum() or not vendor_id.isascii():
        raise VendorRefused(NOT_FOUND, "malformed_id")
    return vendor_id
