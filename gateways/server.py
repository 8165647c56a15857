"""Requests -> routes: the HTTP server of a gateway, and the five questions it asks before any handler runs."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from gateways import auth, http
from gateways.patience import IDLE_SECONDS_MAX, LINGER_SECONDS_MAX, in_time
from gateways.performing import perform
from gateways.problems import Problem, as_problems
from gateways.routes import Call, Route, Services
from infra.telemetry import Ready, probe_routes

PROBES = {"/healthz", "/readyz"}
"""What anybody may ask; metrics have a port of their own."""
STOP_SECONDS_MAX = 10.0
"""How long requests under way may take when the gateway stops: longer than the longest wait for a decision."""
HEADER_BYTES_MAX = 16_384
"""Largest line and largest field of a request's head: a token takes half a kilobyte, a cursor a few."""

Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    routes: Iterable[Route], services: Services, doorkeeper: auth.Doorkeeper, ready: Ready
) -> web.Application:
    """The gateway as an application: every route of the table, and the probes."""
    app = web.Application(
        middlewares=[end_refused_upgrades, as_problems],
        client_max_size=http.BODY_BYTES_MAX,
        handler_args={
            "max_line_size": HEADER_BYTES_MAX,
            "max_field_size": HEADER_BYTES_MAX,
            "keepalive_timeout": IDLE_SECONDS_MAX,
            "lingering_time": LINGER_SECONDS_MAX,
            "auto_decompress": False,  # A kilobyte unfolds to a megabyte, before anybody has shown a token.
        },
    )
    app.add_routes(probe for probe in probe_routes(ready) if probe.path in PROBES)
    for route in routes:
        app.router.add_route(route.method, route.path, _served(route, services, doorkeeper))
    return app


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Open the port; the runner's `cleanup` closes it, lets requests end and says goodbye to sockets."""
    # What is no HTTP has its 400; a line of the log for each would let anybody fill a disk.
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS_MAX, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


@web.middleware
async def end_refused_upgrades(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What follows an upgrade may be in the other protocol: where that was refused, nothing more is read."""
    response = await handler(request)
    if request.headers.get("Upgrade") and response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        response.force_close()
    return response


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether the failure is one of the gateway, not of what it was sent."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _served(route: Route, services: Services, doorkeeper: auth.Doorkeeper) -> Served:
    async def serve_one(request: web.Request) -> web.StreamResponse:
        caller = doorkeeper.outsider(route) if route.is_signed else doorkeeper.caller(request)
        doorkeeper.admit(caller, route, request.match_info.get("account_id"))
        key = http.idempotency_key(request) if route.needs_key else request.headers.get("Idempotency-Key", "")
        asked = await _asked(request, route)
        return await perform(Call(request, route, services, caller, key, doorkeeper), asked)

    return serve_one


async def _asked(request: web.Request, route: Route) -> BaseModel | None:
    if route.body is not None:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(
                415,
                "content-encoding",
                "The body must not be compressed.",
                field="Content-Encoding",
                remedy="Send it as it is.",
            )
        async with in_time():
            return await http.body_of(request, route.body)
    if route.query is not None:
        return http.query_of(request, route.query)
    return None
