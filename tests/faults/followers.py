"""Clients of the streams that write down every frame before they look at it, and come again from their last cursor."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import aiohttp
import msgspec

from tests.faults.checker.evidence import Heard
from tests.faults.histories import Log

AGAIN_SECONDS = 0.2
SILENCE_SECONDS_MAX = 40.0
"""Longest silence of a stream that lives: its heartbeats come every fifteen seconds."""
LINE_BYTES_MAX = 2**20


class Follower:
    """What one client of a stream follows, and where it is."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, log: Log, opened: Heard) -> None:
        """`opened` names client, door, tenant, scope and topics; connection and cursor are filled in."""
        self.cursor = ""
        self.connections = 0
        self.events = 0
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._log = log
        self._opened = opened

    async def follow(self) -> None:
        """Hear, and come again, until cancelled."""
        while True:
            self.connections += 1
            self._write("opened")
            with suppress(aiohttp.ClientError, OSError, TimeoutError):  # Whatever it is: the cursor is what counts.
                await (self._socket() if self._opened.door == "websocket" else self._stream())
            self._write("closed")
            await asyncio.sleep(AGAIN_SECONDS)

    def leave(self, *, is_complete: bool) -> None:
        """Say that nothing more is heard; complete, when all that there was must have been heard by now."""
        self._write("closed", is_complete=is_complete)

    async def _socket(self) -> None:
        async with self._session.ws_connect(f"{self._url}/v1/stream", headers=self._headers) as socket:
            wanted = {"type": "subscribe", "accounts": self._opened.scope}
            await socket.send_json(wanted | ({"cursor": self.cursor} if self.cursor else {}))
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._hear(message.data.encode())

    async def _stream(self) -> None:
        headers = self._headers | ({"Last-Event-ID": self.cursor} if self.cursor else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS_MAX)
        asked = self._session.get(self._url, headers=headers, timeout=timeout, read_bufsize=LINE_BYTES_MAX)
        async with asked as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self._hear(line[len(b"data: ") :])

    def _hear(self, data: bytes) -> None:
        frame: dict[str, Any] = msgspec.json.decode(data)
        self._write("frame", frame=frame)
        self.cursor = frame.get("cursor") or self.cursor
        self.events += frame.get("type") == "event"

    def _write(self, what: Literal["opened", "frame", "closed"], **says: Any) -> None:
        line = msgspec.structs.replace(
            self._opened if what == "opened" else Heard(what=what, mono_ns=0, client=self._opened.client, connection=0),
            what=what,
            mono_ns=time.monotonic_ns(),
            connection=self.connections,
            **(says | ({"cursor": self.cursor} if what == "opened" else {})),
        )
        self._log.write(line)


@asynccontextmanager
async def following(*followers: Follower) -> AsyncIterator[None]:
    """All of these hear for as long as this lasts."""
    tasks = [asyncio.create_task(each.follow()) for each in followers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
