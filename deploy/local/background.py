"""`up`, `down`, `status`, `reset`: a stack that runs on in the background, in a process and a session of its own.

Its supervisor is a process of its own so that a demo, a test or a terminal can come and go: its progress is read from
its log, it is stopped by its pid, and the lock on the pid file says whether it lives.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local import addresses, children, folders, progress
from deploy.local.addresses import Addresses
from deploy.local.children import NotReady
from deploy.local.stack import PID_FILE, READY

UP_LIMIT_S = 300.0
"""Longest way up, with a first training run of the broker and a slow machine."""
DOWN_LIMIT_S = 90.0
"""Longest way down: each service has its own limit, most end in a second."""


def up(
    root: Path = folders.ROOT, *, name: str = "dev", options: Sequence[str] = (), is_tied: bool = False
) -> Addresses:
    """Bring the stack up, or find it up; with `is_tied` it ends when the calling process does.

    `options` are those of `python -m deploy.local.stack`.
    """
    state_dir = root / ".tapeline" / name
    if running(state_dir) is None:
        _start(root, name, options, is_tied=is_tied)
    found = addresses.read(state_dir)
    if found is None:
        raise NotReady(f"{state_dir / addresses.FILE} cannot be read: run `make down`, then `make up`")
    return found


def down(root: Path = folders.ROOT, *, name: str = "dev") -> bool:
    """Stop the stack; whether there was one."""
    pid = running(root / ".tapeline" / name)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + DOWN_LIMIT_S
    while running(root / ".tapeline" / name) is not None:
        if time.monotonic() > end:
            raise NotReady(f"the supervisor (process {pid}) does not end; look at its log, then kill it")
        time.sleep(children.STEP_S)
    return True


def running(state_dir: Path) -> int | None:
    """The supervisor's process id, if it lives: the lock on its file tells, the number may be another's by now."""
    try:
        with (state_dir / PID_FILE).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(file.read() or 0) or None
    except (OSError, ValueError):
        return None
    return None


def reset(root: Path = folders.ROOT, *, name: str = "dev") -> None:
    """Stop the stack and forget all it ever recorded."""
    from deploy.local.postgres import LocalPostgres  # noqa: PLC0415  only here

    down(root, name=name)
    state_dir = root / ".tapeline" / name
    LocalPostgres(state_dir).discard()
    shutil.rmtree(state_dir, ignore_errors=True)


def _start(root: Path, name: str, options: Sequence[str], *, is_tied: bool) -> None:
    log = root / ".tapeline" / name / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "deploy.local.stack", name, *options]
    if is_tied:
        child = children.spawn(argv, log=log, cwd=root)
    else:
        with log.open("ab") as output:
            child = subprocess.Popen(
                argv, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    try:
        _follow(child, log)
    except BaseException:
        # A person who interrupts `up` wants it gone, not half up.
        children.stop(child, limit_s=DOWN_LIMIT_S)
        raise


def _follow(child: subprocess.Popen[bytes], log: Path) -> None:
    """Show the supervisor's lines until it says that everything is ready."""
    end = time.monotonic() + UP_LIMIT_S
    with progress.shown("starting") as show, contextlib.ExitStack() as stack:
        while not log.exists():
            time.sleep(children.STEP_S)
        lines = stack.enter_context(log.open())
        while True:
            line = lines.readline()
            if line.endswith("\n"):
                show(line.rstrip())
                if READY in line:
                    return
            elif child.poll() is not None:
                raise NotReady(f"the stack did not come up; what was shown stands in {log} too")
            elif time.monotonic() > end:
                raise NotReady(f"the stack is not up after {UP_LIMIT_S:.0f} s. {children.tail(log)}")
            else:
                time.sleep(children.STEP_S)


def main() -> None:
    """The verbs of the Makefile."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.background", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status", "reset"))
    parser.add_argument("--name", default="dev")
    args = parser.parse_args()
    state_dir = folders.ROOT / ".tapeline" / args.name
    try:
        if args.verb == "up":
            found = up(name=args.name)
            print("\n".join(f"{key}={value}" for key, value in found.env().items()))
        elif args.verb == "down":
            print("stopped" if down(name=args.name) else "nothing was running")
        elif args.verb == "reset":
            reset(name=args.name)
        else:
            pid = running(state_dir)
            print(f"up, supervisor {pid}, logs in {state_dir / 'logs'}" if pid else "down")
    except NotReady as failure:
        raise SystemExit(str(failure)) from failure


if __name__ == "__main__":
    main()
