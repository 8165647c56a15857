"""The breaks of one account."""

from typing import assert_never

import msgspec
from immutables import Map

from domain.kernel.ids import BreakId
from domain.reconciliation import events as e


class Breaks(msgspec.Struct, frozen=True, kw_only=True):
    """Every break there was, and whether it is open: a repeated report opens none again.

    `matched_ns` is the time of the newest statement that agreed.
    """

    is_open: Map[BreakId, bool] = Map()
    matched_ns: int = -1


def evolve(breaks: Breaks, event: e.ReconciliationEvent) -> Breaks:
    """The breaks after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.BreakOpened():
            return replace(breaks, is_open=breaks.is_open.set(event.break_id, True))
        case e.BreakClosed():
            return replace(breaks, is_open=breaks.is_open.set(event.break_id, False))
        case e.StatementMatched():
            return replace(breaks, matched_ns=event.as_of_ns)
        case e.BreakExplained() | e.ReconciliationRefused():
            return breaks
        case _:
            assert_never(event)
