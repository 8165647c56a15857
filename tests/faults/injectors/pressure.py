"""F18: any process stands still for a while, all of them fight for the processors, one has no more memory to take."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

from deploy.local import children
from tests.faults.fault import Fault, Missed
from tests.kit.whole_stack import WholeStack

PAUSE_SECONDS = (0.1, 10.0)
"""From what a collector may take to what a frozen machine does; half of all pauses are below a second."""
STARVED_SECONDS = (2.0, 8.0)
BUSY_A_CORE = 3
"""Busy children for each core: what is left for the stack is a quarter of the machine."""
CAPPED_SECONDS = 6.0
ROOM_BYTES = (0, 8 * 2**20)
"""What a process may still take once it is capped: from nothing to a few buffers."""
BUSY = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass\n"
SERVERS = ("postgres",)
"""What is many processes: to stop the first of them stops nothing."""


class Paused:
    """SIGSTOP, and SIGCONT after a while: nobody was killed, and every time-out may have passed."""

    row, name, weight = "F18", "a process stands still for 0.1 to 10 s", 8

    def __init__(self) -> None:
        self._stopped: set[int] = set()

    def missing(self) -> str:
        """Nothing is needed but a process."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when it was woken: whether it goes on or ends is its own affair."""
        name = chance.choice([each for each in stack.names() if each not in SERVERS])
        pid = stack.pid(name)
        if pid is None:
            raise Missed(f"{name} does not run")
        least, most = PAUSE_SECONDS
        still_s = least * (most / least) ** chance.random()
        self._stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(still_s)
        finally:
            self._wake(pid)
        return {"process": name, "stood_s": round(still_s, 2)}

    async def heal(self, stack: WholeStack) -> None:
        """Wake everybody."""
        for pid in list(self._stopped):
            self._wake(pid)

    def _wake(self, pid: int) -> None:
        self._stopped.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


class Starved:
    """Children that do nothing but count take the processors; they end by themselves."""

    row, name, weight = "F18", "all processors are busy with something else", 4

    def missing(self) -> str:
        """Nothing is needed but processes."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when they have ended; `taken_s` is the processor time that they got."""
        for_s, count = chance.uniform(*STARVED_SECONDS), BUSY_A_CORE * (os.cpu_count() or 1)
        log = stack.stack.logs / "busy.log"
        before = os.times()
        busy = [children.spawn((sys.executable, "-c", BUSY, str(for_s)), log=log) for _ in range(count)]
        try:
            await asyncio.sleep(for_s)
        finally:
            for child in busy:
                await asyncio.to_thread(children.kill, child)
        after = os.times()
        taken = after.children_user - before.children_user
        return {"children": count, "for_s": round(for_s, 1), "taken_s": round(taken, 1)}

    async def heal(self, stack: WholeStack) -> None:
        """They have ended."""


class Capped:
    """A process may take no more memory than it has: what it asks for then fails, and it lives with that or ends."""

    row, name, weight = "F18", "a process gets no more memory", 4

    def __init__(self) -> None:
        self._capped: dict[int, tuple[int, int]] = {}

    def missing(self) -> str:
        """A system that has limits of other processes."""
        return "" if hasattr(psutil.Process, "rlimit") else "this system cannot limit another process"

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when it may take again, or lives again."""
        name = chance.choice(["deciders", "sagas", "agents", "effects", "projector", "audit", "gateway"])
        pid = stack.pid(name)
        if pid is None:
            raise Missed(f"{name} does not run")
        room = chance.randint(*ROOM_BYTES)
        with suppress(psutil.NoSuchProcess):
            self._capped[pid] = cap(pid, room)
        until = time.monotonic() + CAPPED_SECONDS
        while stack.pid(name) == pid and time.monotonic() < until:
            await asyncio.sleep(0.05)
        has_ended = stack.pid(name) != pid
        self._lift(pid)
        if has_ended:
            await stack.until_started_again(name, pid)
        return {"process": name, "room_kib": room // 1024, "has_ended": has_ended}

    async def heal(self, stack: WholeStack) -> None:
        """No limits any more."""
        for pid in list(self._capped):
            self._lift(pid)

    def _lift(self, pid: int) -> None:
        before = self._capped.pop(pid, None)
        with suppress(psutil.NoSuchProcess):
            if before is not None:
                psutil.Process(pid).rlimit(psutil.RLIMIT_AS, before)


def cap(pid: int, room: int) -> tuple[int, int]:
    """Let a process take so many bytes more and no further; the limits that it had. Raises NoSuchProcess."""
    victim = psutil.Process(pid)
    before = victim.rlimit(psutil.RLIMIT_AS)
    victim.rlimit(psutil.RLIMIT_AS, (victim.memory_info().vms + room, before[1]))
    return before


FAULTS: tuple[Fault, ...] = (Paused(), Starved(), Capped())
