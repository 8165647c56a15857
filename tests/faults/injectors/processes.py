"""F1-F3, F5-F8: processes of ours are killed in the middle of their work, stopped and woken, or started twice."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from deploy.local import children, folders, ports, process, processes
from tests.faults import phases
from tests.faults.fault import Fault, Missed
from tests.kit.whole_stack import Doors, WholeStack

OVER = 1.25
"""A kill falls into this multiple of what an answer takes: into every phase, and sometimes after all of them."""
WITHIN_SECONDS_MAX = 1.0
"""Longest wait for the instant of a kill, whatever the last answer took."""
FENCED_SECONDS_MAX = 45.0
"""How long a host that lost its partitions may take to notice, with commands waiting in all of them."""
READY_SECONDS_MAX = 60.0
"""Longest start of a second host: it takes every partition over."""
STOPPED_SECONDS = (0.5, 14.0)
"""How long a zombie stands still: from less than any time-out to more than that of its transactions, ten seconds."""
COPY_SECONDS_MAX = 2.0
"""How long the projector may write nothing before it is killed all the same."""
NOTICE_SECONDS = 5.0
"""Longest orderly end of a second worker."""


class Second:
    """A second process of a kind, beside the one that is supervised; it ends with the run at the latest."""

    def __init__(self, stack: WholeStack, name: str, **env: str) -> None:
        port = ports.one()
        self.log = stack.stack.logs / f"{name}-second.log"
        self._is_ready = process.answers(port)
        self._port = port
        row = next(row for row in processes.table(stack.addresses, with_market=False) if row.name == name)
        told = {**os.environ, **stack.addresses.env(), **env, "TAPELINE_METRICS_PORT": str(port)}
        self.child = children.spawn(row.argv, log=self.log, env=told, cwd=folders.ROOT)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.child.poll() is None

    async def until_ready(self) -> None:
        """Return when it does its work, or has ended before."""
        until = time.monotonic() + READY_SECONDS_MAX
        while self.is_alive and not await asyncio.to_thread(self._is_ready, self.child.pid):
            if time.monotonic() > until:
                raise Missed("a second process was not ready in time")
            await asyncio.sleep(0.05)

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """No more of it."""
        limit = NOTICE_SECONDS if with_signal is signal.SIGTERM else 0.0
        children.stop(self.child, limit_s=limit, with_signal=with_signal)
        ports.release(self._port)


class Killed:
    """SIGKILL while something that the victim must do is under way, at an instant that is as likely in each phase."""

    def __init__(self, row: str, name: str, victim: str, weight: int) -> None:
        self.row, self.name, self.weight = row, name, weight
        self._victim = victim

    def missing(self) -> str:
        """Nothing is needed but a process."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Measure what the work takes, begin it again, kill in the middle, and see it done."""
        work = self._work(stack)
        began = time.monotonic()
        await work()
        within = min((time.monotonic() - began) * OVER, WITHIN_SECONDS_MAX)
        flying = asyncio.ensure_future(work())
        after_s = chance.uniform(0, within)
        await asyncio.sleep(after_s)
        dead = kill(stack, self._victim)
        await stack.until_started_again(self._victim, dead)
        await flying
        return {"process": self._victim, "after_ms": round(after_s * 1000, 1)}

    async def heal(self, stack: WholeStack) -> None:
        """Its supervisor does."""

    def _work(self, stack: WholeStack) -> Callable[[], Awaitable[object]]:
        return doors(stack).knock


