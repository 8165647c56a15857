"""One account's risk file."""

from typing import assert_never

import msgspec
from immutables import Map

from domain.kernel.ids import BreachId
from domain.risk import events as e
from domain.risk.commands import Measure


class RiskFile(msgspec.Struct, frozen=True, kw_only=True):
    """Which measures are beyond their limit now, and whether somebody halted the account by hand.

    Breaches stay known when they are cleared, so that a repeated report opens none again.
    """

    breached: Map[Measure, BreachId] = Map()
    known: Map[BreachId, Measure] = Map()
    is_halted: bool = False


def evolve(file: RiskFile, event: e.RiskEvent) -> RiskFile:
    """The file after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.LimitBreached():
            breached = file.breached.set(event.measure, event.breach_id)
            return replace(file, breached=breached, known=file.known.set(event.breach_id, event.measure))
        case e.BreachCleared():
            if event.measure not in file.breached:
                return file
            return replace(file, breached=file.breached.delete(event.measure))
        case e.HaltOrdered():
            return replace(file, is_halted=True)
        case e.HaltLifted():
            return replace(file, is_halted=False)
        case e.LimitsSet() | e.RiskRefused():
            return file
        case _:
            assert_never(event)
