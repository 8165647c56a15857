"""The three pure values that make a context decide."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from domain.kernel.messages import Command, Event

S = TypeVar("S")
C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)


class Decider(msgspec.Struct, Generic[S, C, E], frozen=True):
    """One command, one event: the fact or the refusal. None of the three sees a clock, randomness or I/O."""

    initial: S
    decide: Callable[[S, C], E]
    evolve: Callable[[S, E], S]

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        """The state after these events, from the given state or the initial one."""
        current = self.initial if state is None else state
        for event in events:
            current = self.evolve(current, event)
        return current
