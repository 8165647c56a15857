"""Every open websocket of a gateway: how many there may be, and who says goodbye to them when it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, web

SOCKETS_MAX = 2_000
"""Open sockets of one gateway: each holds a queue and a connection."""


class Sockets:
    """The open sockets."""

    def __init__(self) -> None:
        self._open: set[web.WebSocketResponse] = set()

    @asynccontextmanager
    async def held(self, socket: web.WebSocketResponse) -> AsyncIterator[None]:
        """Count the socket as long as it is served."""
        if len(self._open) >= SOCKETS_MAX:
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many sockets are open")
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)

    async def close(self) -> None:
        """Send every client away; each resumes elsewhere from its cursor."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway stops")
