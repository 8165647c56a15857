"""The whole of Tapeline on one machine: servers, then topics and tables, then every process, under one supervisor.

`python -m deploy.local.stack NAME` runs one in the foreground until SIGINT or SIGTERM; `background.py` runs that
command for `make up` and for the demo.
"""

import argparse
import dataclasses
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from deploy.local import addresses, children, folders, ports, processes, progress
from deploy.local.addresses import Addresses
from deploy.local.children import NotReady
from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from deploy.local.process import AppProcess
from deploy.local.processes import Row
from deploy.local.supervisor import Supervisor

PREPARE_LIMIT_S = 120.0
"""Longest preparation: some thirty topics and the base tables on a busy machine."""
LEFTOVER_LIMIT_S = 15.0
"""Longest orderly end of a leftover before it is killed."""
LOCK_LIMIT_S = 1.0
"""Longest wait for the lock of a name: whoever asks whether a stack runs holds it for a moment."""
PID_FILE = "supervisor.pid"
READY = "everything is ready"
"""The line by which a waiting `up` knows."""


class AlreadyRunning(Exception):
    """A stack of this name is up."""


class Stack:
    """One local stack; everything it starts is a child of this process."""

    def __init__(  # noqa: PLR0913  what can differ between stacks, one named argument each
        self,
        root: Path = folders.ROOT,
        *,
        name: str = "dev",
        with_market: bool = True,
        days: int = processes.ENDLESS,
        profile: Profile = Profile.FULL,
        table: Callable[[Addresses], list[Row]] | None = None,
        prepare: Sequence[str] | None = None,
        say: Callable[[str], None] = progress.line,
    ) -> None:
        """`table` and `prepare` stand in for the processes of processes.py, e.g. to start only some of them."""
        self.root = root
        self.state_dir = root / ".tapeline" / name
        self.supervisor = Supervisor(say)
        self.addresses: Addresses | None = None
        self._profile = profile
        self._table = table or (lambda chosen: processes.table(chosen, with_market=with_market, days=days))
        self._prepare = processes.prepare() if prepare is None else prepare
        self._say = say
        self._lock: IO[str] | None = None

    @property
    def logs(self) -> Path:
        """Where every process writes what it has to say."""
        return self.state_dir / "logs"

    def start(self) -> Addresses:
        """Bring everything up in order; if one thing fails, all is stopped and the error names its log."""
        self._lock_name()
        begun = time.monotonic()
        try:
            for log in self.logs.glob("*.log"):
                # A supervisor that was killed may have left servers that hold last time's ports.
                children.end_leftover(log, limit_s=LEFTOVER_LIMIT_S)
            chosen = addresses.choose(self.state_dir, processes.OURS)
            kafka = LocalKafka(
                self.state_dir / "kafka", port=chosen.kafka_port, profile=self._profile, log=self.logs / "kafka.log"
            )
            postgres = LocalPostgres(self.state_dir, port=chosen.postgres_port, log=self.logs / "postgres.log")
            chosen = self.addresses = dataclasses.replace(chosen, postgres=postgres.dsn)
            self.supervisor.bring(kafka, postgres)
            chosen.write()
            chosen.make_secrets()
            self._run_prepare(chosen)
            self.supervisor.bring(*(self._process(row, chosen) for row in self._table(chosen)))
        except BaseException:
            self.stop()
            raise
        if not self.supervisor.is_told_to_stop:
            self._say(f"{READY} after {time.monotonic() - begun:.1f} s: {chosen.gateway_url}")
        return chosen

    def stop(self) -> None:
        """Stop everything, the last started first."""
        self.supervisor.stop()
        if self.addresses is not None:
            ports.release(*self.addresses.ports)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _process(self, row: Row, chosen: Addresses) -> AppProcess:
        env = chosen.env() | dict(row.env) | {"PYTHONUNBUFFERED": "1"}
        log = self.logs / f"{row.name}.log"
        return AppProcess(
            row.name, row.argv, env=env, log=log, is_ready=row.is_ready, cwd=self.root, has_spare=row.has_spare
        )

    def _run_prepare(self, chosen: Addresses) -> None:
        """Topics and tables, declared once before anybody uses them."""
        if not self._prepare or self.supervisor.is_told_to_stop:
            return
        begun, log = time.monotonic(), self.logs / "prepare.log"
        self._say("topics and tables: preparing")
        child = children.spawn(self._prepare, log=log, env={**os.environ, **chosen.env()}, cwd=self.root)
        try:
            code = child.wait(PREPARE_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            children.kill(child)
        if code != 0:
            ended = f"ended with code {code}" if code is not None else f"is not done after {PREPARE_LIMIT_S:.0f} s"
            raise NotReady(f"`{' '.join(self._prepare)}` {ended}. {children.tail(log)}")
        self._say(f"topics and tables: ready in {time.monotonic() - begun:.1f} s")

    def _lock_name(self) -> None:
        """One stack of a name at a time; the lock dies with us, whatever the file says."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        lock = (self.state_dir / PID_FILE).open("a+")
        end = time.monotonic() + LOCK_LIMIT_S
        while not _is_locked(lock):
            if time.monotonic() > end:
                lock.close()
                raise AlreadyRunning(f"the stack in {self.state_dir} is up already: stop it with `make down`")
            time.sleep(children.STEP_S)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def main() -> None:
    """Run one stack in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.stack", description=__doc__)
    parser.add_argument("name", nargs="?", default="dev")
    parser.add_argument("--without-market", action="store_true", help="no simulators")
    parser.add_argument("--days", type=int, default=processes.ENDLESS, help="play so many days once, not on and on")
    args = parser.parse_args()
    stack = Stack(name=args.name, with_market=not args.without_market, days=args.days)
    with stack.supervisor.obeying_signals():
        try:
            stack.start()
            stack.supervisor.run()
        except Exception as failure:
            progress.line(str(failure))
            raise SystemExit(1) from failure
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
