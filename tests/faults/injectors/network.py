"""F13, F14: packets are lost, both ways or one; connections are reset; bytes come late and one at a time.

    python -m tests.faults.injectors.network campaign --minutes 30 --rows F13,F14

plays `python -m tests.faults` with the same words inside a network namespace of its own, where nothing is but the
stack and its loopback: packets of nobody else can be hit. Each fault counts the packets that it met; one that met none
is no trial.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.faults.fault import Fault, Missed
from tests.faults.injectors.slow_proxy import MARK, Pace, SlowProxy
from tests.kit.whole_stack import WholeStack

OUTSIDE = "TAPELINE_NETWORK_OUTSIDE"
"""Names the network that a run came from: where it is in no other, no packet is touched."""
CUT_SECONDS = (0.5, 12.0)
"""From what a switch takes to what a routing change does; half of all cuts are below three seconds."""
LOSS_PERCENT = (1, 30)
RESET_PERCENT = (2, 100)
"""Of the packets of a connection that is reset; one is enough for each."""
RATE_BYTES = (8_000, 125_000)
"""64 kbit to 1 Mbit a second."""
SLOW_SECONDS = (4.0, 10.0)
SETTLE_SECONDS = 0.3
COMMAND_SECONDS_MAX = 10
CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
GROUP = "tapeline-cut"
PROCESSES = ("deciders", "sagas", "agents", "effects", "projector", "audit", "gateway")
BOTH, THERE, BACK = "both ways", "only what it sends", "only what it receives"


def missing() -> str:
    """What all of these need: to be root, nft, and a network of our own."""
    if os.geteuid() != 0:
        return "packets are dropped by root alone"
    if shutil.which("nft") is None:
        return "there is no nft (Debian: nftables)"
    if os.environ.get(OUTSIDE, here()) == here():
        return "this is the machine's own network; run it by `python -m tests.faults.injectors.network`"
    return ""


def here() -> str:
    """Which network this process is in."""
    return str(Path("/proc/self/ns/net").stat().st_ino)


class Rules:
    """A table of its own for each fault: there while something is cut, gone afterwards, whatever else is cut beside."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self._table = f"tapeline_{next(self._numbers)}"
        self._is_there = False

    def cut(self, *rules: str, nat: str = "") -> None:
        """Add these to what comes in by the loopback, where every packet passes once."""
        text = [f"table inet {self._table} {{", "chain in { type filter hook input priority 0;", *rules, "}"]
        if nat:
            text += ["chain out { type nat hook output priority -100;", nat, "}"]
        self._is_there = True
        _nft("-f", "-", text="\n".join([*text, "}"]))

    def met(self) -> int:
        """How many packets the rules were applied to."""
        listed = json.loads(_nft("-j", "list", "table", "inet", self._table))
        expressions = [expr for each in listed["nftables"] for expr in each.get("rule", {}).get("expr", ())]
        return sum(expr["counter"]["packets"] for expr in expressions if "counter" in expr)

    def pass_all(self) -> None:
        """Lose nothing more; what is redirected still is."""
        _nft("flush", "chain", "inet", self._table, "in")

    def lift(self) -> None:
        """Everything passes again."""
        if self._is_there:
            self._is_there = False
            _nft("delete", "table", "inet", self._table)


class Network:
    """What the faults of this file have in common: rules for a while, counted, then lifted."""

    def __init__(self) -> None:
        self._rules = Rules()

    def missing(self) -> str:
        """See above."""
        return missing()

    async def heal(self, stack: WholeStack) -> None:
        """Everything passes again."""
        self._rules.lift()

    async def _for(self, seconds: float, *rules: str) -> int:
        """Packets met. Raises Missed when there was none."""
        self._rules.cut(*rules)
        try:
            await asyncio.sleep(seconds)
            met = self._rules.met()
        finally:
            self._rules.lift()
        if not met:
            raise Missed("no packet came by")
        return met


