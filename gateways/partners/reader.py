"""A partner's stream over HTTP -> its frames, as a partner reads them: it comes again by itself, from its cursor."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import msgspec

from gateways.client import Refused
from gateways.partners.frames import FINAL, EndReason

SILENCE_SECONDS_MAX = 40.0
"""Longest silence of a stream that lives: its heartbeats come every fifteen seconds."""
AGAIN_SECONDS = 1.0
"""Pause before coming again, as the stream itself asks for."""
LINE_BYTES_MAX = 2**20
"""Longest line that is read: an event's data is one line, and an event is a fraction of that."""
_LATER = frozenset({429, 502, 503, 504})


class PartnerReader:
    """Reads one subscription; `cursor` is after the last frame it gave, and can be kept for another day."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: str, subscription_id: str, cursor: str = ""
    ) -> None:
        self.cursor = cursor
        self.connections = 0
        self._session = session
        self._url = f"{url}/v1/partners/subscriptions/{subscription_id}/stream"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def frames(self, **query: str) -> AsyncGenerator[dict[str, Any], None]:
        """Every frame, across as many connections as it takes, until an end after which coming again is of no use.

        Raises Refused.
        """
        while True:
            try:
                async for frame in self.connection(**query):
                    yield frame
                    if frame["type"] == "end" and EndReason(frame["reason"]) in FINAL:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # Whatever it was: the cursor is what counts.
            await asyncio.sleep(AGAIN_SECONDS)

    async def connection(self, **query: str) -> AsyncGenerator[dict[str, Any], None]:
        """The frames of one connection, from the cursor on, until it ends. Raises Refused."""
        headers = self._headers | ({"Last-Event-ID": self.cursor} if self.cursor else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS_MAX)
        asked = self._session.get(
            self._url, headers=headers, params=query, timeout=timeout, read_bufsize=LINE_BYTES_MAX
        )
        async with asked as answer:
            if answer.status in _LATER:
                return
            if answer.status != 200:  # noqa: PLR2004  the one status of a stream
                raise Refused(msgspec.json.decode(await answer.read()))
            self.connections += 1
            async for line in answer.content:
                if line.startswith(b"data: "):
                    frame: dict[str, Any] = msgspec.json.decode(line[len(b"data: ") :])
                    self.cursor = frame["cursor"]
                    yield frame
