"""A checked call -> its answer: traced and timed when it commands, a receipt when its decision could not be waited for.

Requests and the messages of a socket go through here alike.
"""

import time
from typing import Any

from aiohttp import web

from gateways.routes import Call, receipt
from infra.bus import Pending
from infra.telemetry import ACKNOWLEDGE_SECONDS
from infra.tracing import root


async def perform(call: Call, asked: Any) -> web.StreamResponse:
    """What the route's handler answers. Raises Problem and what the handler raises."""
    if call.route.method == "GET":
        return await _answered(call, asked)
    began = time.perf_counter()
    with root(call.route.name, call.trace, tenant=call.caller.tenant) as span:
        call.trace = span.traceparent or call.trace
        try:
            return await _answered(call, asked)
        finally:
            ACKNOWLEDGE_SECONDS.labels(call.route.name).observe(time.perf_counter() - began)


async def _answered(call: Call, asked: Any) -> web.StreamResponse:
    try:
        return await call.route.handler(call, asked)
    except Pending as pending:
        return receipt(call, pending)
