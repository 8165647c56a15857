"""How long a client may take over a request: who takes longer is let go, so that nobody holds a door with silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateways.problems import Problem

IDLE_SECONDS_MAX = 75.0
"""Until a connection has brought a whole head, its first or its next: longer than balancers keep one without a use."""
BODY_SECONDS_MAX = 10.0
"""Until the body is whole: sixteen kilobytes over the slowest line that trades."""
LINGER_SECONDS_MAX = 3.0
"""How long a body is still read that has its answer already: a client that is told 413 while it sends hears it."""


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Around the reading of a body. Raises Problem: 408."""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            yield
    except TimeoutError as slow:
        raise Problem(
            408,
            "too-slow",
            f"The body was not whole after {BODY_SECONDS_MAX:.0f} s.",
            field="body",
            remedy="Send the request again, its body at once.",
        ) from slow
