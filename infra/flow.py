"""Events read back -> the newest of them, numbered as they came, and how many each context has: what a screen shows.

Nobody may rely on it to have everything: what is older than the newest few thousand is told as a number. Whoever needs
every event follows the stream from a cursor.
"""

from collections import deque

import msgspec

from infra.kafka.records import Partition
from infra.readback import Seen

KEPT_MAX = 2_000
"""Newest events in memory, of all tenants: two seconds of a full load, about a megabyte."""


class Glimpse(msgspec.Struct, frozen=True, gc=False):
    """One event of a tenant, as much of it as a screen shows."""

    number: int
    tenant: str
    topic: str
    partition: int
    sequence: int
    event_type: str
    account_id: str
    recorded_at: int


class Flow:
    """The newest events; `seen` is called by the read-back."""

    def __init__(self) -> None:
        self._newest: deque[Glimpse] = deque(maxlen=KEPT_MAX)
        self._sequences: dict[Partition, int] = {}
        self.number = 0

    def seen(self, seen: Seen) -> None:
        """An event was read back."""
        recorded = seen.recorded
        self.number += 1
        self._sequences[seen.topic, seen.partition] = recorded.sequence
        self._newest.append(
            Glimpse(
                self.number,
                recorded.tenant,
                seen.topic,
                seen.partition,
                recorded.sequence,
                type(recorded.event).__name__,
                recorded.stream_id,
                recorded.recorded_at,
            )
        )

    def totals(self) -> dict[str, int]:
        """Events of each topic since the beginning of the tape: sequences are dense."""
        totals: dict[str, int] = {}
        for (topic, _), sequence in self._sequences.items():
            totals[topic] = totals.get(topic, 0) + sequence + 1
        return totals

    def after(self, number: int, tenant: str, limit: int) -> list[Glimpse]:
        """The newest events of a tenant that came after this one, the oldest first."""
        found: list[Glimpse] = []
        for glimpse in reversed(self._newest):
            if glimpse.number <= number or len(found) >= limit:
                break
            if glimpse.tenant == tenant:
                found.append(glimpse)
        return found[::-1]
