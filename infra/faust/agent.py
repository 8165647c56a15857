"""What an agent is, in data: which topics it follows, which pure functions it calls, where its commands go.

A context's `attach(app)` adds one of these; `worker.py` makes Faust run it, `topics.py` says which topics it needs.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Concatenate, Generic, TypeAlias, TypeVar

import msgspec

from domain.kernel.messages import Heard, Issued, Recorded
from domain.market_data.marks import Board, Mark

S = TypeVar("S")


Next: TypeAlias = tuple[S, Sequence[Issued[Any]]]
"""The next state, and the commands that follow."""


class Agent(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """One keyed state, followed over topics of equal partitions: the state of a key meets all its sources in one place.

    `events` are keyed by account and chained; `marks` stand in every partition and concern every account of it. `feeds`
    are keyed by account too, what the outside said: a function that raises Unreadable sends the record to the dead
    letters. `broadcasts` stand in every partition as marks do, and are folded into one value that begins as `shared`
    and is the last argument of every function of an agent that has them. `fold_mark` folds marks into that value too,
    before any account sees them; it may meet a mark that it has folded before, and must know it. The functions are
    pure: a state and what happened in, the next state and its commands out.
    """

    name: str
    events: tuple[str, ...]
    marks: str
    commands: str
    initial: S
    on_event: Callable[Concatenate[S, Recorded[Any], Board, ...], Next[S]]
    on_mark: Callable[Concatenate[S, Board, ...], Next[S]]
    feeds: tuple[str, ...] = ()
    on_feed: Callable[Concatenate[S, Heard[Any], Board, ...], Next[S]] | None = None
    broadcasts: tuple[str, ...] = ()
    shared: Any = None
    fold_broadcast: Callable[[Any, Any], Any] | None = None
    fold_mark: Callable[[Any, Mark], Any] | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Every topic it reads."""
        return (*self.events, *self.feeds, *self.broadcasts, self.marks)


APP_ID = "tapeline"
"""Consumer group and prefix of every changelog: another id begins with empty tables at the beginning of the tape."""


class App:
    """The agents of one process, in the order they were attached."""

    def __init__(self, app_id: str = APP_ID) -> None:
        self.id = app_id
        self.agents: list[Agent[Any]] = []

    def add(self, agent: Agent[Any]) -> None:
        """Attach one; its name is that of its table and of its changelog, so it is given once."""
        assert bool(agent.feeds) == (agent.on_feed is not None), f"agent {agent.name}: feeds need on_feed, and it them"
        assert bool(agent.broadcasts) == (agent.fold_broadcast is not None), (
            f"agent {agent.name}: broadcasts need fold_broadcast, and it them"
        )
        assert agent.name not in {other.name for other in self.agents}, f"agent {agent.name} is attached twice"
        self.agents.append(agent)

    def changelog_of(self, agent: Agent[Any]) -> str:
        """The name that Faust gives to the changelog of an agent's table."""
        return f"{self.id}-{agent.name}-changelog"


Attach: TypeAlias = Callable[[App], None]
"""What a module of `streams/` offers: importing it changes nothing, calling this adds its agent."""


class Step(StrEnum):
    """What is done of a batch: the order in which a crash may come between.

    All its commands are acknowledged; then each of its partitions goes on by itself: the changelog has acknowledged
    what changed there, and it is put in the local table.
    """

    COMMANDS = "commands"
    CHANGELOG = "changelog"
    PUT = "put"


Reached: TypeAlias = Callable[[Step], None]
"""Told of each step; tests kill the process there."""
