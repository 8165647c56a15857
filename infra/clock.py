"""The only clock outside the gateways: hosts are given one, so that a simulation can give its own."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from domain.kernel.ids import Micros

Clock: TypeAlias = Callable[[], Micros]
"""Gives the wall time in microseconds since the epoch, UTC."""


def wall() -> Micros:
    """The machine's wall time."""
    return Micros(time.time_ns() // 1_000)


def instant(text: str) -> Micros:
    """The instant in ISO 8601 text with an offset, exactly: no float is on the way."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC: write it as 2012-06-04T09:30:00-04:00")
    return Micros((moment - _EPOCH) // timedelta(microseconds=1))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
