"""What travels: commands and events, and the envelopes that carry their metadata.

A message class holds its payload only, with the fields of its contract in `schemas/<context>/`. Who, when, which stream
and which place of the tape stand in the envelope: `Issued` for a command, `Recorded` for an event.
"""

from typing import Generic, TypeVar

import msgspec

from domain.kernel.ids import Micros


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An order given. `at` and `actor` come from the envelope, so that `decide` needs no clock and no context."""

    at: Micros = Micros(0)
    actor: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact. A refusal is one too."""


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What the outside said, kept on a feed as it came: observed, not decided."""


class Unreadable(ValueError):
    """What the outside said means nothing that we understand; the text names what is wrong."""


C_co = TypeVar("C_co", bound=Command, covariant=True)
E_co = TypeVar("E_co", bound=Event, covariant=True)
O_co = TypeVar("O_co", bound=Observed, covariant=True)


class Issued(msgspec.Struct, Generic[C_co], frozen=True, kw_only=True):
    """A command in its envelope, on its way to the owner of its stream."""

    command: C_co
    command_id: str
    tenant: str
    stream_id: str
    causation_id: str
    correlation_id: str


class Recorded(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """An event in its envelope, as it stands on the tape.

    `sequence` is dense per partition from 0 and `previous` is the SHA-256 of the record value before it, so that every
    reader can check the partition. `command_position` is the offset of its command in the partition of the same number.
    """

    event: E_co
    event_id: str
    tenant: str
    stream_id: str
    version: int
    sequence: int
    previous: bytes
    term: int
    command_position: int
    command_id: str
    digest: bytes
    causation_id: str
    correlation_id: str
    actor: str
    at: Micros
    recorded_at: Micros

    @property
    def originator_id(self) -> str:
        """The stream, by the name that the eventsourcing library gives it."""
        return self.stream_id

    @property
    def originator_version(self) -> int:
        """The stream's version, by the name that the eventsourcing library gives it."""
        return self.version


class Heard(msgspec.Struct, Generic[O_co], frozen=True, kw_only=True):
    """A message of a feed with its tape position: the key's partition number is the same in all topics."""

    message: O_co
    topic: str
    offset: int


class OwnershipTaken(Event, frozen=True, kw_only=True):
    """A process took over a partition; what it decides carries this term."""

    partition: int
    owner: str


GENESIS = bytes(32)
"""What `previous` holds in the first record of a partition."""
