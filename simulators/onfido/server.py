"""Customers' HTTP -> the vendor's records -> notices: the API below /v3.6, and a control door for whoever tests.

Only who shows the token is answered. Answers are what the vendor's OpenAPI describes; what is not served here is 404.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web

from simulators.onfido import requests
from simulators.onfido.misbehaviour import Dice
from simulators.onfido.notices import Notices
from simulators.onfido.records import STATUSES, UNDECIDED, Records
from simulators.onfido.requests import Invalid, Json

API = "/v3.6"
PAGE = 20
"""Objects of one page, by the contract."""
PAGE_MAX = 500
"""Objects of the largest page."""
BODY_BYTES_MAX = 64 * 1024
"""An applicant has a dozen short fields."""
RETRY_AFTER_S = 1
log = logging.getLogger("onfido")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Vendor:
    """The API over the records."""

    def __init__(self, records: Records, notices: Notices, dice: Dice, token: str, processing_ms: int) -> None:
        self._records = records
        self._notices = notices
        self._dice = dice
        self._token = token
        self._processing_ms = processing_ms
        self._tasks: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._door], client_max_size=BODY_BYTES_MAX)
        app.add_routes(
            [
                web.post(f"{API}/applicants", self._create_applicant),
                web.get(f"{API}/applicants", self._list_applicants),
                web.get(f"{API}/applicants/{{id}}", self._find_applicant),
                web.delete(f"{API}/applicants/{{id}}", self._delete_applicant),
                web.post(f"{API}/workflow_runs", self._create_run),
                web.get(f"{API}/workflow_runs", self._list_runs),
                web.get(f"{API}/workflow_runs/{{id}}", self._find_run),
                web.get("/_simulator/misbehaviour", self._show_misbehaviour),
                web.put("/_simulator/misbehaviour", self._misbehave),
                web.post("/_simulator/runs/{id}", self._decide_by_hand),
                web.post("/_simulator/runs/{id}/notify", self._notify_again),
                web.get("/_simulator/state", self._state),
                web.get("/healthz", self._state),
            ]
        )
        return app

    def resume(self) -> None:
        """Go on with what an earlier life began."""
        for run_id in self._records.undecided():
            self._process(run_id)
        self._notices.resume()

    async def close(self) -> None:
        """Stop; what is undecided is decided in the next life."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notices.close()

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        if self._dice.happens("slow"):
            await asyncio.sleep(self._dice.bad.slow_ms / 1000)
        if self._dice.happens("too_many"):
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return _error(429, "rate_limit", "You have made too many requests", headers=headers)
        if request.headers.get("Authorization") != f"Token token={self._token}":
            return _error(401, "authorization_error", "Authorization error: please re-check your credentials")
        fails = self._dice.happens("fail")
        if fails and self._dice.coin():
            return _error(503, "unavailable", "Nothing was done")
        answer = await self._answer(request, handler)
        if fails:
            return _error(500, "internal_server_error", "Something was done, and you are not told what")
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Invalid as invalid:
            message = "There was a validation error on this request"
            return _error(422, "validation_error", message, fields=invalid.fields)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            return _error(400, "bad_request", "The body is no JSON")
        except web.HTTPException as refused:
            return _error(refused.status, "bad_request", refused.reason)
        except LookupError:
            return _error(404, "resource_not_found", "The requested resource is not found")

    async def _create_applicant(self, request: web.Request) -> web.Response:
        return web.json_response(self._records.add_applicant(requests.applicant(await request.json())), status=201)

    async def _list_applicants(self, request: web.Request) -> web.Response:
        newest_first = reversed(self._records.applicants.values())
        return web.json_response({"applicants": _page(request, newest_first, _number(request, "per_page", PAGE))})

    async def _find_applicant(self, request: web.Request) -> web.Response:
        return web.json_response(self._records.applicants[request.match_info["id"]])

    async def _delete_applicant(self, request: web.Request) -> web.Response:
        self._records.forget(str(self._records.applicants[request.match_info["id"]]["id"]))
        return web.Response(status=204)

    async def _create_run(self, request: web.Request) -> web.Response:
        given = requests.run(await request.json())
        if given["applicant_id"] not in self._records.applicants:
            raise Invalid({"applicant_id": "does not exist"})
        run = self._records.add_run(given)
        self._process(str(run["id"]))
        return web.json_response(run, status=201)

    async def _list_runs(self, request: web.Request) -> web.Response:
        tags, applicant_id = set(request.query.getall("tags", [])), request.query.get("applicant_id")
        statuses = set(filter(None, request.query.get("status", "").split(",")))
        found = [
            run
            for run in self._records.runs.values()
            if tags <= set(_tags(run))
            and (not applicant_id or run["applicant_id"] == applicant_id)
            and (not statuses or run["status"] in statuses)
        ]
        found.sort(key=lambda run: str(run["updated_at"]), reverse=request.query.get("sort", "desc") == "desc")
        return web.json_response(_page(request, found, PAGE))

    async def _find_run(self, request: web.Request) -> web.Response:
        return web.json_response(self._records.runs[request.match_info["id"]])

    def _process(self, run_id: str) -> None:
        task = asyncio.create_task(self._decide_later(run_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide_later(self, run_id: str) -> None:
        outcome = self._records.outcome(self._records.runs[run_id])
        await asyncio.sleep(self._processing_ms / 1000)
        # Somebody may have decided it by hand meanwhile.
        if outcome != UNDECIDED and self._records.runs[run_id]["status"] == UNDECIDED:
            self._decide(run_id, outcome)

    def _decide(self, run_id: str, status: str) -> Json:
        run = self._records.decide(run_id, status)
        log.info("run %s is %s", run_id, status)
        self._notices.send(self._records.owe(run))
        return run

    async def _decide_by_hand(self, request: web.Request) -> web.Response:
        run_id, told = request.match_info["id"], await request.json()
        if run_id not in self._records.runs:
            return _error(404, "resource_not_found", "No such run")
        status = told.get("status") if isinstance(told, dict) else None
        if status not in STATUSES:
            return _error(422, "validation_error", f"status must be one of {', '.join(sorted(STATUSES))}")
        return web.json_response(self._decide(run_id, str(status)))

    async def _notify_again(self, request: web.Request) -> web.Response:
        run = self._records.runs.get(request.match_info["id"])
        if run is None:
            return _error(404, "resource_not_found", "No such run")
        self._notices.send(self._records.owe(run))
        return web.Response(status=202)

    async def _show_misbehaviour(self, _: web.Request) -> web.Response:
        bad = self._dice.bad
        return web.json_response({name: getattr(bad, name) for name in bad.__dataclass_fields__})

    async def _misbehave(self, request: web.Request) -> web.Response:
        try:
            self._dice.bad = self._dice.bad.changed(await request.json())
        except (ValueError, TypeError) as error:
            return _error(422, "validation_error", str(error))
        return await self._show_misbehaviour(request)

    async def _state(self, _: web.Request) -> web.Response:
        counts = {"applicants": len(self._records.applicants), "runs": len(self._records.runs)}
        owed = {"owed": len(self._records.owed)}
        return web.json_response({"status": "ok", **counts, "notices": dict(self._notices.counts) | owed})


def is_address(url: str) -> bool:
    """Whether webhooks can be sent there."""
    split = urlsplit(url)
    return split.scheme in {"http", "https"} and bool(split.hostname)


def _tags(run: Json) -> list[str]:
    tags = run["tags"]
    return tags if isinstance(tags, list) else []


def _page(request: web.Request, found: Iterable[Json], size: int) -> list[Json]:
    first = (_number(request, "page", 1) - 1) * size
    return list(found)[first : first + size]


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= PAGE_MAX:
        raise Invalid({name: f"must be from 1 to {PAGE_MAX}"})
    return int(text)


def _error(
    status: int, kind: str, message: str, *, fields: object = None, headers: dict[str, str] | None = None
) -> web.Response:
    error = {"type": kind, "message": message, "fields": fields or {}}
    return web.json_response({"error": error}, status=status, headers=headers)
