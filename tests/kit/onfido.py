"""The KYC vendor for tests: its simulator as a program, an inbox for its webhooks, and its contract as a judge."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from pydantic import SecretStr

from infra.kyc.onfido import Access
from infra.kyc.records import Address, Applicant
from tests.kit.vendor_files import vendor_file
from tests.simulators.kit import PATIENCE_S, Program, program

TOKEN = "api-token-planted"
SECRET = SecretStr("webhook-secret-planted")
WORKFLOW = "5f0f3ab8-f5fd-4ea6-9a14-0dd6a8e6a1aa"
RUN = "/workflow_runs/{workflow_run_id}"
Json = dict[str, Any]


class Contract:
    """The vendor's OpenAPI, asked whether an answer is one of its own."""

    def __init__(self) -> None:
        self._document = json.loads(vendor_file("onfido/openapi.json").read_text())

    def answer(self, verb: str, path: str, status: int, body: object) -> list[str]:
        """What is wrong with an answer to this operation; nothing is good."""
        answers = self._document["paths"][path][verb.lower()]["responses"]
        described = answers.get(str(status)) or answers["default"]
        if "content" not in described:
            return [] if body is None else ["a body where the contract has none"]
        return self._faults(described["content"]["application/json"]["schema"], body)

    def notice(self, body: object) -> list[str]:
        """What is wrong with a webhook."""
        return self._faults({"$ref": "#/components/schemas/webhook_event"}, body)

    def _faults(self, schema: Json, value: object) -> list[str]:
        whole = {"allOf": [schema], "components": self._document["components"]}
        judge = OAS30Validator(whole, format_checker=oas30_format_checker)
        return [f"{error.json_path}: {error.message}" for error in judge.iter_errors(value)]


class Inbox:
    """A customer's webhook door: keeps what comes, and answers as it is told."""

    def __init__(self) -> None:
        self.came: list[tuple[bytes, str]] = []
        self.statuses: list[int] = []
        self._changed = asyncio.Condition()
        self.url = ""

    async def until(self, enough: Callable[[list[Json]], bool]) -> list[Json]:
        """Wait until what came is enough; the payloads that came."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: enough(self.payloads))
        return self.payloads

    @property
    def payloads(self) -> list[Json]:
        """What the notices say, in the order in which they came."""
        return [json.loads(body)["payload"] for body, _ in self.came]

    async def receive(self, request: web.Request) -> web.Response:
        async with self._changed:
            self.came.append((await request.read(), request.headers.get("X-SHA2-Signature", "")))
            self._changed.notify_all()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@contextlib.asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """An open door."""
    made = Inbox()
    app = web.Application()
    app.router.add_post("/hook", made.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield made
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def vendor(folder: Path, webhook_url: str, *more: object) -> AsyncIterator[Program]:
    """The simulator; what it knows survives in `folder`. Secrets are given as files, as on a real machine."""
    for name, text in (("token", TOKEN), ("secret", SECRET.get_secret_value())):
        (folder / name).write_text(text + "\n")
    args: list[object] = ["--token", f"@{folder / 'token'}", "--webhook-secret", f"@{folder / 'secret'}"]
    args += ["--webhook-url", webhook_url, "--journal", folder / "journal", "--processing-ms", 20, "--retry-ms", 20]
    async with program("onfido", folder / "log", *args, *more) as started:
        yield started


def access(started: Program, token: str = TOKEN) -> Access:
    """Where the client finds it."""
    return Access(f"http://127.0.0.1:{started.port}/v3.6", SecretStr(token))


def person(last_name: str = "Planted", **more: Any) -> Applicant:
    """Somebody with every field."""
    lives = Address(country="GBR", postcode="SW4 6EH", street="Second Street", building_number="100", town="London")
    given: Json = {
        "first_name": "Jane",
        "date_of_birth": "1990-01-31",
        "email": "jane@planted.example",
        "address": lives,
    }
    return Applicant(last_name=last_name, **(given | more))


async def ask(
    started: Program, verb: str, path: str, body: object = None, token: str | None = TOKEN
) -> tuple[int, Any, Json]:
    """Status, body and headers of a raw request; a path without its own root is of the API."""
    root = "" if path.startswith("/_simulator") else "/v3.6"
    headers = {"Authorization": f"Token token={token}"} if token is not None else {}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(verb, f"http://127.0.0.1:{started.port}{root}{path}", json=body) as answer,
    ):
        text = await answer.read()
        return answer.status, json.loads(text) if text else None, dict(answer.headers)
