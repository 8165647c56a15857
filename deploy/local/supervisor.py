"""Services in order -> all of them running until we are told to stop: what dies is started again, nothing is left.

One loop in one thread looks at every service in turn and never waits inside for one of them, so a signal is obeyed at
once and a slow start of one does not hide the death of another.
"""

import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

from deploy.local import children
from deploy.local.children import NotReady

LOOK_EVERY_S = 0.02
"""Pause between two looks at all services; a look costs a system call each."""
RESTARTS_MAX = 5
"""Restarts of one service within RESTART_WINDOW_S: more of them are a fault that restarting does not cure."""
RESTART_WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.2
"""Wait before the second restart; it doubles with each restart within the window. The first is at once."""
BACKOFF_MAX_S = 5.0
"""Longest wait before a restart."""


class Service(Protocol):
    """What can be supervised: a process of ours, a broker, a database."""

    name: str
    log: Path
    start_limit_s: float

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""

    def launch(self) -> None:
        """Start it and come back without waiting for it."""

    def is_ready(self) -> bool:
        """Whether it does its work, and the listener is its own."""

    def stop(self) -> None:
        """End it in order, or after a limit not in order."""

    def kill(self) -> None:
        """End it at once."""


class GaveUp(Exception):
    """A service dies again and again; the message names its log and quotes the end of it."""


class Supervisor:
    """Keeps services alive; each is a child of this process."""

    def __init__(self, say: Callable[[str], None] = print) -> None:
        """`say` takes one line for people: what is started, what is ready, what died."""
        self._say = say
        self._kept: list[_Kept] = []
        self._is_told = False

    @property
    def is_told_to_stop(self) -> bool:
        """Whether SIGINT or SIGTERM came."""
        return self._is_told

    def bring(self, *services: Service) -> None:
        """Start these together and wait until all are ready; if one fails, everything is stopped and it raises."""
        begun = time.monotonic()
        new = [_Kept(service) for service in services]
        try:
            for kept in new:
                self._kept.append(kept)
                self._say(f"{kept.service.name}: starting")
                kept.launch()
            waiting = list(new)
            while waiting and not self._is_told:
                for kept in list(waiting):
                    if kept.becomes_ready():
                        self._say(f"{kept.service.name}: ready in {time.monotonic() - begun:.1f} s")
                        waiting.remove(kept)
                time.sleep(children.STEP_S)
        except BaseException:
            self.stop()
            raise

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until told to stop, by a signal or by `until`; then stop everything."""
        try:
            while not self._is_told and not until():
                self.look()
                time.sleep(LOOK_EVERY_S)
        finally:
            self.stop()

    def look(self) -> None:
        """One look at every service: start again what died and waited long enough, give up on what dies too often."""
        for kept in self._kept:
            kept.look(self._say)

    def stop(self) -> None:
        """End all services, the last one started first: what writes ends before what it writes to."""
        while self._kept:
            service = self._kept.pop().service
            service.stop()
            self._say(f"{service.name}: stopped")

    @contextlib.contextmanager
    def obeying_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end `run` and `bring` in order; a second one changes nothing, the limits hold."""

        def told(_number: int, _frame: FrameType | None) -> None:
            self._is_told = True

        before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Kept:
    """A service, since when it is starting, and when it was started again."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._starting_since: float | None = None
        self._restarts: deque[float] = deque()
        self._due: float | None = None

    def launch(self) -> None:
        self._starting_since = time.monotonic()
        self.service.launch()

    def becomes_ready(self) -> bool:
        """Whether it is ready now; raises if it ended or took too long."""
        service = self.service
        if not service.is_alive:
            raise NotReady(f"{service.name} ended while starting. {children.tail(service.log)}")
        if service.is_ready():
            self._starting_since = None
            return True
        if self._is_late():
            raise NotReady(
                f"{service.name} not ready after {service.start_limit_s:.0f} s. {children.tail(service.log)}"
            )
        return False

    def look(self, say: Callable[[str], None]) -> None:
        """Drive it on from death over waiting and starting to ready."""
        if not self.service.is_alive:
            self._recover(say)
        elif self._starting_since is not None:
            if self.service.is_ready():
                self._starting_since = None
                say(f"{self.service.name}: ready again")
            elif self._is_late():
                say(f"{self.service.name}: not ready after {self.service.start_limit_s:.0f} s, ended")
                self.service.kill()

    def _recover(self, say: Callable[[str], None]) -> None:
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._pause(now)
            say(f"{self.service.name}: died, starts again in {self._due - now:.1f} s ({self.service.log})")
        elif now >= self._due:
            self._due = None
            self._restarts.append(now)
            self.service.kill()  # what its last life left behind
            try:
                self.launch()
            except Exception as failure:  # noqa: BLE001  a port still held, a full disk: the next round tries again
                say(f"{self.service.name}: could not be started: {failure}")

    def _pause(self, now: float) -> float:
        """How long to wait; raises once it died too often."""
        while self._restarts and self._restarts[0] < now - RESTART_WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) >= RESTARTS_MAX:
            raise GaveUp(
                f"{self.service.name} died {RESTARTS_MAX + 1} times within {RESTART_WINDOW_S:.0f} s; everything is "
                f"stopped. {children.tail(self.service.log)}"
            )
        if not self._restarts:
            return 0.0
        return min(BACKOFF_FIRST_S * 2.0 ** (len(self._restarts) - 1), BACKOFF_MAX_S)

    def _is_late(self) -> bool:
        since = self._starting_since
        return since is not None and time.monotonic() - since > self.service.start_limit_s
