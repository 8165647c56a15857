"""Every process of ours in the local stack, in the order of their start: the one table to add a process to."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.local import process
from deploy.local.addresses import ONFIDO_SECRET, ONFIDO_TOKEN, Addresses

OURS = ("deciders", "sagas", "agents", "effects", "projector", "audit", "gateway")
"""Names that `main.py run` knows; each answers /metrics and /readyz on the port it is given."""


class Row(NamedTuple):
    """One process: its command, and the port by which it says ready."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[int], bool]
    env: Mapping[str, str] = {}
    has_spare: bool = False


ENDLESS = 0
"""Days of a market that plays on for as long as the stack is up."""
LISTENERS = 3
"""Who must listen before a counted number of days begins: the venue, the feed of the effects, and whoever rings the
bell by connecting to the market when everybody is there."""
MINUTES = 390
"""Minutes of a session: in a counted run each symbol is quoted once a minute."""
UNRULY = ("--duplicate", "0.03", "--reorder", "0.03", "--delay-ms", "3")
"""How the venue of a counted run behaves: it repeats, reorders and delays some of what it says."""

FORGETFUL = ("--duplicate", "0.1", "--late", "0.05", "--reorder", "0.1", "--wrong-signature", "0.05", "--lost", "0.02")
"""How the KYC vendor of a counted run behaves: it repeats, delays, reorders, misaddresses and loses some notices."""


def table(addresses: Addresses, *, with_market: bool, days: int = ENDLESS) -> list[Row]:
    """The simulators if wanted, then ours. A number of days is played once, by a venue that misbehaves a little."""
    rows = [_market(addresses, days), _venue(addresses, days), _onfido(addresses, days)] if with_market else []
    return rows + [_ours(name, addresses) for name in OURS]


def prepare() -> tuple[str, ...]:
    """The command that declares topics and tables, between the servers and the processes."""
    return (sys.executable, "main.py", "prepare")


def _ours(name: str, addresses: Addresses) -> Row:
    argv = (sys.executable, "main.py", "run", name)
    port = addresses.metrics[name]
    door = addresses.gateway_port if name == "gateway" else port
    env = {"TAPELINE_METRICS_PORT": str(port)}
    # While nobody decides every door waits; whatever else is away is only late.
    return Row(name, argv, process.answers(door), env, has_spare=name == "deciders")


def _market(addresses: Addresses, days: int) -> Row:
    port = addresses.market_port
    counted = ("--days", str(days), "--wait-for-clients", str(LISTENERS), "--steps-per-day", str(MINUTES))
    return Row("market", (*_simulator("market", port), *(counted if days else ("--loop",))), process.listens(port))


def _venue(addresses: Addresses, days: int) -> Row:
    port = addresses.venue_port
    journal = Path(addresses.state_dir) / "venue.journal"
    market = f"127.0.0.1:{addresses.market_port}"
    argv = (*_simulator("venue", port), "--market", market, "--journal", str(journal), *(UNRULY if days else ()))
    return Row("venue", argv, process.listens(port))


def _onfido(addresses: Addresses, days: int) -> Row:
    port = addresses.onfido_port
    argv = (
        *_simulator("onfido", port),
        *("--token", f"@{addresses.secret_file(ONFIDO_TOKEN)}"),
        *("--webhook-secret", f"@{addresses.secret_file(ONFIDO_SECRET)}"),
        *("--webhook-url", f"{addresses.gateway_url}/v1/webhooks/onfido"),
        *("--journal", str(Path(addresses.state_dir) / "onfido.journal")),
        *(FORGETFUL if days else ()),
    )
    return Row("onfido", argv, process.listens(port))


def _simulator(name: str, port: int) -> tuple[str, ...]:
    return (sys.executable, "-m", f"simulators.{name}", "--port", str(port))
