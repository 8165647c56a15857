"""Requests -> routes: the HTTP server of a gateway, and the five questions it asks before any handler runs."""

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from pydantic import BaseModel

from gateways import auth, http
from gateways.performing import perform
from gateways.problems import as_problems
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
        middlewares=[as_problems],
        client_max_size=http.BODY_BYTES_MAX,
        handler_args={"max_line_size": HEADER_BYTES_MAX, "max_field_size": HEADER_BYTES_MAX},
    )
    app.add_routes(probe for probe in probe_routes(ready) if probe.path in PROBES)
    for route in routes:
        app.router.add_route(route.method, route.path, _served(route, services, doorkeeper))
    return app


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Open the port; the runner's `cleanup` closes it, lets requests end and says goodbye to sockets."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS_MAX, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


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
        return await http.body_of(request, route.body)
    if route.query is not None:
        return http.query_of(request, route.query)
    return None
