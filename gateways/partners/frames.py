"""What a partner's stream says: events and gaps as every stream does, and the marker of its end."""

from enum import StrEnum
from typing import Literal

import msgspec

from gateways.frames import EventFrame, GapFrame


class EndReason(StrEnum):
    """Why a stream ends; all but REPLAYED, PAUSED and ENDED ask the partner to come again with its cursor."""

    REPLAYED = "REPLAYED"
    PAUSED = "PAUSED"
    ENDED = "ENDED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105  # nosec B105  # a reason, no secret
    GATEWAY_STOPS = "GATEWAY_STOPS"
    JOURNAL_DOWN = "JOURNAL_DOWN"
    RECONNECT = "RECONNECT"


FINAL = frozenset({EndReason.REPLAYED, EndReason.PAUSED, EndReason.ENDED})
"""Reasons after which coming again at once is of no use."""


class EndFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing follows on this connection; everything up to the cursor was sent."""

    type: Literal["end"]
    cursor: str
    reason: EndReason


SAYS = (EventFrame, GapFrame, EndFrame)