class ServerCut(Network):
    """Nobody reaches a server any more, or nobody hears it: nothing is refused, packets are gone."""

    row, name, weight = "F13", "a server is cut off from everybody", 6

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when packets pass again."""
        server, port = chance.choice(servers(stack))
        way, seconds = chance.choice((BOTH, THERE, BACK)), _skewed(chance, CUT_SECONDS)
        dropped = await self._for(seconds, *drops(f"tcp sport {port}", f"tcp dport {port}", way))
        return {"server": server, "lost": way, "for_s": round(seconds, 1), "dropped": dropped}


class ProcessCut(Network):
    """One process and the broker lose each other while all others go on: the owner of partitions, a follower, a door.

    Connections that are there are known by their ports; new ones by the control group that the process was put into.
    """

    row, name, weight = "F13", "one process is cut off from the broker", 8

    def __init__(self) -> None:
        super().__init__()
        self._group: Path | None = None

    def missing(self) -> str:
        """Control groups of the second version besides."""
        return missing() or ("" if _cgroup() else "there are no control groups of version 2 to put a process into")

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when it reaches the broker again."""
        process = chance.choice(PROCESSES)
        pid = stack.pid(process)
        if pid is None:
            raise Missed(f"{process} does not run")
        way, seconds, port = (
            chance.choice((BOTH, THERE, BACK)),
            _skewed(chance, CUT_SECONDS),
            stack.addresses.kafka_port,
        )
        self._enter(pid)
        try:
            ours = _ports_to(pid, port)
            there, back = [f"tcp dport {port} tcp sport {{ {ours} }}"], [f"tcp sport {port} tcp dport {{ {ours} }}"]
            rules = [*drops(there[0], back[0], way)] if ours else []
            dropped = await self._for_process(seconds, rules, port, way)
        finally:
            self._leave()
        return {"process": process, "lost": way, "for_s": round(seconds, 1), "dropped": dropped}

    async def heal(self, stack: WholeStack) -> None:
        """Nobody is in the group any more."""
        await super().heal(stack)
        self._leave()

    async def _for_process(self, seconds: float, rules: Sequence[str], port: int, way: str) -> int:
        """New sockets of the group are told at the way out, where a packet still has its sender."""
        level, path = _cgroup_path(self._group or Path())
        mine = f'socket cgroupv2 level {level} "{path}" tcp dport {port} counter drop'
        new = f"}}\nchain send {{ type filter hook output priority 0;\n{mine}"
        return await self._for(seconds, *rules, *([] if way == BACK else [new]))

    def _enter(self, pid: int) -> None:
        self._group = (_cgroup() or Path()) / GROUP
        self._group.mkdir(exist_ok=True)
        (self._group / "cgroup.procs").write_text(str(pid))

    def _leave(self) -> None:
        """Back to where all are; the group goes."""
        group, self._group = self._group, None
        if group is None:
            return
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):  # It has ended meanwhile.
                (group.parent / "cgroup.procs").write_text(pid)
        with suppress(OSError):
            group.rmdir()


class Lossy(Network):
    """Some packets of a server are lost, whichever way they go."""

    row, name, weight = "F14", "1 to 30 % of a server's packets are lost", 5

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when all arrive again."""
        server, port = chance.choice(servers(stack))
        percent, seconds = chance.randint(*LOSS_PERCENT), chance.uniform(*SLOW_SECONDS)
        some = f"numgen random mod 100 < {percent}"
        dropped = await self._for(seconds, *drops(f"tcp sport {port} {some}", f"tcp dport {port} {some}", BOTH))
        return {"server": server, "percent": percent, "for_s": round(seconds, 1), "dropped": dropped}


class Narrow(Network):
    """A server has the bandwidth of a telephone line: what is beyond it is dropped, as a policing router does."""

    row, name, weight = "F14", "a server's line carries 64 kbit to 1 Mbit", 2

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when the line is wide again."""
        server, port = chance.choice(servers(stack))
        rate, seconds = chance.randint(*RATE_BYTES), chance.uniform(*SLOW_SECONDS)
        over = f"limit rate over {rate} bytes/second burst {rate // 4} bytes"
        dropped = await self._for(seconds, *drops(f"tcp sport {port} {over}", f"tcp dport {port} {over}", BOTH))
        return {"server": server, "bytes_a_second": rate, "for_s": round(seconds, 1), "dropped": dropped}


