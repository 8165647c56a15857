"""What a fetch brought of each partition -> the agents that follow its topic, a run of records at a time.

A run is what is counted: Faust's own way makes a message, an event and an acknowledgement of every record, which cost
30 of the 104 us of an event. Of a run it is known how many agents have not done it; nothing else is needed to commit.
"""

import asyncio
from collections import deque
from typing import Any

import msgspec


class Run(msgspec.Struct):
    """Consecutive records of one partition, as one fetch brought them; `waiting` agents have not done all of them."""

    place: Any
    records: list[Any]
    waiting: int

    @property
    def after(self) -> int:
        """The offset after its last record."""
        return int(self.records[-1].offset) + 1


class Inbox:
    """Runs for one agent in the order they came. It takes some, works, and says that they are done."""

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self._runs: deque[Run] = deque()
        self._records = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._room.set()
        self._idle.set()

    def put(self, run: Run) -> None:
        """Add one; whoever puts has waited for room, so an inbox holds at most one fetch more than its limit."""
        self._runs.append(run)
        self._count(len(run.records))
        self._arrived.set()

    async def take(self, records_max: int) -> list[Run]:
        """Wait for a run, then take all that are there, whole ones up to so many records; never waits for more."""
        await self._arrived.wait()
        taken = [self._runs.popleft()]
        count = len(taken[0].records)
        while self._runs and count + len(self._runs[0].records) <= records_max:
            taken.append(self._runs.popleft())
            count += len(taken[-1].records)
        self._count(-count)
        if not self._runs:
            self._arrived.clear()
        self._idle.clear()
        return taken

    def done(self, runs: list[Run]) -> None:
        """The runs that were taken need not be read again, as far as this agent is concerned."""
        for run in runs:
            run.waiting -= 1
        self._idle.set()

    def clear(self) -> None:
        """Drop what was not taken: it will be read again, by whoever has the partition then."""
        self._runs.clear()
        self._arrived.clear()
        self._count(-self._records)

    async def room(self) -> None:
        """Return when the next fetch may be put."""
        await self._room.wait()

    async def idle(self) -> None:
        """Return when nothing is in work."""
        await self._idle.wait()

    def _count(self, records: int) -> None:
        self._records += records
        if self._records < self._records_max:
            self._room.set()
        else:
            self._room.clear()
