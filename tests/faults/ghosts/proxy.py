"""A proxy that knows Kafka's frames and can steal a request: the client's connection dies, the broker's side lives on.

What is held is delivered later, on the old connection: that is a ghost. What is repeated was delivered at once too and
comes a second time; what is dropped never comes. The broker needs a listener whose advertised port is the proxy's, so
that every connection of a client comes this way.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from enum import StrEnum
from types import TracebackType
from typing import Self

PRODUCE, ADD_OFFSETS, END_TXN, OFFSET_COMMIT = 0, 25, 26, 28
APIS = {"Produce": PRODUCE, "AddOffsetsToTxn": ADD_OFFSETS, "EndTxn": END_TXN, "TxnOffsetCommit": OFFSET_COMMIT}
FIRST_FLEXIBLE = {PRODUCE: 9, ADD_OFFSETS: 3, END_TXN: 3, OFFSET_COMMIT: 3}
"""The version from which a response header ends in a tag byte."""
FIRST_WITH_TOPIC_ID = 13
"""The version of Produce from which a topic is named by an id of sixteen bytes."""
ANSWER_SECONDS_MAX = 20.0


class Fate(StrEnum):
    """What becomes of a request that is taken from a dying connection."""

    HELD = "held"
    DROPPED = "dropped"
    REPEATED = "repeated"


class Theft:
    """One request that is to be stolen, or was."""

    def __init__(self, api: int, fate: Fate = Fate.HELD) -> None:
        self.api = api
        self.fate = fate
        self._frame = b""
        self._upstream: asyncio.StreamWriter | None = None
        self._taken = asyncio.Event()
        self._answers_due = 2 if fate is Fate.REPEATED else 1
        self._answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def taken(self) -> None:
        """Wait until the request was stolen."""
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await self._taken.wait()

    def is_taken(self) -> bool:
        return self._taken.is_set()

    async def release(self) -> int | None:
        """Deliver the ghost; the broker's error code for it, or None when it only closed the connection."""
        assert self._upstream is not None, "nothing was stolen yet"
        self._upstream.write(self._frame)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer = await self._answer
        return None if answer is None else self._error_code(answer)

    def take(self, frame: bytes, upstream: asyncio.StreamWriter) -> None:
        self._frame, self._upstream = frame, upstream
        if self.fate is Fate.REPEATED:
            upstream.write(frame)
        if self.fate is Fate.DROPPED:
            upstream.close()
        self._taken.set()

    def is_answered_by(self, frame: bytes) -> bool:
        """Whether this answer carries the correlation id of the stolen request."""
        return frame[4:8] == self._frame[8:12]

    def answered(self, body: bytes) -> bool:
        """Whether that was the last answer that is due."""
        self._answers_due -= 1
        if self._answers_due:
            return False
        self.ended(body)
        return True

    def ended(self, body: bytes | None) -> None:
        """The connection is done with."""
        if not self._answer.done():
            self._answer.set_result(body)
        if self._upstream is not None:
            self._upstream.close()

    def _error_code(self, answer: bytes) -> int:
        version = struct.unpack_from(">h", self._frame, 6)[0]
        at = 5 if version >= FIRST_FLEXIBLE[self.api] else 4
        is_flexible = at == 5
        if self.api != PRODUCE:
            at += 4  # The throttle time comes first.
        if self.api in {PRODUCE, OFFSET_COMMIT}:
            has_topic_id = self.api == PRODUCE and version >= FIRST_WITH_TOPIC_ID
            at = self._first_partition(answer, at, is_flexible=is_flexible, has_topic_id=has_topic_id)
        return int(struct.unpack_from(">h", answer, at)[0])

    @staticmethod
    def _first_partition(answer: bytes, at: int, *, is_flexible: bool, has_topic_id: bool) -> int:
        """Where the error code of the only partition of the only topic stands."""
        if has_topic_id:
            return at + 1 + 16 + 1 + 4
        if is_flexible:
            return at + 1 + 1 + (answer[at + 1] - 1) + 1 + 4
        return at + 4 + 2 + int(struct.unpack_from(">h", answer, at + 4)[0]) + 4 + 4


class GhostProxy:
    """Forwards frames both ways between a port of ours and the broker's listener."""

    def __init__(self, port: int, upstream_port: int) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self.seen: Counter[tuple[int, int]] = Counter()
        """Requests by their kind and version: what a client really speaks."""
        self._port = port
        self._upstream_port = upstream_port
        self._theft: Theft | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def steal_next(self, api: int, fate: Fate = Fate.HELD) -> Theft:
        """Steal the next request of this kind, from whoever sends it."""
        self._theft = Theft(api, fate)
        return self._theft

    def call_off(self) -> None:
        """Steal nothing any more."""
        self._theft = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.close()
            return
        stolen: list[Theft] = []
        try:
            await asyncio.gather(
                self._requests(reader, writer, up_writer, stolen), self._answers(up_reader, writer, stolen)
            )
        finally:
            writer.close()
            up_writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_writer: asyncio.StreamWriter,
        stolen: list[Theft],
    ) -> None:
        while (frame := await _frame(reader)) is not None:
            api, version = struct.unpack_from(">hh", frame, 4)
            self.seen[api, version] += 1
            if self._theft is not None and self._theft.api == api:
                theft, self._theft = self._theft, None
                stolen.append(theft)
                writer.transport.abort()
                theft.take(frame, up_writer)
                return
            up_writer.write(frame)
            with contextlib.suppress(OSError):
                await up_writer.drain()
        up_writer.close()

    @staticmethod
    async def _answers(up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stolen: list[Theft]) -> None:
        while (frame := await _frame(up_reader)) is not None:
            if stolen:
                if stolen[0].is_answered_by(frame) and stolen[0].answered(frame[4:]):
                    return
                continue  # The answer to an earlier request of a client that is gone.
            writer.write(frame)
            with contextlib.suppress(OSError):
                await writer.drain()
        if stolen:
            stolen[0].ended(None)
        writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    """A length and as many bytes; None when the connection ended."""
    try:
        head = await reader.readexactly(4)
        return head + await reader.readexactly(struct.unpack(">i", head)[0])
    except (asyncio.IncompleteReadError, OSError):
        return None