class Resets(Network):
    """Connections to a server are reset again and again, in the middle of whatever they carry."""

    row, name, weight = "F14", "connections to a server are reset", 5

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when connections live again."""
        server, port = chance.choice(servers(stack))
        percent, seconds = chance.randint(*RESET_PERCENT), _skewed(chance, CUT_SECONDS)
        rule = f"tcp dport {port} numgen random mod 100 < {percent} counter reject with tcp reset"
        met = await self._for(seconds, rule)
        return {"server": server, "percent": percent, "for_s": round(seconds, 1), "resets": met}


class Slow(Network):
    """Bytes to and from the broker pass a proxy that lets them wait, or hands them on one at a time.

    New connections are redirected to it; those that are there are reset once, so that all are new.
    """

    row, name, weight = "F14", "bytes to the broker come late, or one at a time", 4

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Return when the proxy is gone and its connections with it."""
        port, seconds = stack.addresses.kafka_port, chance.uniform(*SLOW_SECONDS)
        is_sliced = chance.random() < 0.4
        pace = Pace(slice_bytes=1) if is_sliced else Pace(least_ms=1, most_ms=chance.choice((5, 50, 500)))
        try:
            async with SlowProxy(port, pace, chance) as proxy:
                redirect = f"tcp dport {port} meta mark != {MARK} counter redirect to :{proxy.port}"
                reset = f"tcp dport {port} meta mark != {MARK} counter reject with tcp reset"
                self._rules.cut(reset, nat=redirect)
                await asyncio.sleep(SETTLE_SECONDS)
                self._rules.pass_all()
                await asyncio.sleep(seconds)
        finally:
            self._rules.lift()  # After the proxy: without it nobody would hear that the connections have ended.
        if not proxy.carried:
            raise Missed("nothing went through the proxy")
        what = {"slice_bytes": 1} if is_sliced else {"delay_ms_max": pace.most_ms}
        return {"server": "kafka", **what, "for_s": round(seconds, 1), "bytes": proxy.carried}


def servers(stack: WholeStack) -> list[tuple[str, int]]:
    """Whoever is connected to, with the port; the broker and the database twice as often as those outside."""
    at = stack.addresses
    inside = [("kafka", at.kafka_port), ("postgres", at.postgres_port)]
    return [*inside, *inside, ("venue", at.venue_port), ("onfido", at.onfido_port), ("gateway", at.gateway_port)]


def drops(from_server: str, to_server: str, way: str) -> list[str]:
    """Rules that lose what a server sends, what it receives, or both."""
    sent, received = f"{from_server} counter drop", f"{to_server} counter drop"
    return {BOTH: [sent, received], THERE: [sent], BACK: [received]}[way]


def _skewed(chance: random.Random, span: tuple[float, float]) -> float:
    least, most = span
    return float(least * (most / least) ** chance.random())


def _ports_to(pid: int, port: int) -> str:
    with suppress(psutil.Error):
        connections = psutil.Process(pid).net_connections("tcp")
        return ", ".join(
            sorted({str(each.laddr.port) for each in connections if each.raddr and each.raddr.port == port})
        )
    return ""


def _cgroup() -> Path | None:
    """The root of control groups of version 2, where a process may be moved."""
    return next((each for each in CGROUPS if (each / "cgroup.procs").exists() and os.access(each, os.W_OK)), None)


def _cgroup_path(group: Path) -> tuple[int, str]:
    """As nft names it: its depth, and its path below the place where groups are mounted."""
    root = _cgroup() or group.parent
    return len(group.relative_to(root).parts), str(group.relative_to(CGROUPS[-1]))


def _nft(*words: str, text: str = "") -> str:
    ran = subprocess.run(
        ["nft", *words], input=text, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS_MAX
    )
    if ran.returncode:
        raise RuntimeError(f"nft {' '.join(words)}: {ran.stderr}{text}")
    return ran.stdout


FAULTS: tuple[Fault, ...] = (ServerCut(), ProcessCut(), Lossy(), Narrow(), Resets(), Slow())


def main() -> int:
    """The same command in a network of its own, with nothing but a loopback."""
    parser = argparse.ArgumentParser(prog="tests.faults.injectors.network", description=__doc__)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="as for python -m tests.faults")
    given = parser.parse_args()
    inside = f'ip link set lo up && exec {sys.executable} -m tests.faults "$@"'
    argv = ["unshare", "--net", "sh", "-c", inside, "sh", *given.words]
    return subprocess.run(argv, env=os.environ | {OUTSIDE: here()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