class DeciderKilled(Killed):
    """The decider, with commands of every partition in flight; how long until each partition decides again."""

    def __init__(self) -> None:
        super().__init__("F1", "decider killed in any phase of its transaction", "deciders", 10)

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """`failover_ms` is one for each partition; by what phases.py takes away again it finds the phases."""
        knock = doors(stack).knock
        usual = await knock()
        took = max(each.told_ns - each.asked_ns for each in usual if each.told_ns) / 1e9 if usual else 0.0
        flying = asyncio.ensure_future(knock())
        after_s = chance.uniform(0, min(took * OVER, WITHIN_SECONDS_MAX))
        await asyncio.sleep(after_s)
        dead, killed_ns, killed_ms = kill(stack, "deciders"), time.monotonic_ns(), time.time_ns() // 1_000_000
        after = await knock()
        await stack.until_started_again("deciders", dead)
        waited = [(each.told_ns - killed_ns) / 1e6 for each in after if each.told_ns]
        return {
            "process": "deciders",
            "after_ms": round(after_s * 1000, 1),
            "failover_ms": [round(each) for each in waited],
            phases.FLYING: [(each.command, each.told_ns) for each in await flying],
            phases.KILLED_NS: killed_ns,
            phases.KILLED_MS: killed_ms,
        }


class EffectsKilled(Killed):
    """The effects, with an order on its way to the venue and back."""

    def __init__(self) -> None:
        super().__init__("F8", "effects killed between send and record", "effects", 8)

    def _work(self, stack: WholeStack) -> Callable[[], Awaitable[object]]:
        return doors(stack).order


class ProjectorKilled(Killed):
    """The projector, while its connection writes."""

    def __init__(self) -> None:
        super().__init__("F6", "projector killed while it writes", "projector", 8)

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Kill in a transaction, where one is met."""
        flying = asyncio.ensure_future(doors(stack).knock())
        writing = await asyncio.to_thread(_until_writing, stack.addresses.postgres)
        await asyncio.sleep(chance.uniform(0, 0.01))
        dead = kill(stack, "projector")
        await stack.until_started_again("projector", dead)
        await flying
        return {"process": "projector", "while": writing}


class Zombie:
    """The decider is stopped, another takes its partitions, then it wakes and believes that they are its own."""

    row, name, weight = "F2", "decider stopped, replaced, and woken as a zombie", 4

    def __init__(self) -> None:
        self._seconds: list[Second] = []
        self._stopped: list[int] = []

    def missing(self) -> str:
        """Nothing is needed but a process."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when the zombie has ended, another life of it has taken over, and the second host has ended too."""
        zombie = stack.pid("deciders")
        if zombie is None:
            raise Missed("no decider runs")
        still_s, began = chance.uniform(*STOPPED_SECONDS), time.monotonic()
        flying = asyncio.ensure_future(doors(stack).knock())
        await asyncio.sleep(chance.uniform(0, 0.03))
        self._stopped.append(zombie)
        os.kill(zombie, signal.SIGSTOP)
        second = Second(stack, "deciders")
        self._seconds.append(second)
        await second.until_ready()
        await asyncio.sleep(max(0.0, began + still_s - time.monotonic()))
        stood_s = time.monotonic() - began
        with suppress(ProcessLookupError):
            os.kill(zombie, signal.SIGCONT)
        self._stopped.remove(zombie)
        await until_gone(stack, lambda: stack.pid("deciders") != zombie, "the zombie")
        await stack.until_started_again("deciders", zombie)
        await until_gone(stack, lambda: not second.is_alive, "the second host")
        await flying
        return {"process": "deciders", "stood_s": round(stood_s, 1), "second_ended": second.child.returncode}

    async def heal(self, stack: WholeStack) -> None:
        """Wake who still stands still, end who is too many."""
        while self._stopped:
            with suppress(ProcessLookupError):
                os.kill(self._stopped.pop(), signal.SIGCONT)
        while self._seconds:
            self._seconds.pop().end(signal.SIGKILL)


class Twins:
    """A second decider host is started for the same partitions while the first one decides."""

    row, name, weight = "F3", "two deciders for the same partitions", 4

    def __init__(self) -> None:
        self._seconds: list[Second] = []

    def missing(self) -> str:
        """Nothing is needed but a process."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when the first has lost and come back, and the second has ended."""
        first = stack.pid("deciders")
        if first is None:
            raise Missed("no decider runs")
        second = Second(stack, "deciders")
        self._seconds.append(second)
        await until_gone(stack, lambda: stack.pid("deciders") != first, "the first host")
        await stack.until_started_again("deciders", first)
        await until_gone(stack, lambda: not second.is_alive, "the second host")
        return {"process": "deciders", "second_ended": second.child.returncode}

    async def heal(self, stack: WholeStack) -> None:
        """End who is too many."""
        while self._seconds:
            self._seconds.pop().end(signal.SIGKILL)


