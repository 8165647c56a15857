"""An asyncio loop whose time is counted, not lived: processes side by side, in an order that the seed draws.

Every callback belongs to the process in whose context it was scheduled. Within a process callbacks run in the order of
asyncio, first in, first out; between processes the seed chooses. A process can be killed between any two of its steps
(from then on nothing of it ever runs), stopped and continued, as by signals.
"""

import asyncio
import heapq
import itertools
from asyncio import Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

US_PER_S = 1_000_000
STEPS_MAX = 5_000_000
"""Callbacks of one history after which it is called endless: a thorough history of 500 commands has about 100,000."""
TASKS_KEPT = 1_000
"""Tasks of a process before those that are done are forgotten."""
BURIALS_MAX = 20
"""How often what is left is told to end."""
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Endless(Exception):
    """The history does not come to an end; the message says where it stands."""


class Process:
    """What is killed and stopped as one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: deque[Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.tasks_kept = TASKS_KEPT
        self.is_dead = False
        self.is_stopped = False
        self.steps_left: int | None = None
        """Dies after so many steps; None lives on."""
        self.skew_us = 0
        """What its wall clock is ahead of ours."""
        self.when_dead: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return self.name


OUTSIDE = Process("outside")
"""Whatever no process began: the history itself."""
CURRENT: ContextVar[Process] = ContextVar("process", default=OUTSIDE)


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks; when none is ready the time of the next timer has come."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now_us = 0
        self._timers: list[tuple[int, int, TimerHandle | Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._runnable: list[Process] = []
        self.steps = 0
        self.processes: list[Process] = []
        self.complaints: list[str] = []
        OUTSIDE.queue.clear()
        OUTSIDE.tasks.clear()
        self.set_exception_handler(self._complain)
        self.set_task_factory(_made)

    def time(self) -> float:
        """Virtual seconds since the beginning of the history."""
        return self._now_us / US_PER_S

    @property
    def now_us(self) -> int:
        """The same in microseconds, exact."""
        return self._now_us

    def jump(self, us: int) -> None:
        """All processes were frozen for so long, as on a machine that was suspended: what is due is late."""
        self._now_us += us

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a process with this work."""
        if process not in self.processes:
            self.processes.append(process)
        return self.context_of(process).run(self.create_task, work)

    @staticmethod
    def context_of(process: Process) -> Context:
        """A context whose callbacks belong to this process."""
        context = copy_context()
        context.run(CURRENT.set, process)
        return context

    def kill(self, process: Process) -> None:
        """Nothing of it ever runs again, not even what it would do at its end."""
        if process.is_dead:
            return
        process.is_dead, process.steps_left = True, None
        if process in self._runnable:
            self._runnable.remove(process)
        for told in process.when_dead:
            told()

    def stop_process(self, process: Process) -> None:
        """It stands still; what happens to it waits."""
        process.is_stopped = True
        if process in self._runnable:
            self._runnable.remove(process)

    def continue_process(self, process: Process) -> None:
        """It goes on where it stood, and sees at once all that happened meanwhile."""
        process.is_stopped = False
        if process.queue and not process.is_dead and process not in self._runnable:
            self._runnable.append(process)

    def bury(self) -> None:
        """End what is left of all processes, so that nothing of this history is still there in the next one."""
        self.steps = 0
        for process in self.processes:
            process.is_dead, process.is_stopped, process.steps_left = False, False, None
            process.when_dead.clear()
            for task in process.tasks:
                task.cancel()
            self.continue_process(process)
        self.run_until_complete(self._end_tasks())

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> Handle:
        """As asyncio's; the callback waits in the queue of its process."""
        handle = Handle(callback, args, self, context)
        process = CURRENT.get() if context is None else context.get(CURRENT, OUTSIDE)
        self._queue(process, handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        """As asyncio's, to the microsecond."""
        return self.call_at_us(self._now_us + round(delay * US_PER_S), callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        """As asyncio's, to the microsecond."""
        return self.call_at_us(round(when * US_PER_S), callback, *args, context=context)

    def call_at_us(
        self, when_us: int, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        """At an exact instant; equal instants keep the order of their calls."""
        timer = TimerHandle(when_us, callback, args, self, context or copy_context())
        heapq.heappush(self._timers, (when_us, next(self._numbers), timer))
        return timer

    def act_at_us(self, when_us: int, act: Callable[[], None]) -> None:
        """At an exact instant, by no process: what the world outside does, which waits for nobody's turn."""
        heapq.heappush(self._timers, (when_us, next(self._numbers), act))

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """There are no threads here: whoever needs one has no place in a simulation."""
        raise RuntimeError(f"{func} wants a thread, and a simulation has one alone")

    def _run_once(self) -> None:
        """Some steps; asyncio calls this until it is stopped."""
        while not self._stopping:  # type: ignore[attr-defined]  # asyncio's own flag, which its types do not show
            if not self._runnable:
                self._wait()
                continue
            count = len(self._runnable)
            place = int(self._random.random() * count) if count > 1 else 0
            process = self._runnable[place]
            handle = process.queue.popleft()
            if not process.queue:
                self._runnable[place] = self._runnable[-1]
                self._runnable.pop()
            if handle._cancelled:
                continue
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise Endless(f"{self.steps} steps at {self.time():.3f} s, the last of {process}")
            handle._run()
            if process.steps_left is not None:
                process.steps_left -= 1
                if process.steps_left <= 0:
                    self.kill(process)

    def _wait(self) -> None:
        if not self._timers:
            raise Endless(f"{self.steps} steps at {self.time():.3f} s: nobody will ever act again")
        self._now_us = max(self._now_us, self._timers[0][0])
        if self.steps > STEPS_MAX:
            raise Endless(f"{self.steps} steps at {self.time():.3f} s")
        while self._timers and self._timers[0][0] <= self._now_us:
            timer = heapq.heappop(self._timers)[2]
            if not isinstance(timer, TimerHandle):
                self.steps += 1
                timer()
            elif not timer._cancelled:
                context: Context = timer._context  # type: ignore[attr-defined]  # asyncio's own, like its flag above
                self._queue(context.get(CURRENT, OUTSIDE), timer)

    def _queue(self, process: Process, handle: Handle) -> None:
        if not process.queue and not process.is_stopped and not process.is_dead:
            self._runnable.append(process)
        process.queue.append(handle)  # Of a dead one too: its tasks must be ended some time, and wait for this.

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """A cancelled timer goes when its time comes."""

    async def _end_tasks(self) -> None:
        left = [task for process in self.processes for task in process.tasks if not task.done()]
        for _ in range(BURIALS_MAX):
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1.0)
            left = [task for task in left if not task.done()]
            if not left:
                break
        else:
            raise Endless(f"these will not end: {left[:3]}")
        for process in self.processes:
            for task in process.tasks:
                if not task.cancelled():
                    task.exception()  # Seen: the history has judged already.
            process.tasks.clear()

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")


def _made(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **named: Any
) -> asyncio.Task[T]:
    """A task that its process holds: one that was killed must not be collected, since that would run its end."""
    task: asyncio.Task[T] = asyncio.Task(work, loop=loop, **named)
    process = CURRENT.get()
    process.tasks.append(task)
    if len(process.tasks) > process.tasks_kept:
        process.tasks = [each for each in process.tasks if not each.done()]
        process.tasks_kept = TASKS_KEPT + 2 * len(process.tasks)
    return task
