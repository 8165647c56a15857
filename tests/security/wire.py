"""An input -> bytes on a socket -> what came back, read without any library that would mend it on the way."""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator

import msgspec

from tests.security.frame_kinds import CLOSE, GOODBYE_CODE, PONG, TEXT, frame, subscription
from tests.security.handshake_kinds import opening
from tests.security.kinds import CLOSED, SERVED, SILENT, Input, Who

ANSWER_S = 60.0
"""Longest wait for the end of a connection that was not a slow one: thirteen seconds of a door, on a busy machine."""
SLOW_S = 110.0
"""Longest life of a connection that keeps the door waiting: its 75 seconds, on a busy machine."""
PIECE_S = 0.001
"""Pause between torn pieces, so that they come as pieces."""
READ_BYTES = 65_536
ANSWER_BYTES_MAX = 4_000_000
"""More than any answer to what is thrown here."""
SOURCES = 200
"""Addresses that connections come from: one alone has no ports left after some ten thousand."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    answers: tuple[str, ...] = ()
    """Statuses of HTTP in their order."""
    end: str = SILENT
    """How it ended: a close code, `closed`, `served`, `silent`."""
    pongs: tuple[bytes, ...] = ()
    is_torn: bool = False
    """What came is no HTTP, or no frame, of a server."""
    planted: bool = False
    """A header of the answer was written by the client."""
    seconds: float = 0.0


class Wire:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self.got = bytearray()
        self.is_over = False

    async def say(self, data: bytes) -> None:
        """Send; a door that has closed already is not an error of ours."""
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(self._socket, data)

    def end(self) -> None:
        """Nothing more will come from here."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def hear(self) -> bool:
        """Some more bytes, or the end of them."""
        try:
            data = await self._loop.sock_recv(self._socket, READ_BYTES)
        except OSError:
            data = b""
        self.got += data
        self.is_over = not data or len(self.got) > ANSWER_BYTES_MAX
        return not self.is_over


@contextlib.asynccontextmanager
async def connected(port: int, chance: random.Random) -> AsyncIterator[Wire]:
    """A connection from one of many addresses of this machine, closed at the end."""
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((f"127.0.1.{chance.randrange(1, SOURCES)}", 0))
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        yield Wire(connection)


async def thrown(port: int, thing: Input, who: Who, chance: random.Random) -> Outcome:
    """Throw one input and wait for what becomes of its connection."""
    begun = time.monotonic()
    async with connected(port, chance) as wire:
        limit = SLOW_S if thing.pause_s else ANSWER_S
        try:
            async with asyncio.timeout(limit):
                if thing.is_socket and not await _opened(wire, thing, who):
                    return Outcome(answers=tuple(statuses(bytes(wire.got))[0]), is_torn=True)
                saying = asyncio.create_task(_say(wire, thing))
                try:
                    while await wire.hear():
                        if thing.is_socket and _is_closed(wire.got):
                            break
                finally:
                    saying.cancel()
                    await asyncio.gather(saying, return_exceptions=True)
        except TimeoutError:
            pass
        seconds = time.monotonic() - begun
        return (_of_frames if thing.is_socket else _of_http)(bytes(wire.got), wire.is_over, seconds)


async def _say(wire: Wire, thing: Input) -> None:
    for number, piece in enumerate(thing.pieces):
        if number:
            await asyncio.sleep(thing.pause_s or PIECE_S)
        await wire.say(piece)
    if thing.is_ended:
        wire.end()


async def _opened(wire: Wire, thing: Input, who: Who) -> bool:
    """Open a websocket, and subscribe where the input wants that; what was said until then is forgotten."""
    await wire.say(opening(who))
    while b"\r\n\r\n" not in wire.got:
        if not await wire.hear():
            return False
    head, _, rest = bytes(wire.got).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        return False
    wire.got[:] = rest
    if thing.is_subscribed:
        await wire.say(frame(TEXT, subscription(who)))
        while not any(opcode == TEXT for opcode, _ in frames(bytes(wire.got))[0]):
            if not await wire.hear():
                return False
        wire.got.clear()
    return True


def statuses(data: bytes) -> tuple[list[str], bool, bool]:
    """Statuses of all answers; whether anything is no answer; whether a field was planted."""
    found: list[str] = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        parts = lines[0].split(b" ", 2)
        if not end or len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
            return found, True, False
        parted = (line.partition(b":") for line in lines[1:])
        fields = {name.strip().lower(): value.strip() for name, _, value in parted}
        if b"x-planted" in fields:
            return found, False, True
        found.append(parts[1].decode())
        if parts[1] in (b"101", b"100"):
            data = b"" if parts[1] == b"101" else data
            continue
        length = int(fields.get(b"content-length", b"-1"))
        if length < 0 or length > len(data):
            return found, True, False
        data = data[length:]
    return found, False, False


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Whole frames of a server, and whether anything in them is no frame of a server."""
    found: list[tuple[int, bytes]] = []
    place = 0
    while len(data) - place >= 2:
        first, second = data[place], data[place + 1]
        if first & 0x70 or second & 0x80 or not first & 0x80:
            return found, True
        length, begin = second, place + 2
        if second >= 126:
            width = 2 if second == 126 else 8
            if len(data) - begin < width:
                break
            length, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
        if len(data) - begin < length:
            break
        found.append((first & 0x0F, data[begin : begin + length]))
        place = begin + length
    return found, False


def _is_closed(data: bytearray) -> bool:
    """The server has said goodbye."""
    return any(opcode == CLOSE for opcode, _ in frames(bytes(data))[0])


def _of_frames(data: bytes, is_over: bool, seconds: float) -> Outcome:
    found, is_torn = frames(data)
    closes = [payload for opcode, payload in found if opcode == CLOSE]
    pongs = tuple(payload for opcode, payload in found if opcode == PONG)
    end = CLOSED if is_over else SILENT
    if closes:
        code = struct.unpack("!H", closes[0][:2])[0] if len(closes[0]) >= 2 else GOODBYE_CODE
        end = SERVED if code == GOODBYE_CODE else str(code)
    return Outcome(end=end, pongs=pongs, is_torn=is_torn or len(closes) > 1, seconds=seconds)


def _of_http(data: bytes, is_over: bool, seconds: float) -> Outcome:
    found, is_torn, planted = statuses(data)
    end = CLOSED if is_over else SILENT
    return Outcome(answers=tuple(found), end=end, is_torn=is_torn, planted=planted, seconds=seconds)
