"""Events read back -> bounded queues of those who follow streams or a tenant: a slow one loses its queue, no event.

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
EVERY_STREAM = ""
"""Stands for every stream of a tenant; no stream has an empty id."""


class Behind(Exception):
    """The queue overflowed and was emptied: begin anew and catch up from the journal."""


class Subscription:
    """The live events of some streams of one tenant, or of all of them, from the moment of `begin`."""

    def __init__(self, fanout: "Fanout", keys: tuple[tuple[str, str], ...]) -> None:
        self._fanout = fanout
        self._keys = keys
        self._places: frozenset[Partition] = frozenset()
        self._queue: deque[Seen] = deque()
        self._ready = asyncio.Event()
        self._is_behind = False

    def begin(self, places: Iterable[Partition]) -> dict[Partition, int]:
        """Queue events of these partitions from now on; gives the last sequence of each that will not come so."""
        self._queue.clear()
        self._is_behind = False
        self._ready.clear()
        self._places = frozenset(places)
        for key in self._keys:
            self._fanout.add(key, self)
        return {place: self._fanout.sequence(place) for place in self._places}

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
        if self._is_behind or (seen.topic, seen.partition) not in self._places:
            return
        if len(self._queue) >= QUEUE_MAX:
            self._queue.clear()
            self._is_behind = True
        else:
            self._queue.append(seen)
        self._ready.set()

    def end(self) -> None:
        """Queue nothing any more."""
        for key in self._keys:
            self._fanout.remove(key, self)


class Fanout:
    """Knows who follows what, and how far each partition has come; `seen` is called by the read-back."""

    def __init__(self) -> None:
        self._followers: dict[tuple[str, str], set[Subscription]] = {}
        self._sequences: dict[Partition, int] = {}
        self._decided: dict[Partition, int] = {}

    def subscription(self, tenant: str, stream_ids: Iterable[str] | None) -> Subscription:
        """A subscription that has not begun: to these streams, or to every one of the tenant."""
        ids = (EVERY_STREAM,) if stream_ids is None else dict.fromkeys(stream_ids)
        return Subscription(self, tuple((tenant, stream_id) for stream_id in ids))

    def seen(self, seen: Seen) -> None:
        """An event was read back."""
        self._sequences[seen.topic, seen.partition] = seen.recorded.sequence
        self._decided[seen.topic, seen.partition] = seen.recorded.command_position
        tenant = seen.recorded.tenant
        for stream_id in (seen.recorded.stream_id, EVERY_STREAM):
            for follower in self._followers.get((tenant, stream_id), ()):
                follower.put(seen)

    def sequence(self, place: Partition) -> int:
        """The last sequence of a partition; -1 when it is empty."""
        return self._sequences.get(place, -1)

    def decided(self, place: Partition) -> int:
        """The offset, on the topic of commands, of the last command that was decided here; -1 when none was."""
        return self._decided.get(place, -1)

    def add(self, key: tuple[str, str], follower: Subscription) -> None:
        """Give this follower the events of this key."""
        self._followers.setdefault(key, set()).add(follower)

    def remove(self, key: tuple[str, str], follower: Subscription) -> None:
        """Give it no more."""
        followers = self._followers.get(key, set())
        followers.discard(follower)
        if not followers:
            self._followers.pop(key, None)
