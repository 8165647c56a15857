"""A gateway as its users get it, in a process of its own, before a broker, a database and everything that decides."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

import main
from deploy.local import ports, process
from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from deploy.local.process import AppProcess
from infra import audit_key
from infra.avro.codec import Codec
from infra.tokens import Scope
from tests.kit.doors import TRADER
from tests.kit.live import Live
from tests.security.kinds import Who

ROOT = Path(__file__).parents[2]
READY_S = 60.0
WHOLE_TENANT = "*"
TOKEN_S = 86_400
"""A day: what is thrown by a campaign must not fail for its token."""


class Door:
    """The gateway's process; what stands behind it runs in this one."""

    def __init__(self, live: Live, folder: Path) -> None:
        self.live = live
        self.port, self.metrics_port = ports.free(2)
        self.log = folder / "gateway.log"
        env = {
            "TAPELINE_KAFKA": live.settings.kafka,
            "TAPELINE_POSTGRES": live.settings.postgres,
            "TAPELINE_STATE_DIR": str(live.settings.state_dir),
            "TAPELINE_GATEWAY_PORT": str(self.port),
            "TAPELINE_METRICS_PORT": str(self.metrics_port),
            "TAPELINE_PROBES": f"gateway=127.0.0.1:{self.metrics_port}",
            "TAPELINE_ONFIDO_WEBHOOK_SECRET": "planted-secret",
        }
        argv = (sys.executable, "main.py", "run", "gateway")
        self._process = AppProcess(
            "gateway", argv, env=env, log=self.log, is_ready=process.answers(self.port), cwd=ROOT
        )

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process, while it lives."""
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it is ready."""
        audit_key.signer(self.live.settings.state_dir)
        self._process.launch()
        until = time.monotonic() + READY_S
        while not self._process.is_ready():
            assert self._process.is_alive, f"the gateway has ended: {self.said()[-2000:]}"
            assert time.monotonic() < until, f"the gateway is not ready: {self.said()[-2000:]}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it in order."""
        self._process.stop()

    def who(self, account_id: str) -> Who:
        """A trader, whose account need not exist."""
        return Who(token=self.token(account_id), account_id=account_id)

    def token(self, account_id: str, scopes: Sequence[Scope] = TRADER) -> str:
        """A token that outlasts a campaign on a busy machine."""
        return self.live.mint.mint(tenant="acme", sub="ann", account_id=account_id, scopes=scopes, ttl_s=TOKEN_S)

    def memory_mib(self) -> float:
        """What its process holds."""
        return float(psutil.Process(self.pid).memory_info().rss) / (1 << 20)

    def connections(self) -> int:
        """Sockets that clients have open at it."""
        found = psutil.Process(self.pid).net_connections(kind="tcp")
        return sum(
            each.laddr.port == self.port and each.status in {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}
            for each in found
        )

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def opened(folder: Path, codec: Codec) -> Iterator[Door]:
    """A door with everything behind it; all of it ends with this."""
    broker = LocalKafka(folder / "kafka", profile=Profile.TEST)
    database = LocalPostgres(folder / "postgres")
    with contextlib.ExitStack() as stack:
        broker.start()
        stack.callback(broker.stop)
        database.start()
        stack.callback(database.discard)
        live = Live(broker, database.dsn, folder / "state", codec, main.models())
        live.start()
        stack.callback(live.stop)
        door = Door(live, folder)
        door.start()
        stack.callback(door.stop)
        yield door
