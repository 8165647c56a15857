"""One grammar for every decider: given these events, when this command comes, then this event follows."""

from enum import StrEnum
from typing import Generic, TypeVar

from domain.kernel.decider import Decider
from domain.kernel.messages import Command, Event
from domain.kernel.snapshots import decode, encode

S = TypeVar("S")
C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)


class Story(Generic[S, C, E]):
    """Stories of one decider; each begins after the background."""

    def __init__(self, decider: Decider[S, C, E], *background: E) -> None:
        self._decider = decider
        self._background = background

    def given(self, *events: E) -> "Given[S, C, E]":
        """What happened before."""
        return Given(self._decider, self._decider.fold([*self._background, *events]))


class Given(Generic[S, C, E]):
    """A state that a story has come to."""

    def __init__(self, decider: Decider[S, C, E], state: S) -> None:
        self._decider = decider
        self.state = state

    def when(self, command: C) -> "Decided[S, C, E]":
        """The command is decided; to decide it again gives the same."""
        event = self._decider.decide(self.state, command)
        assert self._decider.decide(self.state, command) == event
        return Decided(self._decider, self.state, event)


class Decided(Generic[S, C, E]):
    """What was decided, before anybody has looked at it."""

    def __init__(self, decider: Decider[S, C, E], before: S, event: E) -> None:
        self._decider = decider
        self._before = before
        self._event = event

    def then(self, expected: E) -> S:
        """Exactly this event follows; the state after it survives being put away. A refusal leaves it as it was."""
        assert self._event == expected
        after = self._decider.evolve(self._before, expected)
        assert decode(encode(after), type(after)) == after  # type: ignore[type-var]  # every state is a struct
        if isinstance(getattr(expected, "reason", None), StrEnum):
            # Reasons of our own are enumerated; the venue's and the customer's are text.
            assert after == self._before
        return after
