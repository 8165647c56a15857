"""Frames of a client, held to RFC 6455 where the library is lenient: a breach ends the socket with its close code.

aiohttp 3.14 takes frames without a mask (5.1), close codes that nobody may send (7.4) and a message that begins inside
another whose first part was empty (5.4). Heads are looked at on their way to the library, which reads all else.
"""

from typing import Any

from aiohttp import WebSocketError, WSCloseCode, web

CONTINUATION, CONTROL, CLOSE = 0x0, 0x8, 0x8
SENT = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""Close codes that an endpoint may send: registered ones, and those of frameworks and applications."""
MASK_BYTES, CODE_BYTES = 4, 2
LENGTH_BYTES = {126: 2, 127: 8}


class StrictSocket(web.WebSocketResponse):
    """A websocket whose client keeps to the protocol, or hears 1002."""

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: Any) -> None:
        """What came with the opening goes the same way as all that follows."""
        connection = request.protocol
        tail, connection._message_tail = connection._message_tail, b""  # noqa: SLF001  there is no public way
        super()._post_start(request, protocol, writer)
        heads = Heads(self._parser, self._reader)
        connection._payload_parser = heads  # noqa: SLF001
        if tail:
            heads.feed_data(tail)


class Heads:
    """Stands before the library's reader and is fed in its place."""

    def __init__(self, reader: Any, queue: Any) -> None:
        self._reader = reader
        self._queue = queue
        self._head = bytearray()
        self._payload_left = 0
        self._is_inside = False
        self._is_broken = False

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._reader.feed_eof()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Some bytes; true when the connection has no future."""
        if self._is_broken:
            return True, data
        whole, breach = self._walk(data)
        told: tuple[bool, bytes] = self._reader.feed_data(data[:whole]) if whole else (False, b"")
        if not breach:
            return told
        self._is_broken = True
        if not told[0]:
            self._queue.set_exception(WebSocketError(WSCloseCode.PROTOCOL_ERROR, breach))
        return True, b""

    def _walk(self, data: bytes) -> tuple[int, str]:
        """How many bytes are good, and what is wrong with the frame behind them."""
        place = 0
        while place < len(data):
            if self._payload_left:
                step = min(self._payload_left, len(data) - place)
                self._payload_left -= step
                place += step
                continue
            self._head.append(data[place])
            if breach := self._breach():
                return place, breach
            place += 1
        return place, ""

    def _breach(self) -> str:
        """What the head, as far as it is there, breaks; a whole one gives way to its payload."""
        head = self._head
        if len(head) == 1:
            return ""
        opcode, is_last = head[0] & 0x0F, bool(head[0] & 0x80)
        if not head[1] & 0x80:
            return "a client's frame has no mask"
        told = head[1] & 0x7F
        length_bytes = LENGTH_BYTES.get(told, 0)
        size = 2 + length_bytes + MASK_BYTES
        if len(head) < size:
            return ""
        length = int.from_bytes(head[2 : 2 + length_bytes], "big") if length_bytes else told
        if opcode == CLOSE and length >= CODE_BYTES:
            size += CODE_BYTES
            if len(head) < size:
                return ""
            mask, masked = head[-MASK_BYTES - CODE_BYTES : -CODE_BYTES], head[-CODE_BYTES:]
            code = int.from_bytes(bytes(a ^ b for a, b in zip(masked, mask, strict=False)), "big")
            if code not in SENT:
                return f"nobody may send the close code {code}"
            length -= CODE_BYTES
        if opcode < CONTROL:
            if opcode != CONTINUATION and self._is_inside:
                return "a message begins inside another"
            self._is_inside = not is_last
        self._payload_left = length
        head.clear()
        return ""
