"""Moments -> TCP listeners, as JSON lines at the pace of the wall clock: the market's loudspeaker."""

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from simulators.market.clients import LINES_MAX, Client
from simulators.market.timeline import Clock, Moment

CLOCK_EVERY_S = 0.5
"""Wall time between clocks: listeners are promised one a second, half of it leaves room for a busy machine."""

log = logging.getLogger("market")


class Market:
    """Plays moments to whoever listens."""

    def __init__(self, *, speed: float, lines_max: int = LINES_MAX) -> None:
        self._speed = speed
        self._lines_max = lines_max
        self._clients: set[Client] = set()
        self._quotes: dict[str, bytes] = {}
        self._clock: Clock | None = None
        self._clock_said_at = float("-inf")
        self._has_ended = False
        self._joined = asyncio.Condition()

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Open the door; the play itself is `play`."""
        return await asyncio.start_server(self._welcome, host, port)

    async def wait_for_clients(self, count: int, first: Clock) -> None:
        """Show the first morning until so many listen."""
        self._clock = first
        ticking = asyncio.create_task(self.stand_still())
        async with self._joined:
            await self._joined.wait_for(lambda: len(self._clients) >= count)
        ticking.cancel()

    async def play(self, moments: Iterable[Moment]) -> None:
        """Say each moment when the wall clock has come to it, with a clock in between when there is time."""
        loop = asyncio.get_running_loop()
        due, before = loop.time(), None
        for moment in moments:
            at = moment.clock.time
            # A night takes no time: the morning follows the evening at once.
            if before is not None and at.date() == before.time.date():
                start, due = due, due + (at - before.time).total_seconds() / self._speed
                await self._pass_time(before, start, due)
            self._say_moment(moment)
            before = moment.clock
            await asyncio.sleep(0)  # Also when we are late, listeners get their turn.

    async def stand_still(self) -> None:
        """Repeat the clock for ever: nobody plays, but listeners see that somebody is there."""
        while True:
            if self._clock is not None:
                self._say(_line(self._clock.message()))
            await asyncio.sleep(CLOCK_EVERY_S)

    def end(self) -> None:
        """Say that no further day follows."""
        self._has_ended = True
        self._say(_line({"type": "end"}))

    def close(self) -> None:
        """Let every listener go."""
        for client in tuple(self._clients):
            client.close()

    async def _pass_time(self, before: Clock, start: float, due: float) -> None:
        loop = asyncio.get_running_loop()
        while (left := due - loop.time()) > 0:
            await asyncio.sleep(min(left, CLOCK_EVERY_S))
            if loop.time() < due:
                passed = timedelta(seconds=(loop.time() - start) * self._speed)
                self._say_clock(replace(before, time=before.time + passed))

    def _say_moment(self, moment: Moment) -> None:
        if moment.is_new_phase or self._clock_is_old():
            self._say_clock(moment.clock)
        for quote in moment.quotes:
            line = _line(quote.message())
            self._quotes[quote.symbol] = line
            self._say(line)
        self._clock = moment.clock

    def _say_clock(self, clock: Clock) -> None:
        self._clock = clock
        self._clock_said_at = asyncio.get_running_loop().time()
        self._say(_line(clock.message()))

    def _clock_is_old(self) -> bool:
        return asyncio.get_running_loop().time() - self._clock_said_at >= CLOCK_EVERY_S

    def _say(self, line: bytes) -> None:
        for client in tuple(self._clients):
            client.offer(line)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(writer, self._lines_max)
        # The clock comes first, so that a listener knows in which phase the quotes after it were made.
        if self._clock is not None:
            client.offer(_line(self._clock.message()))
        for line in self._quotes.values():
            client.offer(line)
        if self._has_ended:
            client.offer(_line({"type": "end"}))
        self._clients.add(client)
        log.info("client %s joined, %d listening", client.name, len(self._clients))
        async with self._joined:
            self._joined.notify_all()
        try:
            await client.run(reader)
        finally:
            self._clients.discard(client)
            log.info("client %s left, %d listening", client.name, len(self._clients))


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
