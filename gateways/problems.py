"""What went wrong -> application/problem+json (RFC 9457), with the field that is wrong and what to do about it."""

from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from infra.bus import RETRY_AFTER_S, Busy, DifferentRequest, OutcomeUnknown, Stopped
from infra.postgres import DatabaseDown
from infra.telemetry import HTTP_ANSWERS, concerns, logger

CONTENT_TYPE = "application/problem+json"

log = logger("http")


class Problem(Exception):
    """An answer that is not what was asked for; `kind` is a word for programs, the rest is for people."""

    def __init__(  # noqa: PLR0913  (the members of RFC 9457, by name)
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        reason: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.field = field
        self.remedy = remedy
        self.reason = reason
        self.headers = headers or {}

    def members(self) -> dict[str, str | int]:
        """The members of RFC 9457 that there are."""
        members: dict[str, str | int | None] = {
            "type": f"urn:tapeline:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "remedy": self.remedy,
            "reason": self.reason,
        }
        return {name: value for name, value in members.items() if value is not None}

    def response(self) -> web.Response:
        """The problem as it is sent."""
        body = msgspec.json.encode(self.members())
        return web.Response(body=body, status=self.status, content_type=CONTENT_TYPE, headers=self.headers)


def not_found() -> Problem:
    """The one answer for what is not there and for what belongs to somebody else."""
    return Problem(404, "not-found", "There is nothing of yours here.", remedy="Check the ids in the path.")


def unauthenticated() -> Problem:
    """The one answer for a token that is missing, expired, forged or of another system."""
    return Problem(
        401,
        "unauthenticated",
        "A valid token is required.",
        remedy="Send `Authorization: Bearer <token>`; `./tapeline token` mints one.",
        headers={"WWW-Authenticate": 'Bearer realm="tapeline"'},
    )


def unavailable(kind: str, detail: str, remedy: str) -> Problem:
    """Something behind the gateway cannot answer now."""
    return Problem(503, kind, detail, remedy=remedy, headers={"Retry-After": str(RETRY_AFTER_S)})


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error of every route becomes a problem here, and nowhere else."""
    concerns()  # A connection serves one request after another in one task: what the last one bound is over.
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001  (the last place that can answer)
        response = problem_of(error).response()
    HTTP_ANSWERS.labels(str(response.status)).inc()
    return response


def problem_of(error: Exception) -> Problem:
    """How an error is told, whatever the door."""
    match error:
        case Problem():
            return error
        case DifferentRequest():
            return Problem(
                422,
                "key-reused",
                "This Idempotency-Key was used for another request.",
                field="Idempotency-Key",
                remedy="Choose a new key for a new request; repeat a request with its own key and body.",
            )
        case OutcomeUnknown():
            return unavailable(
                "outcome-unknown",
                "The outcome is unknown: the tape could not be reached.",
                "Outcome unknown, repeat with the same key.",
            )
        case Busy():
            return unavailable("busy", f"Nothing was sent: {error}.", "Repeat with the same key later.")
        case Stopped():
            return unavailable(
                "tape-stopped", "Nothing was sent: the tape is not read back now.", "Repeat with the same key later."
            )
        case DatabaseDown():
            return unavailable("reads-unavailable", "The read models cannot be asked now.", "Repeat the request later.")
        case web.HTTPException():
            return _of_server(error)
        case _:
            log.error("a request failed", exc_info=error)
            return Problem(500, "internal", "The request failed on our side.", remedy="Repeat it; then tell us.")


def _of_server(error: web.HTTPException) -> Problem:
    match error.status:
        case 404:
            return not_found()
        case 405:
            allowed = ", ".join(error.headers.get("Allow", "").split(","))
            return Problem(
                405, "method", "This path has no such method.", remedy=f"Use {allowed}.", headers={"Allow": allowed}
            )
        case _:
            return Problem(error.status, "http", error.text or error.reason)
