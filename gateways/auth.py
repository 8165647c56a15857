"""Authorization header -> Caller, and what a caller may do: the one place where tenant and account are bound.

All that is wrong with a token gets one answer, and another's account gets the answer of a missing one, so that nobody
learns from an answer what exists.
"""

import base64
import binascii
import time

from aiohttp import web

from gateways.problems import Problem, not_found, unauthenticated
from gateways.routes import Route, is_own, may_see
from infra.tokens import Caller, Scope, TokenRefused, Verifier

REQUESTS_PER_SECOND_MAX = 1_000
"""Requests of one token in a second: ten times what a busy trading desk sends, a tenth of what one gateway takes."""
SUBPROTOCOL = "tapeline.v1"
"""What a browser offers on /v1/stream beside its token, since it cannot send a header there."""
TOKEN_SUBPROTOCOL = "bearer."  # noqa: S105  # nosec B105  # a prefix, no secret

NOBODY = Caller(tenant="", sub="", account="", scopes=frozenset(), token_id="", expires_at=0)
"""The caller at a door where a signature stands for a token."""


class Doorkeeper:
    """Knows who is calling and how often each token may."""

    def __init__(self, verifier: Verifier, requests_per_second_max: int = REQUESTS_PER_SECOND_MAX) -> None:
        self._verifier = verifier
        self._limit = requests_per_second_max
        self._second = 0
        self._requests: dict[str, int] = {}

    def caller(self, request: web.Request) -> Caller:
        """Who is calling. Raises Problem: 401 for any token that is no good, 429 for one that calls too often."""
        try:
            caller = self._verifier.verify(_token_of(request))
        except TokenRefused as refused:
            raise unauthenticated() from refused
        self.count(caller)
        return caller

    def count(self, caller: Caller) -> None:
        """One more request of this token, at whatever door. Raises Problem: 429."""
        self._admit_often(caller.token_id, "This token")

    def outsider(self, route: Route) -> Caller:
        """Whoever knocks at a door where a signature stands for a token; all of them share one rate. Raises 429."""
        self._admit_often(route.name, "This door")
        return NOBODY

    def admit(self, caller: Caller, route: Route, account_id: str | None) -> None:
        """Let the caller in, or raise Problem: 403 for a missing scope, 404 for an account that is not the caller's."""
        if route.scope is not None and route.scope not in caller.scopes:
            raise Problem(
                403,
                "scope-missing",
                f"This needs the scope `{route.scope}`.",
                remedy=f"Use a token with `{route.scope}`.",
            )
        if account_id is None:
            return
        # Orders and cash move for the token's own account only, however much else the token may see.
        allowed = is_own(caller, account_id) if route.scope is Scope.TRADE else may_see(caller, account_id)
        if not allowed:
            raise not_found()

    def _admit_often(self, name: str, who: str) -> None:
        second = int(time.monotonic())
        if second != self._second:  # A new window; what was counted in the one before is forgotten.
            self._second = second
            self._requests.clear()
        self._requests[name] = count = self._requests.get(name, 0) + 1
        if count > self._limit:
            raise Problem(
                429,
                "too-many-requests",
                f"{who} had more than {self._limit} requests in a second.",
                remedy="Slow down and send the request again.",
                headers={"Retry-After": "1"},
            )


def _token_of(request: web.Request) -> str:
    """The token of a request; Kafka tools can only send a password, browsers only a subprotocol."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeError) as error:
                raise TokenRefused("unreadable") from error
            return password if user == "token" else ""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return next((each.strip()[len(TOKEN_SUBPROTOCOL) :] for each in offered if each.strip().startswith("bearer.")), "")
