"""argv -> a child in a process group of its own, its output in a log file, that cannot outlive its parent on Linux."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

STEP_S = 0.02
"""Pause between two looks at a condition: short beside any start, long beside a look."""
LAST_LINES = 15
"""Lines of a log that an error quotes."""
KILLED_LIMIT_S = 5.0
"""Longest wait for the kernel to take a killed process away."""
_PR_SET_PDEATHSIG = 1


class NotReady(Exception):
    """A child died or did not become ready in time; the message quotes its log."""


def spawn(  # noqa: PLR0913  what a child is, one argument each
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start it, from a thread that lives as long as the child should: Linux watches the thread, not the process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            user=user,
            group=group_of(user),
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=_tether(death_signal),  # noqa: PLW1509  one system call, looked up before the fork
        )
    _remember(child, log)
    return child


def end_leftover(log: Path, *, limit_s: float, with_signal: signal.Signals = signal.SIGTERM) -> None:
    """End the child that last wrote this log, if its parent died without ending it: its port and files are wanted."""
    try:
        told = json.loads(_memory(log).read_text())
        if _found(told["parent"]) is not None:
            return
        left = _found(told["child"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if left is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        left.send_signal(with_signal)
        try:
            left.wait(limit_s)
        except psutil.TimeoutExpired:
            left.kill()
            left.wait(KILLED_LIMIT_S)


def _memory(log: Path) -> Path:
    return log.with_suffix(".pid")


def _remember(child: subprocess.Popen[bytes], log: Path) -> None:
    """Note who runs and who started it; a start time goes with each id, as ids come back."""
    with contextlib.suppress(psutil.Error):
        told = {
            who: [pid, psutil.Process(pid).create_time()]
            for who, pid in (("child", child.pid), ("parent", os.getpid()))
        }
        _memory(log).write_text(json.dumps(told))


def _found(told: tuple[int, float]) -> psutil.Process | None:
    """The very process that was noted, if it still runs."""
    pid, created = told
    try:
        process = psutil.Process(pid)
        return process if process.create_time() == created and _runs(process) else None
    except psutil.Error:
        return None


def stop(child: subprocess.Popen[bytes], *, limit_s: float, with_signal: signal.Signals = signal.SIGTERM) -> bool:
    """Ask it to end, then insist: all that is left of it is killed after the limit. True if asking was enough."""
    family = _family(child)
    if child.poll() is None:
        child.send_signal(with_signal)
    try:
        child.wait(limit_s)
        was_orderly = True
    except subprocess.TimeoutExpired:
        was_orderly = False
    _end(child, family)
    return was_orderly


def kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and all it started, at once."""
    _end(child, _family(child))


def _family(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Its descendants: some make groups of their own, as the children of PostgreSQL do."""
    try:
        return psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
    except psutil.Error:
        return []


def _end(child: subprocess.Popen[bytes], family: list[psutil.Process]) -> None:
    # Nobody may be left; macOS says "not permitted" of a group that has only zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    child.wait()
    end = time.monotonic() + KILLED_LIMIT_S
    while any(map(_runs, family)) and time.monotonic() < end:
        time.sleep(STEP_S)


def _runs(one: psutil.Process) -> bool:
    """A zombie has ended: its adopter may take its time to look."""
    try:
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def owns(pid: int, port: int) -> bool:
    """Whether this very process listens on the port: a probe alone may be answered by somebody else's server."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def await_ready(
    child: subprocess.Popen[bytes], is_ready: Callable[[], bool], *, name: str, log: Path, limit_s: float
) -> None:
    """Wait until it is ready; tell what it wrote if it ends or takes too long."""
    end = time.monotonic() + limit_s
    while not is_ready():
        if child.poll() is not None:
            raise NotReady(f"{name} ended with code {child.returncode} while starting. {tail(log)}")
        if time.monotonic() > end:
            raise NotReady(f"{name} is not ready after {limit_s:.0f} s. {tail(log)}")
        time.sleep(STEP_S)


def tail(log: Path) -> str:
    """The end of a log, as an error quotes it."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        lines = []
    return f"Last lines of {log}:\n" + "\n".join(f"    {line}" for line in lines or ["(nothing was written)"])


def group_of(user: str | None) -> int | None:
    """The user's own group."""
    if user is None:
        return None
    import pwd  # noqa: PLC0415  not there on Windows, where nobody is root either

    return pwd.getpwnam(user).pw_gid


def _tether(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Have the kernel signal the child when we die, even of SIGKILL; Linux alone can."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died between the fork and the call above

    return tie
