"""What GET /v1/stream says, frame by frame: the shapes that the published contract promises and tests hold it to."""

from typing import Literal

import msgspec

from gateways.frames import EventFrame, GapFrame
from gateways.orders.views import ChangeView, OrderView, PositionView
from gateways.quotes import QuotesView
from gateways.routes import ReceiptView


class SnapshotFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What is open and held when a client comes without a cursor."""

    type: Literal["snapshot"]
    cursor: str
    account_id: str
    orders: tuple[OrderView, ...]
    positions: tuple[PositionView, ...]


class QuotesFrame(QuotesView, frozen=True, kw_only=True):
    """Prices that changed."""

    type: Literal["quotes"]


class HeartbeatFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened; the client may keep this cursor."""

    type: Literal["heartbeat"]
    cursor: str


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Why the socket is about to close, and what to do about it."""

    type: Literal["error"]
    detail: str
    remedy: str


class AcceptedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A request was granted: the answer of its REST route, 202 with a receipt when its decision is still awaited."""

    type: Literal["accepted"]
    request_id: str
    status: int
    location: str | None
    tape_position: str | None
    answer: OrderView | ChangeView | ReceiptView


class RefusedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A request was not granted: the problem that its REST route would have answered with."""

    type: Literal["refused"]
    request_id: str
    problem: dict[str, str | int]


SAYS = (
    SnapshotFrame,
    EventFrame,
    QuotesFrame,
    GapFrame,
    HeartbeatFrame,
    AcceptedFrame,
    RefusedFrame,
    ErrorFrame,
)
"""Every frame of the stream."""
