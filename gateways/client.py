"""Verbs of the command line -> the gateway's REST doors: the same requests that programs send, and their answers.

Every request that changes something carries a key; whatever could not be answered now is asked again with the same
one, so that nothing is done twice. A receipt is followed until the decision on it is read back.
"""

import asyncio
import base64
import binascii
import uuid
from typing import Any, TypeAlias

import aiohttp
import msgspec

from infra.tokens import EVERY_ACCOUNT

REPEATS_MAX = 5
"""How often a request is sent again while the gateway asks to come back later (429 and 503)."""
REPEAT_SECONDS_MAX = 2.0
"""Longest pause before a request is sent again, whatever the gateway says."""
FOLLOW_SECONDS_MAX = 30.0
"""How long a receipt is followed; a decision that takes longer needs an operator."""
FOLLOW_EVERY_SECONDS = 0.2
"""Pause between two looks at a receipt."""
ANSWER_SECONDS_MAX = 15.0
"""Longest wait for one answer: a gateway that waits for a decision answers within ten."""
_LATER = frozenset({429, 503})
_RECEIPT = 202

Json: TypeAlias = Any


class Refused(Exception):
    """The answer is no; the message is one line with the remedy, `problem` is what the gateway sent."""

    def __init__(self, problem: dict[str, Json]) -> None:
        remedy = f" remedy: {problem['remedy']}" if problem.get("remedy") else ""
        super().__init__(f"refused: {problem.get('detail') or problem.get('title')}{remedy}")
        self.problem = problem

    @property
    def reason(self) -> str:
        """The enumerated reason of a decision; empty when it never came to one."""
        return str(self.problem.get("reason", ""))


class Client:
    """Speaks to one gateway with one token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._token = token

    async def read(self, path: str, **query: str | int | None) -> Json:
        """The answer to a GET. Raises Refused."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        _, _, answer = await self._ask("GET", path, None, {}, asked)
        return answer

    async def send(self, method: str, path: str, body: Json = None, *, key: str = "") -> Json:
        """The answer to a request that changes something, or the event behind its receipt. Raises Refused."""
        key = key or uuid.uuid4().hex
        status, headers, answer = await self._ask(method, path, body, {"Idempotency-Key": key}, {})
        return await self._followed(headers["Location"], key) if status == _RECEIPT else answer

    async def _followed(self, location: str, key: str) -> Json:
        """The decision on a receipt."""
        until = asyncio.get_running_loop().time() + FOLLOW_SECONDS_MAX
        while asyncio.get_running_loop().time() < until:
            status, _, receipt = await self._ask("GET", location, None, {}, {})
            if status != _RECEIPT:
                return _decided(receipt)
            await asyncio.sleep(FOLLOW_EVERY_SECONDS)
        raise Refused(
            {
                "detail": f"No decision within {FOLLOW_SECONDS_MAX:.0f} s; the command stands on the tape.",
                "remedy": f"Look at `./tapeline status`, then repeat with --key {key}: nothing is done twice.",
            }
        )

    async def _ask(
        self, method: str, path: str, body: Json, headers: dict[str, str], query: dict[str, str]
    ) -> tuple[int, dict[str, str], Json]:
        """Status, headers and body of the first answer that is one."""
        for _ in range(REPEATS_MAX):
            status, found, answer = await self._ask_once(method, path, body, headers, query)
            if status not in _LATER:
                break
            await asyncio.sleep(min(float(found.get("Retry-After", "0")), REPEAT_SECONDS_MAX))
        if status >= 400:  # noqa: PLR2004  where the statuses of errors begin
            raise Refused(answer)
        return status, found, answer

    async def _ask_once(
        self, method: str, path: str, body: Json, headers: dict[str, str], query: dict[str, str]
    ) -> tuple[int, dict[str, str], Json]:
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(method, self._url + path, data=data, headers=head, params=query) as answer:
                text = await answer.read()
                if "json" not in answer.content_type:
                    raise Refused(_no_gateway(self._url, f"answers {answer.status} without JSON"))
                return answer.status, dict(answer.headers), msgspec.json.decode(text)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refused(_no_gateway(self._url, f"does not answer: {error!r}")) from error


def session() -> aiohttp.ClientSession:
    """A session with the waits of a client."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX))


def claims(token: str) -> dict[str, Json]:
    """What a token says of its bearer. Not checked: the gateway does that. Raises Refused."""
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        found: dict[str, Json] = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {name: found[name] for name in ("tenant", "account", "sub", "scope")}
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(
            {
                "detail": "`--token` is no token." if token else "A token is needed.",
                "remedy": "Mint one with `./tapeline token` and give it with --token or in TAPELINE_TOKEN.",
            }
        ) from error


def account_of(token: str, account: str) -> str:
    """The account that is meant: the one that was named, else the token's own. Raises Refused."""
    account = account or str(claims(token)["account"])
    if account == EVERY_ACCOUNT:
        raise Refused({"detail": "This token names no account.", "remedy": "Name one with --account."})
    return account


def _decided(receipt: dict[str, Json]) -> Json:
    event = receipt["event"]
    if event is None:
        raise Refused({"detail": receipt["detail"], "remedy": "Look at `./tapeline dead list`, then repeat it."})
    if str(event.get("event_type", "")).endswith("Refused"):
        raise Refused({"detail": f"{event.get('reason')}.", "reason": event.get("reason")})
    return event


def _no_gateway(url: str, what: str) -> dict[str, Json]:
    return {
        "detail": f"The gateway at {url} {what}.",
        "remedy": "Start it with `make up`, or set TAPELINE_GATEWAY_HOST and TAPELINE_GATEWAY_PORT.",
    }
