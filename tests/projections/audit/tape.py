"""A tape in memory with the reader's interface, and records on it that chain as a decider writes them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from domain.kernel.ids import Micros
from domain.kernel.messages import GENESIS, OwnershipTaken, Recorded
from infra.kafka.records import Arrived, Partition

ORDERS = "orders.events"
MESSAGES = "executions.messages"
TENANT = "acme"


def decode(value: bytes) -> Recorded[Any]:
    """The events here are JSON: only their place matters to the audit."""
    fields = json.loads(value)
    return Recorded(
        event=OwnershipTaken(partition=0, owner=fields["what"]),
        event_id="",
        tenant=TENANT,
        stream_id="acc-1",
        version=fields["sequence"],
        sequence=fields["sequence"],
        previous=bytes.fromhex(fields["previous"]),
        term=fields["term"],
        command_position=0,
        command_id="",
        digest=b"",
        causation_id="",
        correlation_id="",
        actor="",
        at=Micros(0),
        recorded_at=Micros(0),
    )


class Tape:
    """Topics in memory; every third offset of an events partition is a transaction marker, as on a real one."""

    def __init__(self, partitions: int = 2) -> None:
        self.logs: dict[Partition, list[Arrived]] = {
            (topic, partition): [] for topic in (ORDERS, MESSAGES) for partition in range(partitions)
        }
        self._offsets: dict[Partition, int] = {}

    def event(self, what: str, partition: int = 0, *, term: int = 1) -> Arrived:
        """Append an event that follows the last one."""
        log = self.logs[ORDERS, partition]
        previous = hashlib.sha256(log[-1].value).digest() if log else GENESIS
        fields = {"sequence": len(log), "previous": previous.hex(), "term": term, "what": what}
        return self.append(ORDERS, partition, json.dumps(fields).encode(), command_id=what)

    def message(self, what: str, partition: int = 0) -> Arrived:
        """Append a message of a feed."""
        return self.append(MESSAGES, partition, what.encode())

    def append(self, topic: str, partition: int, value: bytes, *, command_id: str = "") -> Arrived:
        log = self.logs[topic, partition]
        offset = len(log) + len(log) // 2
        headers = {"command-id": command_id.encode()}
        log.append(Arrived(topic=topic, partition=partition, offset=offset, key=b"acc-1", value=value, headers=headers))
        return log[-1]

    # The reader's interface.

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        self._offsets = {place: max(0, offset) for place, offset in starts.items()}

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        taken = [
            record for place, offset in self._offsets.items() for record in self.logs[place] if record.offset >= offset
        ][:limit]
        for record in taken:
            self._offsets[record.topic, record.partition] = record.offset + 1
        return taken

    async def ends(self, topic: str) -> dict[int, int]:
        return {
            partition: log[-1].offset + 1 if log else 0 for (name, partition), log in self.logs.items() if name == topic
        }

    def position(self) -> Mapping[Partition, int]:
        return dict(self._offsets)

    async def close(self) -> None:
        self._offsets = {}
