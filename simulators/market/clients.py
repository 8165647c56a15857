"""Lines to say -> each listener's socket: one bounded queue per listener, so that none can hold up the others."""

import asyncio
import contextlib
import logging
import socket
from collections import deque

LINES_MAX = 20_000
"""Lines that may wait for one listener: about forty wall seconds at the default speed. Who is further behind is cut."""
LINES_AT_ONCE = 200
"""Lines written before the socket is asked whether it keeps up."""
BUFFER_BYTES_MAX = 64 * 1024
"""Bytes that may wait below the queue, in the process and in the kernel; few, so that the queue is what fills."""

log = logging.getLogger("market")


class Client:
    """One listener."""

    def __init__(self, writer: asyncio.StreamWriter, lines_max: int = LINES_MAX) -> None:
        self._writer = writer
        self._lines: deque[bytes] = deque()
        self._lines_max = lines_max
        self._wake = asyncio.Event()
        self.name = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        self.is_cut = False
        writer.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        # The kernel would hold megabytes more, and a listener would be minutes behind before anybody noticed.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES_MAX)

    def offer(self, line: bytes) -> None:
        """Queue a line; a listener with a full queue loses its connection instead."""
        if self.is_cut:
            return
        if len(self._lines) >= self._lines_max:
            self.is_cut = True
            log.warning("cut client %s: %d lines behind, reconnect to go on from now", self.name, len(self._lines))
            self._lines.clear()
            self._writer.transport.abort()
        else:
            self._lines.append(line)
        self._wake.set()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Write until the listener leaves, is cut or is let go."""
        pumping = asyncio.create_task(self._pump())
        try:
            # Nothing a listener says is heeded; only the end of its talk is.
            while not self.is_cut and await reader.read(BUFFER_BYTES_MAX):
                pass
        except ConnectionError:
            pass
        finally:
            pumping.cancel()
            self._writer.close()

    def close(self) -> None:
        """Let the listener go once the socket has taken what was written."""
        self._writer.close()

    async def _pump(self) -> None:
        with contextlib.suppress(ConnectionError):
            while not self.is_cut:
                await self._wake.wait()
                self._wake.clear()
                while self._lines:
                    batch = [self._lines.popleft() for _ in range(min(LINES_AT_ONCE, len(self._lines)))]
                    self._writer.write(b"".join(batch))
                    await self._writer.drain()
