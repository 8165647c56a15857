"""A row of the table of processes -> one process of ours: its command, its environment, how it says ready."""

import http.client
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local import children, spare

START_LIMIT_S = 120.0
"""Longest start of a process of ours: a take-over after a crash may wait for the broker's own recovery, and ten of them
that start together on two busy cores took a minute."""
STOP_LIMIT_S = 10.0
"""Longest orderly end: the batch in hand is finished, nothing new is taken."""
PROBE_TIMEOUT_S = 1.0
"""Longest wait for the answer of a readiness probe, which does no work."""


class AppProcess:
    """One process of ours, child of this one."""

    def __init__(  # noqa: PLR0913  what a process is, one named argument each
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        is_ready: Callable[[int], bool] = lambda _: True,
        cwd: Path | None = None,
        has_spare: bool = False,
    ) -> None:
        """`is_ready` is given the process id, so that it can tell our listener from somebody else's.

        With a spare another process of the same program waits, everything imported: a restart costs no start. It is
        only kept on Linux, where the kernel ends it with us.
        """
        self.name = name
        self.log = log
        self.start_limit_s = START_LIMIT_S
        self._argv = argv
        self._env = {**os.environ, **env}
        self._is_ready = is_ready
        self._cwd = cwd
        self._has_spare = has_spare and sys.platform.startswith("linux")
        self._child: subprocess.Popen[bytes] | None = None
        self._spare: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its id, while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    def launch(self) -> None:
        """Start it and come back."""
        if self._spare is not None and self._spare.poll() is None:
            self._child, self._spare = self._spare, None
            self._child.send_signal(spare.WORD)
            return
        children.end_leftover(self.log, limit_s=STOP_LIMIT_S)
        self._child = self._spawned(self._argv)

    def is_ready(self) -> bool:
        """Whether its probe says so."""
        pid = self.pid
        is_ready = pid is not None and self._is_ready(pid)
        if is_ready and self._has_spare and self._spare is None:
            self._spare = self._spawned((*spare.command(), *self._argv[1:]))
        return is_ready

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after a limit."""
        if self._spare is not None:
            children.kill(self._spare)
            self._spare = None
        if self._child is not None:
            children.stop(self._child, limit_s=STOP_LIMIT_S)
            self._child = None

    def kill(self) -> None:
        """SIGKILL, to all it started as well; a spare is for the next launch."""
        if self._child is not None:
            children.kill(self._child)
            self._child = None

    def _spawned(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with spare.word_kept():
            return children.spawn(argv, log=self.log, env=self._env, cwd=self._cwd)


def listens(port: int) -> Callable[[int], bool]:
    """Ready once the process itself listens on the port."""
    return lambda pid: children.owns(pid, port)


def answers(port: int, path: str = "/readyz") -> Callable[[int], bool]:
    """Ready once the process itself listens there and answers the path with 200."""
    return lambda pid: children.owns(pid, port) and _status(port, path) == http.client.OK


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
