"""Events in, the past out: what an account was at a moment, folded by the very deciders that made it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from domain.kernel.decider import Decider
from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded

ReadEvents = Callable[[str, str], Iterable[Recorded[Any]]]
"""(context, account) -> its events in the order of the tape."""


class Past(msgspec.Struct, frozen=True):
    """The state of one context, the last event in it, and how many were folded."""

    state: Any
    version: int
    sequence: int
    recorded_at: Micros
    events: int


class Until(msgspec.Struct, frozen=True):
    """The moment: everything recorded up to `at`; in the context named, nothing after `sequence`.

    A place on the tape belongs to one context; the others are cut at the time when that event was recorded, which is
    the order in which contexts are merged.
    """

    at: Micros
    context: str = ""
    sequence: int = 0

    def includes(self, context: str, recorded: Recorded[Any]) -> bool:
        """Whether the event had happened by then."""
        if context == self.context:
            return recorded.sequence <= self.sequence
        return recorded.recorded_at <= self.at


def replay(
    account: str, until: Until, read_events: ReadEvents, deciders: Mapping[str, Decider[Any, Any, Any]]
) -> dict[str, Past]:
    """The account in every context at that moment; a context that knew nothing of it yet has its initial state."""
    return {context: _past(account, until, context, read_events, decider) for context, decider in deciders.items()}


def _past(account: str, until: Until, context: str, read_events: ReadEvents, decider: Decider[Any, Any, Any]) -> Past:
    past = Past(decider.initial, -1, -1, Micros(0), 0)
    for recorded in read_events(context, account):
        if recorded.stream_id != account or not until.includes(context, recorded):
            continue
        state = decider.evolve(past.state, recorded.event)
        past = Past(state, recorded.version, recorded.sequence, recorded.recorded_at, past.events + 1)
    return past
