"""Clients of the doors that write down what they ask and what they are told, in the checker's formats.

A line is on its way to the disk, by one write to a file opened with O_APPEND, before the request is sent and before the
answer is used. So whatever happens to the client, what it knew is in its history.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec

from tests.faults.checker import ids
from tests.faults.checker.evidence import Entry

REPEAT_SECONDS = 0.5
MANY = ("/cancel-all",)
"""Endings of routes that become several commands: none of them is the request's own."""
ACCEPTED, TOO_MANY_REQUESTS = 202, 429


class Log:
    """An append-only file of lines."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: msgspec.Struct) -> None:
        """One line, whole."""
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Nothing more is written."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Told(msgspec.Struct, frozen=True):
    """An answer: its kind as the history has it, its status, its body, its headers."""

    kind: Literal["ok", "fail", "info"]
    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """One client with one token; its operations are numbered, whatever it asks for."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: str, log: Log, *, name: str, tenant: str
    ) -> None:
        self._session = session
        self._url = url
        self._token = token
        self._log = log
        self._name = name
        self._tenant = tenant
        self._ops = 0
        self._attempts: dict[str, int] = {}

    async def ask(
        self, method: str, route: str, body: Any = None, *, account: str = "*", key: str = "", **path: str
    ) -> Told:
        """One try of one command, or of a read. `route` has its path parameters in braces, as the contract has it."""
        is_read = method == "GET"
        key = key or uuid.uuid4().hex
        asked = f"{method} {route}"
        command = "" if is_read or route.endswith(MANY) else self.command(method, route, account, key)
        self._ops += 1
        attempt = self._attempts[command] = self._attempts.get(command, 0) + 1
        invoked = Entry(
            kind="invoke",
            mono_ns=time.monotonic_ns(),
            wall_us=time.time_ns() // 1_000,
            op=self._ops,
            client=self._name,
            tenant=self._tenant,
            account=account,
            asked=asked,
            command=command,
            attempt=attempt if command else 1,
            body=msgspec.Raw(msgspec.json.encode(body)),
        )
        self._log.write(invoked)
        headers = {"Authorization": f"Bearer {self._token}"} | ({} if is_read else {"Idempotency-Key": key})
        url = self._url + route.format(account_id=account, **path)
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                raw, status, sent = await answer.read(), answer.status, dict(answer.headers)
        except BaseException as lost:
            self._log.write(_later(invoked, kind="info", reason=repr(lost)[:200]))
            if isinstance(lost, aiohttp.ClientError | OSError | TimeoutError):
                return Told("info", 0, None, {})
            raise
        told = Told(_kind(status), status, _decoded(raw), sent)
        self._log.write(_answered(invoked, told, raw, is_kept=is_read or told.kind != "ok"))
        return told

    def command(self, method: str, route: str, account: str, key: str) -> str:
        """The id of the command that a request under this key becomes."""
        return ids.command_id(self._tenant, account, f"{method} {route}", key)

    async def until_known(
        self, method: str, route: str, body: Any = None, *, within_s: float = 60.0, **asked: str
    ) -> Told:
        """The same under one key until its outcome is known, or time is up: what a careful client does."""
        asked["key"] = asked.get("key") or uuid.uuid4().hex
        until = time.monotonic() + within_s
        while True:
            told = await self.ask(method, route, body, **asked)
            if told.kind != "info" or time.monotonic() > until:
                return told
            await asyncio.sleep(REPEAT_SECONDS)


def _kind(status: int) -> Literal["ok", "fail", "info"]:
    if status in {ACCEPTED, TOO_MANY_REQUESTS} or status >= 500:
        return "info"
    return "ok" if status < 300 else "fail"


def _answered(invoked: Entry, told: Told, raw: bytes, *, is_kept: bool) -> Entry:
    """The answer's line; a position names one event, or it is none."""
    place: dict[str, Any] = {}
    found = list(ids.places(told.headers.get("Tape-Position", "")).items()) if "Tape-Position" in told.headers else []
    if len(found) == 1:
        ((topic, partition), sequence) = found[0]
        place = {
            "topic": topic,
            "partition": partition,
            "sequence": sequence,
            "event_id": ids.event_id(topic, partition, sequence),
        }
    reason = told.body.get("reason", "") if isinstance(told.body, dict) and told.kind == "fail" else ""
    kept = msgspec.Raw(raw if is_kept and told.body is not None else b"null")
    return _later(invoked, kind=told.kind, status=told.status, reason=str(reason or ""), body=kept, **place)


def _later(invoked: Entry, **changes: Any) -> Entry:
    now = {"mono_ns": time.monotonic_ns(), "wall_us": time.time_ns() // 1_000, "body": msgspec.Raw(b"null")}
    return msgspec.structs.replace(invoked, **(now | changes))


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
