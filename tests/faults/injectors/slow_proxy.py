"""A port of ours -> a server's, byte for byte, but late or in small slices; its own connections carry a mark."""

import asyncio
import contextlib
import random
import socket
from types import TracebackType
from typing import Self

import msgspec

MARK = 7
"""Of packets that must not be redirected to the proxy again."""
CHUNK_BYTES = 65_536


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How slow it is: a delay of each chunk, or slices of so many bytes."""

    least_ms: float = 0.0
    most_ms: float = 0.0
    slice_bytes: int = 0


class SlowProxy:
    """For as long as its context lasts; with it go its connections."""

    def __init__(self, upstream_port: int, pace: Pace, chance: random.Random) -> None:
        self.port = 0
        self.carried = 0
        self._upstream_port = upstream_port
        self._pace = pace
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry_both(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = socket.socket()
        upstream.setblocking(False)
        try:
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            await asyncio.get_running_loop().sock_connect(upstream, ("127.0.0.1", self._upstream_port))
            up_reader, up_writer = await asyncio.open_connection(sock=upstream)
        except OSError:
            upstream.close()
            writer.close()
            return
        for each in (writer, up_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = {asyncio.create_task(self._carry(*way)) for way in ((reader, up_writer), (up_reader, writer))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.close()
            up_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                self.carried += len(chunk)
                if self._pace.most_ms:
                    await asyncio.sleep(self._chance.uniform(self._pace.least_ms, self._pace.most_ms) / 1000)
                size = self._pace.slice_bytes or len(chunk)
                for at in range(0, len(chunk), size):
                    writer.write(chunk[at : at + size])
                    await writer.drain()
                    await asyncio.sleep(0)  # The other side's turn, lest it read them all in one piece.
