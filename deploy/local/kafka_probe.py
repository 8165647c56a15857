"""A broker's port -> is it there, and do its coordinators answer: four raw requests, so that no client need be loaded.

Each request is written with the oldest version the broker still takes: their layouts are fixed and short.
"""

import socket
import struct

METADATA, FIND_COORDINATOR, INIT_PRODUCER_ID = 3, 10, 22
PROBE_TIMEOUT_S = 5.0
"""Longest wait for one answer; a broker under load needs a tenth of it."""
WARM_UP_ID = "tapeline-warm-up"
_CLIENT = b"probe"
_GROUP, _TRANSACTION = 0, 1


def brokers(port: int, host: str = "127.0.0.1") -> int:
    """How many brokers the answer to a Metadata request names; 0 while it is not ready."""
    try:
        answer = ask(port, METADATA, 4, struct.pack(">i?", 0, False), host=host)
    except (OSError, struct.error):
        return 0
    count: int = struct.unpack_from(">i", answer, 4)[0]
    return count


def is_warm(port: int) -> bool:
    """Whether both coordinators answer; asking makes a new broker create their topics, so that no client waits."""
    transaction = _text(WARM_UP_ID)
    steps = (
        (FIND_COORDINATOR, transaction + struct.pack(">b", _TRANSACTION)),
        (FIND_COORDINATOR, transaction + struct.pack(">b", _GROUP)),
        (INIT_PRODUCER_ID, transaction + struct.pack(">i", 10_000)),
    )
    return all(_error(port, api, body) == 0 for api, body in steps)


def ask(port: int, api: int, version: int, body: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Send one request, return the body of its answer."""
    request = struct.pack(">hhi", api, version, 1) + struct.pack(">h", len(_CLIENT)) + _CLIENT + body
    with socket.create_connection((host, port), PROBE_TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        size: int = struct.unpack(">i", _exactly(connection, 4))[0]
        return _exactly(connection, size)[4:]


def _error(port: int, api: int, body: bytes) -> int:
    """The error code of an answer that begins with a throttle time; -2 where there was no answer."""
    try:
        error: int = struct.unpack_from(">h", ask(port, api, 1, body), 4)[0]
    except (OSError, struct.error):
        return -2
    return error


def _exactly(connection: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        part = connection.recv(size - len(taken))
        if not part:
            raise ConnectionError("the broker closed the connection")
        taken += part
    return taken


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()