class KilledInRecovery(Killed):
    """The Faust worker, and again while it recovers its tables."""

    def __init__(self) -> None:
        super().__init__("F5", "Faust worker killed, and again in its recovery", "agents", 4)

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """The second kill comes before the first life after the first kill is ready, when it is early enough."""
        first = kill(stack, "agents")
        while (again := stack.pid("agents")) in {None, first}:
            await asyncio.sleep(0.02)
        after_s = chance.uniform(0.5, 4.0)
        await asyncio.sleep(after_s)
        was_ready = stack.is_ready("agents")
        dead = kill(stack, "agents")
        await stack.until_started_again("agents", dead)
        return {"process": "agents", "after_ms": round(after_s * 1000), "in_recovery": not was_ready and dead == again}


class KilledInRebalance:
    """A second Faust worker joins, and one of the two is killed while partitions move."""

    row, name, weight = "F5", "Faust worker killed while partitions move to another", 2

    def __init__(self) -> None:
        self._seconds: list[Second] = []

    def missing(self) -> str:
        """Nothing is needed but a process."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when one worker has everything again."""
        folder = Path(stack.stack.state_dir) / "second-worker"
        second = Second(stack, "agents", TAPELINE_STATE_DIR=str(folder))
        self._seconds.append(second)
        after_s = chance.uniform(1.0, 8.0)
        await asyncio.sleep(after_s)
        victim = chance.choice(["agents", "second"])
        if victim == "agents":
            dead = kill(stack, "agents")
            await stack.until_started_again("agents", dead)
            second.end()
        else:
            second.end(signal.SIGKILL)
        return {"process": victim, "after_ms": round(after_s * 1000)}

    async def heal(self, stack: WholeStack) -> None:
        """End who is too many."""
        while self._seconds:
            self._seconds.pop().end(signal.SIGKILL)


def doors(stack: WholeStack) -> Doors:
    """The clients of this run. Raises Missed when there are none."""
    if stack.doors is None:
        raise Missed("nobody trades")
    return stack.doors


def kill(stack: WholeStack, name: str) -> int:
    """kill -9, and the id that is no more. Raises Missed."""
    if stack.pid(name) is None:
        raise Missed(f"{name} does not run")
    return stack.kill(name)


async def until_gone(stack: WholeStack, is_gone: Callable[[], bool], who: str) -> None:
    """Send commands to every partition until this one has noticed that it lost them. Raises AssertionError."""
    until = time.monotonic() + FENCED_SECONDS_MAX
    while not is_gone():
        assert time.monotonic() < until, f"{who} did not end in {FENCED_SECONDS_MAX:.0f} s after it lost its partitions"
        await doors(stack).knock()


def _until_writing(dsn: str) -> str:
    """What the projector's connection does at a moment when it is in a transaction."""
    sql = """
    SELECT left(query, 4) FROM pg_stat_activity
    WHERE application_name LIKE 'projector%' AND state IN ('active', 'idle in transaction')
    """
    until = time.monotonic() + COPY_SECONDS_MAX
    with psycopg.connect(dsn, autocommit=True) as database:
        while time.monotonic() < until:
            if found := database.execute(sql).fetchone():
                return str(found[0])
    return "idle"


FAULTS: tuple[Fault, ...] = (
    DeciderKilled(),
    Zombie(),
    Twins(),
    Killed("F5", "Faust worker killed", "agents", 6),
    KilledInRecovery(),
    KilledInRebalance(),
    ProjectorKilled(),
    Killed("F7", "gateway killed with open sockets and requests", "gateway", 8),
    EffectsKilled(),
)
