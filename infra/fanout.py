"""Events read back -> bounded queues of those who follow an account: a slow one loses its queue, never an event.

A follower that fell behind is told so once; it reads what it missed from the journal, up to the sequences of the moment
at which its queue began anew, and goes on from there.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from infra.kafka.records import Partition
from infra.readback import Seen

QUEUE_MAX = 1_000
"""Events that wait for one follower: a second of the busiest account, half a megabyte."""


class Behind(Exception):
    """The queue overflowed and was emptied: begin anew and catch up from the journal."""


class Subscription:
    """The live events of one account, from the moment of `begin`."""

    def __init__(self, fanout: "Fanout", tenant: str, account_id: str) -> None:
        self._fanout = fanout
        self._key = (tenant, account_id)
        self._queue: deque[Seen] = deque()
        self._ready = asyncio.Event()
        self._is_behind = False

    def begin(self, places: Iterable[Partition]) -> dict[Partition, int]:
        """Queue events from now on; gives the last sequence of each partition that will not come through the queue."""
        self._queue.clear()
        self._is_behind = False
        self._ready.clear()
        self._fanout.add(self._key, self)
        return {place: self._fanout.sequence(place) for place in places}

    async def next(self) -> Seen:
        """The next event. Raises Behind."""
        while not self._queue:
            if self._is_behind:
                raise Behind
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()

    def put(self, seen: Seen) -> None:
        """Queue an event, or give the queue up when it is full."""
        if self._is_behind:
            return
        if len(self._queue) >= QUEUE_MAX:
            self._queue.clear()
            self._is_behind = True
        else:
            self._queue.append(seen)
        self._ready.set()

    def end(self) -> None:
        """Queue nothing any more."""
        self._fanout.remove(self._key, self)


class Fanout:
    """Knows who follows which account, and how far each partition has come; `seen` is called by the read-back."""

    def __init__(self) -> None:
        self._followers: dict[tuple[str, str], set[Subscription]] = {}
        self._sequences: dict[Partition, int] = {}

    def subscription(self, tenant: str, account_id: str) -> Subscription:
        """A subscription that has not begun."""
        return Subscription(self, tenant, account_id)

    def seen(self, seen: Seen) -> None:
        """An event was read back."""
        self._sequences[seen.topic, seen.partition] = seen.recorded.sequence
        for follower in self._followers.get((seen.recorded.tenant, seen.recorded.stream_id), ()):
            follower.put(seen)

    def sequence(self, place: Partition) -> int:
        """The last sequence of a partition; -1 when it is empty."""
        return self._sequences.get(place, -1)

    def add(self, key: tuple[str, str], follower: Subscription) -> None:
        """Give this follower the account's events."""
        self._followers.setdefault(key, set()).add(follower)

    def remove(self, key: tuple[str, str], follower: Subscription) -> None:
        """Give it no more."""
        followers = self._followers.get(key, set())
        followers.discard(follower)
        if not followers:
            self._followers.pop(key, None)
