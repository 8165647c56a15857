"""A folder -> one PostgreSQL server with an empty database `tapeline`, or the server that TAPELINE_POSTGRES names."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deploy.local import children, ports, postgres_binaries, unprivileged
from deploy.local.children import NotReady
from deploy.local.postgres_binaries import Binaries, Source

VARIABLE = "TAPELINE_POSTGRES"
DATABASE = ROLE = "tapeline"
START_LIMIT_S = 60.0
"""Longest start: recovery after a kill reads the whole log since the last checkpoint."""
STOP_LIMIT_S = 20.0
"""Longest orderly stop before the server is killed; it writes a checkpoint."""
PORT_LIMIT_S = 10.0
"""Longest wait for the children of a killed server to notice."""
CONNECTIONS_MAX = 200
"""Each of about ten processes holds a pool, and tests open databases of their own."""


class PortTaken(Exception):
    """Another program listens where the server should."""


class LocalPostgres:
    """One server, child of this process; start it from a thread that lives as long as it should."""

    name = "postgres"
    start_limit_s = START_LIMIT_S

    def __init__(
        self, folder: Path, *, port: int | None = None, source: Source | None = None, log: Path | None = None
    ) -> None:
        """`source` asks for the machine's or the wheel's programs; then TAPELINE_POSTGRES is not looked at."""
        self.log = log or folder.resolve() / "postgres.log"
        self._wanted = folder.resolve() / "postgres"
        self._source = source
        self._external = None if source else os.environ.get(VARIABLE)
        self._port = port or ports.one()
        self._child: subprocess.Popen[bytes] | None = None
        self._data: Path | None = None

    @property
    def dsn(self) -> str:
        """What clients are given."""
        return self._external or f"postgresql://{ROLE}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def is_external(self) -> bool:
        """Whether somebody else runs the server."""
        return self._external is not None

    @property
    def port(self) -> int:
        """Where our own server listens."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The server's first process, while it is ours and runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def is_alive(self) -> bool:
        """Whether the server runs; of somebody else's we do not judge."""
        return self.is_external or self.pid is not None

    def start(self) -> "LocalPostgres":
        """Make the data folder on first use, start the server, wait until it takes connections."""
        try:
            self.launch()
            if self._child is not None:
                children.await_ready(
                    self._child, self.is_ready, name="PostgreSQL", log=self.log, limit_s=self.start_limit_s
                )
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start it and come back; only a new data folder is waited for, half a second."""
        if self.is_external:
            return
        binaries = postgres_binaries.find(self._source)
        user = unprivileged.user()
        programs = unprivileged.reachable_copy(binaries.folder, "postgres", user)
        data = self._data = unprivileged.private_folder(self._wanted, user) / f"data-{binaries.release}"
        children.end_leftover(self.log, limit_s=STOP_LIMIT_S, with_signal=_FAST)
        if not ports.is_free(self._port):
            raise PortTaken(f"port {self._port} is taken by another program: stop it, or choose another port")
        if not (data / "PG_VERSION").is_file():
            _initialise(data, programs, user)
        argv = [str(programs / "postgres"), "-D", str(data), "-p", str(self._port), *_options()]
        # The server takes SIGINT as "fast": sessions end, nothing is lost. SIGTERM would wait for every client.
        self._child = children.spawn(argv, log=self.log, user=user, env=_environment(), cwd=data, death_signal=_FAST)

    def is_ready(self) -> bool:
        """The server writes its own pid and `ready` into its data folder: no other server can answer for it."""
        if self.is_external:
            return True
        try:
            lines = (self._data or Path()).joinpath("postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= _STATUS_LINE and lines[0] == str(self.pid) and lines[_STATUS_LINE - 1].strip() == "ready"

    def stop(self) -> None:
        """End it in order, or after a limit not in order."""
        if self._child is not None:
            children.stop(self._child, limit_s=STOP_LIMIT_S, with_signal=_FAST)
            self._forget()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            children.kill(self._child)
            self._forget()

    def restart(self) -> "LocalPostgres":
        """Stop it if it runs, start it again on the same folder and port."""
        self.stop()
        return self.start()

    def discard(self) -> None:
        """Kill it and remove its data: for tests, whose data may stand outside their own folder."""
        self.kill()
        if not self.is_external:
            shutil.rmtree(unprivileged.private_folder(self._wanted, unprivileged.user()), ignore_errors=True)

    def _forget(self) -> None:
        """The first process is gone; its children see that a moment later and free the port."""
        self._child = None
        end = time.monotonic() + PORT_LIMIT_S
        while not ports.is_free(self._port) and time.monotonic() < end:
            time.sleep(children.STEP_S)


_FAST = signal.SIGINT
_STATUS_LINE = 8
"""Line of postmaster.pid that holds the status."""


def programs(source: Source | None = None) -> Binaries:
    """Which server would be started; said in the log of the stack."""
    return postgres_binaries.find(source)


def _initialise(data: Path, programs: Path, user: str | None) -> None:
    """Make an empty cluster and its database; whoever is on this machine may connect, as it is a developer's."""
    making = data.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    argv = [programs / "initdb", "-D", making, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C"]
    _run([str(part) for part in argv], user, None)
    # The single-user mode needs no client program, which a package of the server alone may lack.
    single = [str(programs / "postgres"), "--single", "-D", str(making), "postgres"]
    _run(single, user, f"CREATE DATABASE {DATABASE};\n")
    making.rename(data)


def _run(argv: list[str], user: str | None, told: str | None) -> None:
    ran = subprocess.run(
        argv,
        input=told,
        stdin=subprocess.DEVNULL if told is None else None,
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=children.group_of(user),
        extra_groups=[] if user else None,
        cwd="/",
        env=_environment(),
    )
    if ran.returncode:
        raise NotReady(f"PostgreSQL's data folder could not be made by `{' '.join(argv)}`: {ran.stdout}{ran.stderr}")


def _options() -> list[str]:
    """No socket files, the loopback only, durable: fsync stays on."""
    chosen = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    return [part for key, value in chosen.items() for part in ("-c", f"{key}={value}")]


def _environment() -> dict[str, str]:
    """Ours without the variables that would redirect PostgreSQL's own programs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return kept | {"LC_ALL": "C"}
