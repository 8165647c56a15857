"""A door with every fault that frames.py looks for: the control that shows that each of them is found.

It believes the length where chunks are told too, reads on behind what it cannot read, takes every frame, writes what a
client said into its own head, and has all the time in the world.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
TOLD = b'\x81\x11{"type":"quotes"}'
GOODBYE = b"\x88\x02\x03\xe8"


def answer(status: int, field: str = "") -> bytes:
    return f"HTTP/1.1 {status} So\r\n{field}Content-Length: 0\r\n\r\n".encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                await _talk(reader, writer)
                break
            if b"DELETE /healthz" in head:
                writer.write(answer(405))
            elif b"%0d%0a" in head.lower():
                writer.write(answer(404, "X-Planted: 1\r\n"))
            elif b"content-encoding" in head.lower():
                writer.write(answer(500))
            else:
                writer.write(answer(200))
            if b"Connection: close" in head:
                break
    writer.close()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ACCEPTED)
    while data := await reader.read(65_536):
        writer.write(GOODBYE if data[-8:-6] == b"\x88\x82" else TOLD)


@asynccontextmanager
async def lax_door() -> AsyncIterator[int]:
    """The port of one."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
