"""Every process of ours in the local stack, in the order of their start: the one table to add a process to."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.local import process
from deploy.local.addresses import Addresses

OURS = ("deciders", "sagas", "agents", "effects", "projector", "audit", "gateway")
"""Names that `main.py run` knows; each answers /readyz on the metrics port it is given, the gateway on its own."""


class Row(NamedTuple):
    """One process: its command, and the port by which it says ready."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[int], bool]
    env: Mapping[str, str] = {}


def table(addresses: Addresses, *, with_market: bool) -> list[Row]:
    """The simulators if wanted, then ours."""
    rows = [_market(addresses), _venue(addresses)] if with_market else []
    return rows + [_ours(name, addresses) for name in OURS]


def prepare() -> tuple[str, ...]:
    """The command that declares topics and tables, between the servers and the processes."""
    return (sys.executable, "main.py", "prepare")


def _ours(name: str, addresses: Addresses) -> Row:
    argv = (sys.executable, "main.py", "run", name)
    if name == "gateway":
        return Row(name, argv, process.answers(addresses.gateway_port))
    port = addresses.metrics[name]
    return Row(name, argv, process.answers(port), {"TAPELINE_METRICS_PORT": str(port)})


def _market(addresses: Addresses) -> Row:
    """Day after day, for as long as the stack is up."""
    port = addresses.market_port
    return Row("market", (*_simulator("market", port), "--loop"), process.listens(port))


def _venue(addresses: Addresses) -> Row:
    port = addresses.venue_port
    journal = Path(addresses.state_dir) / "venue.journal"
    market = f"127.0.0.1:{addresses.market_port}"
    argv = (*_simulator("venue", port), "--market", market, "--journal", str(journal))
    return Row("venue", argv, process.listens(port))


def _simulator(name: str, port: int) -> tuple[str, ...]:
    return (sys.executable, "-m", f"simulators.{name}", "--port", str(port))
