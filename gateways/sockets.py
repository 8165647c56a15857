"""Every open stream of a gateway: how many there may be, of one holder too, and who says goodbye when it stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

SOCKETS_MAX = 2_000
"""Open streams of one gateway: each holds a queue and a connection."""
Goodbye = Callable[[], Awaitable[object]]


class SocketsFull(Exception):
    """As many streams are open as may be."""


class Sockets:
    """The open streams, each with the way to end it."""

    def __init__(self) -> None:
        self._open: set[Goodbye] = set()
        self._of: Counter[str] = Counter()

    @asynccontextmanager
    async def held(self, goodbye: Goodbye, holder: str = "", holder_max: int = SOCKETS_MAX) -> AsyncIterator[None]:
        """Count the stream as long as it is served. Raises SocketsFull when enough are open."""
        if len(self._open) >= SOCKETS_MAX or self._of[holder] >= holder_max:
            raise SocketsFull
        self._open.add(goodbye)
        self._of[holder] += 1
        try:
            yield
        finally:
            self._open.discard(goodbye)
            self._of[holder] -= 1
            if not self._of[holder]:
                del self._of[holder]

    async def close(self) -> None:
        """Send every client away; each resumes elsewhere from its cursor."""
        await asyncio.gather(*(goodbye() for goodbye in list(self._open)))
