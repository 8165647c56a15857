"""One aggregate as its owner holds it: state, version, and the commands it has already decided.

Deciding again is harmless: a known command id adds nothing. The newest ids are kept as eight-byte digests; once an id
has been dropped, a command that is not newer than it can no longer be told from a repeat and is stale.
"""

from collections.abc import Collection
from enum import Enum, auto
from typing import Generic, TypeVar

import msgspec
from immutables import Map

from domain.kernel.ids import Micros, short_digest

S = TypeVar("S")


class Familiarity(Enum):
    """What an aggregate knows of a command id."""

    NEW = auto()
    KNOWN = auto()
    STALE = auto()


class Stream(msgspec.Struct, Generic[S], frozen=True):
    """An aggregate between two events.

    `known` maps the digest of a command id to its `at`; `slots` says which digest each place of the ring holds, so that
    the oldest can be dropped without copying the others. `tenant` is whose it is, from its first event on.
    """

    state: S
    tenant: str = ""
    version: int = 0
    known: Map[bytes, Micros] = Map()
    slots: Map[int, bytes] = Map()
    dropped_at: Micros = Micros(-1)

    def familiarity(self, command_id: str, at: Micros) -> Familiarity:
        """Whether this command was decided, may be decided, or comes too late to say."""
        if short_digest(command_id) in self.known:
            return Familiarity.KNOWN
        return Familiarity.STALE if at <= self.dropped_at else Familiarity.NEW


def advanced(stream: Stream[S], state: S, tenant: str, command_id: str, at: Micros, known_max: int) -> Stream[S]:
    """The stream after an event: one version on, its command known, the oldest id dropped when the ring is full."""
    return grown(stream, state, tenant, stream.version + 1, [(command_id, at)], stream.dropped_at, known_max)


def grown(
    stream: Stream[S],
    state: S,
    tenant: str,
    version: int,
    newest: Collection[tuple[str, Micros]],
    dropped_at: Micros,
    known_max: int,
) -> Stream[S]:
    """The stream after many events: `newest` are the last of their commands, `known_max` at most, in order.

    What they push out of the ring is dropped; `dropped_at` is told of those that came and went in between.
    """
    known, slots = stream.known.mutate(), stream.slots.mutate()
    for number, (command_id, at) in enumerate(newest, version - len(newest)):
        slot = number % known_max
        oldest = slots.get(slot)
        if oldest is not None:
            dropped_at = max(dropped_at, known.pop(oldest))
        slots[slot] = digest = short_digest(command_id)
        known[digest] = at
    return Stream(state, stream.tenant or tenant, version, known.finish(), slots.finish(), dropped_at)
