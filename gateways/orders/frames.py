"""What GET /v1/stream says, frame by frame: the shapes that the published contract promises and tests hold it to."""

from typing import Literal

import msgspec

from domain.kernel.ids import Micros
from gateways.orders.views import OrderView, PositionView
from gateways.quotes import QuotesView


class SnapshotFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What is open and held when a client comes without a cursor."""

    type: Literal["snapshot"]
    cursor: str
    account_id: str
    orders: tuple[OrderView, ...]
    positions: tuple[PositionView, ...]


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
    """One event of the account; `cursor` resumes after it."""

    type: Literal["event"]
    cursor: str
    topic: str
    partition: int
    sequence: int
    event: EventHead


class QuotesFrame(QuotesView, frozen=True, kw_only=True):
    """Prices that changed."""

    type: Literal["quotes"]


class GapFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The client read too slowly: what follows comes from the journal, from this cursor on."""

    type: Literal["gap"]
    cursor: str


class HeartbeatFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened; the client may keep this cursor."""

    type: Literal["heartbeat"]
    cursor: str


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Why the socket is about to close, and what to do about it."""

    type: Literal["error"]
    detail: str
    remedy: str


SAYS = (SnapshotFrame, EventFrame, QuotesFrame, GapFrame, HeartbeatFrame, ErrorFrame)
"""Every frame of the stream."""
