"""W3C Trace Context: the caller's trace, checked, carried into the headers of its command."""

import re

from aiohttp import web

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(request: web.Request) -> str:
    """The header as it came, or nothing when it is missing or malformed."""
    given = request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else ""


def trace_id(traceparent: str) -> str:
    """The trace that a checked header names."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""
