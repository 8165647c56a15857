"""What travels on a topic: a record as it arrived, and a record on its way out. All modules here speak in these two."""

from typing import TypeAlias

import msgspec

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions."""


class Arrived(msgspec.Struct, frozen=True):
    """A record that was read, with its place. An empty value is a tombstone, an empty key is no key."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]

    def __str__(self) -> str:
        """Its place, for people; written out only where it is told to somebody."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Outgoing(msgspec.Struct, frozen=True):
    """A record to be written; its writer knows the topic and the partition."""

    key: bytes
    value: bytes
    headers: dict[str, bytes] = {}
