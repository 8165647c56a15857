"""F17: one process of a stack lives by another clock: an hour ahead or behind, or one that runs too fast or too slow.

The process is ended and started with libfaketime before it; healed, it is started again without. So the step lies
between two lives of a process, and its monotonic clock runs as its wall clock does: with the monotonic one left alone
the library breaks `time.sleep` of CPython 3.11. A step in the middle of a life is not tried.
"""

import asyncio
import functools
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.process import AppProcess
from tests.faults.fault import Fault, Missed
from tests.faults.injectors.supervised import spare_restart
from tests.kit.whole_stack import WholeStack

PROCESSES = ("deciders", "sagas", "agents", "effects", "projector", "gateway")
"""Whose clock may go wrong; simulators are not ours, and Java and PostgreSQL have their own ways to the clock."""
SECONDS_WRONG = (3.0, 8.0)
"""How long a process lives by the wrong clock once it is ready."""
CLOCKS = {
    "an hour ahead": "+1h",
    "an hour behind": "-1h",
    "fast by 200 ppm": "+0 x1.0002",
    "slow by 200 ppm": "+0 x0.9998",
    "twice as fast": "+0 x2",
}
PACKAGE = "libfaketime is not installed (Debian: faketime)"


@functools.cache
def library() -> Path | None:
    """The shared library, where its package puts it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found and shutil.which("faketime") else None


class WrongClock:
    """One process is started again under a wrong clock, lives so for some seconds, and is started once more."""

    row = "F17"
    name = "clock of a process wrong"
    weight = 1

    def __init__(self) -> None:
        self._wrong: list[AppProcess] = []

    def missing(self) -> str:
        """Whether the library is there and does what it says."""
        if library() is None:
            return PACKAGE
        shown = subprocess.run(
            ["date", "-u", "+%Y"], env=environment("@2001-01-01 00:00:00"), capture_output=True, text=True, check=False
        )
        return "" if shown.stdout.strip() == "2001" else "libfaketime does not change the clock of `date`"

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Returns when the process is back under the right clock."""
        victim, clock = chance.choice(PROCESSES), chance.choice(sorted(CLOCKS))
        for_s = chance.uniform(*SECONDS_WRONG)
        service = stack._kept(victim).service
        if not isinstance(service, AppProcess) or not stack.is_ready(victim):
            raise Missed(f"{victim} was not up")
        spare_restart(stack, victim, of=2)
        service._env = {**service._env, **environment(CLOCKS[clock])}
        self._wrong.append(service)
        await _started_again(stack, victim)
        await asyncio.sleep(for_s)
        self._right(service)
        await _started_again(stack, victim)
        return {"process": victim, "clock": clock, "for_ms": round(for_s * 1_000)}

    async def heal(self, stack: WholeStack) -> None:
        """Whoever still lives by a wrong clock is started again."""
        for service in list(self._wrong):
            self._right(service)
            if service.is_alive:
                await _started_again(stack, service.name)

    def _right(self, service: AppProcess) -> None:
        service._env = {name: value for name, value in service._env.items() if name not in environment("+0")}
        self._wrong.remove(service)


def environment(clock: str) -> dict[str, str]:
    """What a process needs to live by this clock."""
    return {"LD_PRELOAD": str(library()), "FAKETIME": clock}


async def _started_again(stack: WholeStack, name: str) -> None:
    dead = stack.kill(name)
    await stack.until_started_again(name, dead)


FAULTS: tuple[Fault, ...] = (WrongClock(),)
