"""The kernel -> free ports below the ephemeral range, none given twice by one process."""

import random
import socket

FIRST = 20_000
LAST = 32_700
"""Below 32768, where Linux takes the ports of outgoing connections from: a client that retries on 127.0.0.1 can
connect to itself there and hold the very port its server wants."""
TRIES_MAX = 2_000
"""Ports looked at before we say that something is wrong with the machine."""

_given: set[int] = set()


class NoFreePort(Exception):
    """Nothing could be bound in the whole range."""


def free(count: int = 1) -> list[int]:
    """Ports that can be bound now; the random start keeps two stacks that start at once apart."""
    found: list[int] = []
    source = random.SystemRandom()
    for _ in range(TRIES_MAX):
        if len(found) == count:
            return found
        port = source.randrange(FIRST, LAST)
        if port not in _given and is_free(port):
            _given.add(port)
            found.append(port)
    raise NoFreePort(f"no {count} free ports between {FIRST} and {LAST}: look for a leak with `ss -ltn`")


def one() -> int:
    """One free port."""
    return free(1)[0]


def preferred(port: int | None) -> int:
    """This port if nobody has it, else another."""
    if port and port not in _given and is_free(port):
        _given.add(port)
        return port
    return one()


def release(*given: int) -> None:
    """Their servers have ended: they may be given again."""
    _given.difference_update(given)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind it; connections that linger do not count, as every server sets SO_REUSEADDR."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True
