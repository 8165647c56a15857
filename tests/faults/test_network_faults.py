"""The controls of F13 and F14: in a network of its own, packets are really lost, connections reset, bytes late."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.injectors import network, slow_proxy

ROOT = Path(__file__).parents[2]
LIMIT_S = 90


def why_not() -> str:
    """Why this machine has no network to give away."""
    if os.geteuid() != 0 or shutil.which("nft") is None or shutil.which("unshare") is None:
        return "needs root, nft and unshare"
    tried = subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return tried.stderr.decode().strip() if tried.returncode else ""


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What the program below saw, line by line."""
    if why := why_not():
        pytest.skip(why)
    argv = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    argv += [sys.executable, "-m", "tests.faults.test_network_faults"]
    env = os.environ | {network.OUTSIDE: network.here()}
    ran = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert ran.returncode == 0, ran.stderr
    return dict(line.split(": ", 1) for line in ran.stdout.splitlines())


def test_a_run_on_the_network_of_the_machine_touches_no_packet() -> None:
    assert network.missing(), "it would have cut off whoever else is here"


def test_a_cut_both_ways_lets_nothing_through_and_counts_it(seen: dict[str, str]) -> None:
    assert seen["both ways"] == "answered False, heard False, dropped True"


def test_a_cut_one_way_lets_the_other_way_through(seen: dict[str, str]) -> None:
    assert seen["only what it sends"] == "answered False, heard True, dropped True"
    assert seen["only what it receives"] == "answered False, heard False, dropped True"


def test_a_reset_ends_a_connection_that_was_well(seen: dict[str, str]) -> None:
    assert seen["reset"] == "ended True, counted True"


def test_new_connections_go_through_the_slow_proxy_a_byte_at_a_time(seen: dict[str, str]) -> None:
    assert seen["sliced"] == "arrived whole True, in pieces True"


class Server:
    """Says everything back, and remembers in what pieces it came."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100):
            self.pieces.append(piece)
            writer.write(piece)
            await writer.drain()


async def cut(server: Server, port: int, way: str) -> str:
    """A connection that is there, while packets are lost."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    rules, before = network.Rules(), len(server.pieces)
    rules.cut(*network.drops(f"tcp sport {port}", f"tcp dport {port}", way))
    writer.write(b"x")
    try:
        answer = await asyncio.wait_for(reader.read(1), 0.5)
    except TimeoutError:
        answer = b""
    said = f"answered {bool(answer)}, heard {len(server.pieces) > before}, dropped {rules.met() > 0}"
    rules.lift()
    assert await asyncio.wait_for(reader.read(1), 30) == b"x", "what was lost is sent again"
    writer.close()
    return said


async def reset(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    rules = network.Rules()
    rules.cut(f"tcp dport {port} counter reject with tcp reset")
    writer.write(b"x")
    try:
        has_ended = await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        has_ended = True
    said = f"ended {has_ended}, counted {rules.met() > 0}"
    rules.lift()
    writer.close()
    return said


async def sliced(server: Server, port: int) -> str:
    rules, text = network.Rules(), b"one at a time"
    async with slow_proxy.SlowProxy(port, slow_proxy.Pace(slice_bytes=1), random.Random(1)) as proxy:
        rules.cut(nat=f"tcp dport {port} meta mark != {slow_proxy.MARK} counter redirect to :{proxy.port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        server.pieces.clear()
        writer.write(text)
        said = await asyncio.wait_for(reader.readexactly(len(text)), 10)
        writer.close()
    rules.lift()
    return f"arrived whole {said == text}, in pieces {len(server.pieces) > 1}"


async def main() -> None:
    """Everything once, told to whoever started this in a network of its own."""
    assert not network.missing(), network.missing()
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    for way in (network.BOTH, network.THERE, network.BACK):
        print(f"{way}: {await cut(server, port, way)}")
    print(f"reset: {await reset(port)}")
    print(f"sliced: {await sliced(server, port)}")
    listening.close()


if __name__ == "__main__":
    asyncio.run(main())
