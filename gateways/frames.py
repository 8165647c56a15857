"""What every door that streams says of events: the one frame of an event, and the marker of a gap."""

from typing import Any, Literal

import msgspec

from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from gateways.views import Json, event_shown
from infra.kafka.records import Partition


class EventHead(msgspec.Struct, frozen=True, kw_only=True):
    """What every event shows of its envelope; the fields of the event itself stand beside these."""

    event_id: str
    event_type: str
    account_id: str
    version: int
    command_id: str
    correlation_id: str
    at: Micros
    recorded_at: Micros


class EventFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One event; `cursor` resumes after it.

    `number` counts the events of `key`, an account in one context, from 1 without a gap. It is the event's own version
    in its stream, as it stands on the tape: the same on every connection, at every door, for ever.
    """

    type: Literal["event"]
    cursor: str
    key: str
    number: int
    topic: str
    partition: int
    sequence: int
    event: EventHead


class GapFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The client read too slowly: what follows comes from the journal, from this cursor on."""

    type: Literal["gap"]
    cursor: str


def event_frame(place: Partition, recorded: Recorded[Any], cursor: str) -> Json:
    """The frame of an event."""
    topic, partition = place
    return {
        "type": "event",
        "cursor": cursor,
        "key": f"{topic.removesuffix('.events')}/{recorded.stream_id}",
        "number": recorded.version,
        "topic": topic,
        "partition": partition,
        "sequence": recorded.sequence,
        "event": event_shown(recorded),
    }


def gap_frame(cursor: str) -> Json:
    """The marker of a gap."""
    return {"type": "gap", "cursor": cursor}
