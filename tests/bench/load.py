"""Open-loop load over HTTP: each request has its time to be sent, whatever became of the ones before it.

Latency counts from that time, not from when a connection was free: a server that stalls cannot hide it. What is not
answered in the end counts as long as it was waited for.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import msgspec
from hdrh.histogram import HdrHistogram

from tests.bench.figures import Measured

CONNECTIONS_MAX = 1_000
"""Requests under way at once; the others wait, and their waiting counts."""
GRACE_SECONDS = 5.0
"""How long answers are waited for after the last request was due."""
TRACKED_US_MAX = 120_000_000
DIGITS = 3


class Answered(msgspec.Struct):
    """What became of the requests."""

    histogram: HdrHistogram
    good: int = 0
    bad: int = 0
    silent: int = 0
    statuses: dict[int, int] = {}

    def measured(self, seconds: float) -> Measured:
        """Percentiles in milliseconds and how many were answered."""
        at = {name: self.histogram.get_value_at_percentile(percent) / 1_000 for name, percent in PERCENTILES.items()}
        return at | {
            "max_ms": self.histogram.get_max_value() / 1_000,
            "answered_per_s": self.good / seconds,
            "refused": float(self.bad),
            "silent": float(self.silent),
        }


PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9}


class _Connection(asyncio.Protocol):
    """One request at a time over one kept connection; it reads no more of an answer than where it ends."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none by inheritance.

    def send(self, due: float, request: bytes) -> None:
        assert self._transport is not None
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= length:
            self._buffer = b""
            self._load.answered(self, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Load:
    """A rate of requests at one address for some seconds."""

    def __init__(self, port: int, request: Callable[[int], bytes]) -> None:
        self._port = port
        self._request = request
        self._idle: list[_Connection] = []
        self._connections: set[_Connection] = set()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._result = Answered(HdrHistogram(1, TRACKED_US_MAX, DIGITS))
        self._under_way = 0

    async def run(self, rate: int, seconds: float, first: int = 0) -> Answered:
        """Send them all, each at its time."""
        total, sent, began = int(rate * seconds), 0, time.perf_counter()
        while sent < total:
            now = time.perf_counter()
            while sent < total and began + sent / rate <= now:
                self._send(began + sent / rate, self._request(first + sent))
                sent += 1
            await asyncio.sleep(max(0.0, min(0.001, began + sent / rate - time.perf_counter())))
        until = time.perf_counter() + GRACE_SECONDS
        while self._under_way and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self._give_up()
        return self._result

    def answered(self, connection: _Connection, status: int) -> None:
        """An answer is whole."""
        took_us = int((time.perf_counter() - connection.due) * 1e6)
        self._result.histogram.record_value(max(1, min(took_us, TRACKED_US_MAX)))
        self._result.statuses[status] = self._result.statuses.get(status, 0) + 1
        if 200 <= status < 300:
            self._result.good += 1
        else:
            self._result.bad += 1
        self._under_way -= 1
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """A connection is gone; the request on it, if any, stays unanswered."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _send(self, due: float, request: bytes) -> None:
        self._under_way += 1
        if self._idle:
            self._idle.pop().send(due, request)
            return
        self._waiting.append((due, request))
        if len(self._connections) + len(self._opening) < CONNECTIONS_MAX:
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._connections.add(connection)
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _give_up(self) -> None:
        now = time.perf_counter()
        busy = self._connections.difference(self._idle)
        for due in [*(each.due for each in busy), *(due for due, _ in self._waiting)]:
            self._result.silent += 1
            self._result.histogram.record_value(min(int((now - due) * 1e6), TRACKED_US_MAX))
        for task in self._opening:
            task.cancel()
        for connection in [*self._connections]:
            connection.close()
