"""Bodies that are too much, unfold to too much, or never end: each is told so or let go, in bounded memory."""

import gzip
import random
import zlib
from functools import cache

from tests.security.frame_kinds import TEXT, frame, subscription
from tests.security.handshake_kinds import opening
from tests.security.http_kinds import REFUSED, get, post
from tests.security.kinds import CLOSED, SENTINEL, Input, Kind, Who, torn

BODY_BYTES_MAX = 16_384
"""What a door takes: its own constant is not asked, so that a change of it is seen."""
BOMB_BYTES = 50_000_000
DRIP_S = 1.0
"""Pause between two bytes of a slow client."""
DRIPS = 120
"""Bytes that it has to say: two minutes, if it is left."""
SLOW_ENDS = frozenset({CLOSED, "400", "408"})


def too_large(chance: random.Random, who: Who) -> Input:
    size = BODY_BYTES_MAX + chance.choice((1, 1_000, 200_000))
    data = post(who, f"Content-Length: {size}", body=b" " * size)
    return Input(kind="", pieces=(data + SENTINEL,), wants=frozenset({"413", CLOSED}))


def too_large_in_chunks(chance: random.Random, who: Who) -> Input:
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    count = chance.randrange(5, 50)
    data = post(who, "Transfer-Encoding: chunked", body=chunk * count + b"0\r\n\r\n")
    return Input(kind="", pieces=(data + SENTINEL,), wants=frozenset({"413", CLOSED}))


def many_tiny_chunks(chance: random.Random, who: Who) -> Input:
    body = b"1\r\n \r\n" * chance.randrange(1_000, 20_000)
    data = post(who, "Transfer-Encoding: chunked", body=body + b"0\r\n\r\n")
    return Input(kind="", pieces=(data + SENTINEL,), wants=frozenset({"400", "413", CLOSED}))


def shorter_than_told(chance: random.Random, who: Who) -> Input:
    told = chance.choice((10, 5_000, BODY_BYTES_MAX, 1 << 40))
    pieces = torn(chance, post(who, f"Content-Length: {told}", body=b'{"s'))
    return Input(kind="", pieces=pieces, wants=REFUSED | {CLOSED}, is_ended=True)


def longer_than_told(chance: random.Random, who: Who) -> Input:
    data = post(who, "Content-Length: 2", body=b"{}" + chance.randbytes(60).replace(b"\n", b"") + b"\r\n\r\n")
    return Input(kind="", pieces=torn(chance, data), wants=REFUSED, is_ended=False)


def expects(chance: random.Random, who: Who) -> Input:
    expected = chance.choice(("200-ok", "100-continue, x", "x" * 300))
    data = post(who, f"Expect: {expected}", "Content-Length: 2", body=b"{}")
    return Input(kind="", pieces=torn(chance, data + SENTINEL), wants=REFUSED | {"417"})


@cache
def bomb(coding: str) -> bytes:
    """Zeros, folded."""
    zeros = bytes(BOMB_BYTES)
    match coding:
        case "gzip":
            return gzip.compress(zeros, 9)
        case "gzip, gzip":
            return gzip.compress(gzip.compress(zeros, 9), 9)
        case "deflate":
            return zlib.compress(zeros, 9)
    return b"\x00" * 100


def compression_bomb(chance: random.Random, who: Who) -> Input:
    """A body that unfolds to fifty megabytes; half of them come with no token at all."""
    coding = chance.choice(("gzip", "gzip, gzip", "deflate", "br", "zstd", "compress", "x", "identity, gzip"))
    folded = bomb(coding)
    sender = who if chance.random() < 0.5 else Who(token="none", account_id=who.account_id)
    data = post(sender, f"Content-Encoding: {coding}", f"Content-Length: {len(folded)}", body=folded)
    return Input(kind="", pieces=(data + SENTINEL,), wants=REFUSED | {CLOSED})


def dripped(data: bytes, wants: frozenset[str]) -> Input:
    """The last bytes, each on its own."""
    head, rest = data[:-DRIPS], data[-DRIPS:]
    pieces = (head, *(rest[place : place + 1] for place in range(len(rest))))
    return Input(kind="", pieces=pieces, wants=wants, pause_s=DRIP_S)


def slow_head(_: random.Random, who: Who) -> Input:
    return dripped(get(who, "X: " + "x" * DRIPS), SLOW_ENDS)


def slow_body(_: random.Random, who: Who) -> Input:
    data = post(who, "Content-Length: 1000", body=b" " * DRIPS)
    return dripped(data, SLOW_ENDS)


def slow_chunks(_: random.Random, who: Who) -> Input:
    data = post(who, "Transfer-Encoding: chunked", body=b"1\r\n \r\n" * (DRIPS // 6))
    return dripped(data, SLOW_ENDS)


def slow_notice(_: random.Random, who: Who) -> Input:
    """The webhook asks for no token: anybody may drip there."""
    return dripped(post(who, "Content-Length: 1000", body=b" " * DRIPS, path="/v1/webhooks/onfido"), SLOW_ENDS)


def nothing_at_all(_: random.Random, __: Who) -> Input:
    return Input(kind="", pieces=(b"",), wants=frozenset({CLOSED}), pause_s=DRIP_S)


def nothing_after_an_answer(_: random.Random, who: Who) -> Input:
    """A connection that is kept for another request, which never comes."""
    return Input(kind="", pieces=(get(who),), wants=frozenset({"200"}), pause_s=DRIP_S, answers=("200",))


def half_a_frame(_: random.Random, who: Who) -> Input:
    """A websocket that stops in the middle of a frame and answers no ping."""
    data = opening(who) + frame(TEXT, subscription(who))[:-5]
    return Input(kind="", pieces=(data,), wants=frozenset({"101"}), pause_s=DRIP_S, answers=("101",))


def nothing_subscribed(_: random.Random, who: Who) -> Input:
    """A websocket that is kept alive by pings and never says what it wants."""
    ping = frame(9, b"still here")
    return Input(
        kind="",
        pieces=(opening(who), *(ping for _ in range(DRIPS))),
        wants=frozenset({"101"}),
        pause_s=DRIP_S,
        answers=("101",),
    )


SLOW = (
    *(slow_head, slow_body, slow_chunks, slow_notice, nothing_at_all, nothing_after_an_answer, half_a_frame),
    nothing_subscribed,
)
KINDS = (
    Kind("body: too large", 4, too_large),
    Kind("body: too large in chunks", 4, too_large_in_chunks),
    Kind("body: many tiny chunks", 2, many_tiny_chunks),
    Kind("body: shorter than told", 10, shorter_than_told),
    Kind("body: longer than told", 10, longer_than_told),
    Kind("body: expects what nobody gives", 5, expects),
    Kind("bomb: a compressed body", 2, compression_bomb),
)
"""Every kind of body."""
SLOW_KINDS = tuple(Kind(f"slow: {make.__name__.replace('_', ' ')}", 1, make) for make in SLOW)
"""Kinds that last until the door has had enough; thrown beside the others, some hundreds at once."""
