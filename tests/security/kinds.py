"""What is thrown at a door: kinds of malformed input, each with the answers that are right for it."""

import random
from collections.abc import Callable

import msgspec

HIDDEN = b"DELETE /healthz HTTP/1.1\r\nHost: door\r\n\r\n"
"""A request inside another's body: only who takes that body to be shorter than it is answers it, with 405."""
SENTINEL = b"GET /healthz HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"
"""A good request behind a malformed one: 200 and the end of the connection, or nothing if that came before."""
SILENT = "silent"
"""The door neither answered nor closed in time."""
CLOSED = "closed"
"""The door closed without a word."""
SERVED = "served"
"""What was sent was taken for good: the door answered the orderly goodbye behind it."""
BAD_REQUEST = frozenset({"400"})


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token an input carries."""

    token: str
    account_id: str


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One input: the bytes as they are sent, piece by piece, and what may come back."""

    kind: str
    pieces: tuple[bytes, ...]
    wants: frozenset[str]
    is_socket: bool = False
    """The bytes follow an opened websocket."""
    is_subscribed: bool = False
    """That websocket has its subscription."""
    is_ended: bool = False
    """The client closes its side behind the last piece."""
    answers: tuple[str, ...] = ()
    """Every answer in its order, where there are more than one."""
    pause_s: float = 0.0
    """Time between two pieces: above zero the input is a slow one, and waits for its end as long as it takes."""
    pings: tuple[bytes, ...] = ()
    """What has to come back as pongs, in this order."""


Make = Callable[[random.Random, Who], Input]


class Kind(msgspec.Struct, frozen=True):
    """How to make inputs of one kind; the weight says how often in relation to others."""

    name: str
    weight: int
    make: Make


def torn(chance: random.Random, data: bytes, pieces_max: int = 4) -> tuple[bytes, ...]:
    """The bytes in one piece, or torn anywhere: a parser that meets half a field must wait for the rest of it."""
    if len(data) < 2 or chance.random() < 0.5:
        return (data,)
    cuts = sorted(chance.sample(range(1, len(data)), min(len(data) - 1, chance.randrange(1, pieces_max))))
    return tuple(data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True))


def noise(chance: random.Random, most: int = 64) -> bytes:
    """Some bytes."""
    return chance.randbytes(chance.randrange(1, most))
