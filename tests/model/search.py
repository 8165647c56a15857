"""Every state that can be reached, breadth first, each held to the laws; a shortest way to what breaks one is told."""

import time
from collections import deque
from typing import NamedTuple

from tests.model.laws import broken, seen_before
from tests.model.owners import steps
from tests.model.states import Phase, Rules, State, first

STATES_MAX = 2_000_000
"""Beyond that many the machine is out of memory sooner than out of states."""


class Searched(NamedTuple):
    """What was found."""

    states: int
    steps: int
    depth: int
    """Steps of the longest shortest way."""
    is_whole: bool
    """Whether every state was looked at."""
    broken: str = ""
    way: tuple[str, ...] = ()
    """How it comes to that."""
    cpu_s: float = 0.0


def search(rules: Rules, states_max: int = STATES_MAX) -> Searched:
    """All states, or those up to the first that breaks a law."""
    began = time.process_time()
    start = first(rules)
    came: dict[State, tuple[State, str] | None] = {start: None}
    waiting: deque[tuple[State, int]] = deque([(start, 0)])
    taken = depth = 0
    while waiting:
        state, depth = waiting.popleft()
        is_stuck = True
        for what, after in steps(state, rules):
            taken += 1
            is_stuck = False
            if after in came:
                if wrong := seen_before(state, after, rules):
                    return _found(came, state, what, wrong, taken, depth, began)
                continue
            came[after] = (state, what)
            if wrong := seen_before(state, after, rules) or broken(after, rules):
                return _found(came, state, what, wrong, taken, depth, began)
            waiting.append((after, depth + 1))
        if is_stuck and any(owner.phase not in {Phase.READY, Phase.GONE} for owner in state.owners):
            return _found(came, state, "nothing can happen any more", "an owner waits for ever", taken, depth, began)
        if len(came) > states_max:
            return Searched(len(came), taken, depth, is_whole=False, cpu_s=time.process_time() - began)
    return Searched(len(came), taken, depth, is_whole=True, cpu_s=time.process_time() - began)


def _found(
    came: dict[State, tuple[State, str] | None],
    state: State,
    what: str,
    wrong: str,
    taken: int,
    depth: int,
    began: float,
) -> Searched:
    way = [what]
    at = came[state]
    while at is not None:
        state, told = at
        way.append(told)
        at = came[state]
    return Searched(len(came), taken, depth + 1, False, wrong, tuple(reversed(way)), time.process_time() - began)
