"""A seed -> faults, several at once or for a while none, each healed before the next: who was hit when, for how long.

Every fault has a source of chance of its own, drawn from the seed, so that the plan does not depend on how long the
faults before it took.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.faults.checker.evidence import Instant
from tests.faults.fault import Fault, Missed
from tests.faults.histories import Log
from tests.faults.ledger import Injected
from tests.kit.whole_stack import WholeStack

AT_ONCE_WEIGHTS = (2, 5, 3, 2)
"""How often none, one, two or three faults are drawn; none leaves everybody alone for a while."""
CALM_SECONDS = (0.5, 3.0)
"""Between two draws: traffic must flow, and nothing may come at a fixed pace."""
QUICK_WEIGHT = 3
"""A fault that weighs less takes long: one of it is enough for a tier that every change waits for."""
INJECT_SECONDS_MAX = 180.0
"""Longest injection: two hosts that fight for partitions on a busy machine, one take-over after the other."""
COMPOUND = "F30"
"""The row of several faults at once."""

Subset = tuple[Fault, ...]


def tier(faults: Sequence[Fault], chance: random.Random) -> Iterator[Subset]:
    """Every fault once in any order; then quick ones whose row had but one, once more, two at a time now and then."""
    left = chance.sample(list(faults), len(faults))
    yield from ((fault,) for fault in left)
    tried = Counter(fault.row for fault in faults)
    left = [fault for fault in left if tried[fault.row] == 1 and fault.weight >= QUICK_WEIGHT]
    left = chance.sample(left, len(left))
    while left:
        count = chance.choice((1, 2))
        yield tuple(left[:count])
        left = left[count:]


def mixes(faults: Sequence[Fault], chance: random.Random) -> Iterator[Subset]:
    """Random subsets without end, each fault as often as it weighs."""
    while True:
        (count,) = chance.choices(range(len(AT_ONCE_WEIGHTS)), AT_ONCE_WEIGHTS)
        drawn: list[Fault] = []
        while len(drawn) < min(count, len(faults)):
            left = [fault for fault in faults if fault not in drawn]
            drawn += chance.choices(left, [fault.weight for fault in left])
        yield tuple(drawn)


class Storm:
    """Injects and writes down."""

    def __init__(
        self,
        stack: WholeStack,
        chance: random.Random,
        instants: Log,
        say: Callable[[str], None],
        *,
        calm_s: tuple[float, float] = CALM_SECONDS,
    ) -> None:
        self.injected: list[Injected] = []
        self.trials: Counter[str] = Counter()
        self.missed: dict[str, str] = {}
        """Row -> why the last injection did not come about."""
        self._stack = stack
        self._chance = chance
        self._instants = instants
        self._say = say
        self._calm_s = calm_s
        self._began = time.monotonic()

    async def run(self, subsets: Iterator[Subset], for_s: float) -> None:
        """Until the plan is through or the time is up; everything is whole and answers when it returns."""
        self._began = time.monotonic()
        for subset in subsets:
            if self._at() > for_s:
                break
            if subset:
                await self._together(subset)
            await asyncio.sleep(self._chance.uniform(*self._calm_s))

    async def _together(self, subset: Subset) -> None:
        self._mark("fault", " and ".join(fault.name for fault in subset))
        sources = [random.Random(self._chance.random()) for _ in subset]
        try:
            done = await asyncio.gather(*map(self._one, subset, sources))
        finally:
            for fault in subset:
                await fault.heal(self._stack)
        await self._stack.until_ready()
        began = time.monotonic()
        assert self._stack.doors is not None
        await self._stack.doors.knock()
        self._mark("healed")
        self._stack.forgive()
        self._say(f"{self._at():6.1f} s  everything is ready, and answers after {time.monotonic() - began:.2f} s")
        if sum(done) > 1:
            self.trials[COMPOUND] += 1

    async def _one(self, fault: Fault, chance: random.Random) -> bool:
        at_s = self._at()
        try:
            async with asyncio.timeout(INJECT_SECONDS_MAX):
                what = dict(await fault.inject(self._stack, chance))
        except Missed as missed:
            self.missed[fault.row] = str(missed)
            self._say(f"{self._at():6.1f} s  {fault.row} {fault.name}: missed, {missed}")
            return False
        self.trials[fault.row] += 1
        self.injected.append(Injected(row=fault.row, at_s=round(at_s, 3), what={"fault": fault.name, **what}))
        self._say(f"{self._at():6.1f} s  {fault.row} {fault.name}: {_shown(what)}, {self._at() - at_s:.1f} s")
        return True

    def _at(self) -> float:
        return time.monotonic() - self._began

    def _mark(self, what: Any, name: str = "") -> None:
        self._instants.write(
            Instant(what=what, mono_ns=time.monotonic_ns(), wall_us=time.time_ns() // 1_000, name=name)
        )


def _shown(what: dict[str, Any]) -> str:
    return ", ".join(f"{name} {said}" for name, said in what.items() if not name.startswith(("flying", "killed_")))
