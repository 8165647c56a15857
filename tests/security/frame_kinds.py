"""RFC 6455, broken clause by clause: what a client may send on an open websocket, and the close code it has earned."""

import json
import random
import struct
import zlib

from tests.security.kinds import CLOSED, SERVED, Input, Kind, Make, Who, noise, torn

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MESSAGE_BYTES_MAX = 70_000
"""What `/v1/stream` takes: its own constant is not asked, so that a change of it is seen."""
GOODBYE_CODE = 1000
PROTOCOL = frozenset({"1002"})
BAD_TEXT = frozenset({"1007"})
TOO_BIG = frozenset({"1009"})
BIG_ON_ITS_WAY = TOO_BIG | {CLOSED}
"""What is still being sent when the door closes may undo the close frame: TCP answers it with a reset."""
NO_SENSE = frozenset({"1008"})
NOT_UTF8 = (
    b"\xff",
    b"\xc0\xaf",  # '/' in two bytes
    b"\xe0\x80\xaf",  # and in three
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xf4\x90\x80\x80",  # beyond the last character
    b"\xf8\x88\x80\x80\x80",
    b"\xe2\x82",  # cut short
    b"\x80",
)
NEVER_SENT = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
"""Close codes that no endpoint may set (RFC 6455, 7.4)."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    declared: int | None = None,
    form: int = 0,
) -> bytes:
    """One frame; `declared` lies about its length, `form` 126 or 127 writes it longer than it need be."""
    length = len(payload) if declared is None else declared
    form = form or (length if length < 126 else 126 if length < 1 << 16 else 127)
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | form])
    head += struct.pack("!H", length) if form == 126 else struct.pack("!Q", length) if form == 127 else b""
    if mask is None:
        return head + payload
    pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + mask + masked.to_bytes(len(payload), "big")


GOODBYE = frame(CLOSE, struct.pack("!H", GOODBYE_CODE))


def subscription(who: Who) -> bytes:
    """What a good client says first."""
    return json.dumps({"type": "subscribe", "accounts": [who.account_id]}).encode()


def socket_input(
    chance: random.Random,
    data: bytes,
    wants: frozenset[str],
    *,
    is_ended: bool = False,
    is_subscribed: bool | None = None,
    pings: tuple[bytes, ...] = (),
) -> Input:
    """Bytes on an open websocket, before or after its subscription, with a goodbye behind them unless they are cut."""
    return Input(
        kind="",
        pieces=torn(chance, data if is_ended else data + GOODBYE),
        wants=wants,
        is_socket=True,
        is_subscribed=chance.random() < 0.5 if is_subscribed is None else is_subscribed,
        is_ended=is_ended,
        pings=pings,
    )


def no_such_opcode(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(chance.choice((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), noise(chance)), PROTOCOL)


def reserved_bits(chance: random.Random, who: Who) -> Input:
    opcode = chance.choice((TEXT, BINARY, PING, PONG, CLOSE))
    payload = subscription(who) if opcode in (TEXT, BINARY) else b""
    return socket_input(chance, frame(opcode, payload, rsv=chance.randrange(1, 8)), PROTOCOL)


def no_mask(chance: random.Random, who: Who) -> Input:
    opcode = chance.choice((TEXT, PING, PONG, BINARY))
    return socket_input(chance, frame(opcode, subscription(who), mask=None), PROTOCOL)


def control_in_parts(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(chance.choice((PING, PONG, CLOSE)), b"", fin=False), PROTOCOL)


def control_too_long(chance: random.Random, _: Who) -> Input:
    payload = chance.randbytes(chance.randrange(126, 2_000))
    return socket_input(chance, frame(chance.choice((PING, PONG)), payload), PROTOCOL)


def part_of_nothing(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(CONTINUATION, noise(chance), fin=chance.random() < 0.5), PROTOCOL)


def message_in_message(chance: random.Random, who: Who) -> Input:
    begun = frame(TEXT, subscription(who)[:9], fin=False)
    return socket_input(chance, begun + frame(TEXT, b"{}", fin=chance.random() < 0.5), PROTOCOL)


def message_in_empty_message(chance: random.Random, _: Who) -> Input:
    begun = frame(TEXT, b"", fin=False)
    return socket_input(chance, begun + frame(TEXT, b"{}", fin=chance.random() < 0.5), PROTOCOL)


def huge_length(chance: random.Random, _: Who) -> Input:
    declared = chance.choice((1 << 17, 1 << 31, (1 << 32) + 5, 1 << 62, (1 << 63) - 1))
    return socket_input(chance, frame(TEXT, b"{}", declared=declared), TOO_BIG)


def length_with_highest_bit(chance: random.Random, _: Who) -> Input:
    declared = chance.choice((1 << 63, (1 << 64) - 1))
    return socket_input(chance, frame(TEXT, b"{}", declared=declared), PROTOCOL | TOO_BIG)


def message_too_big(chance: random.Random, _: Who) -> Input:
    filling = b" " * (MESSAGE_BYTES_MAX + chance.randrange(1, 60_000))
    return socket_input(chance, frame(TEXT, filling), BIG_ON_ITS_WAY)


def parts_too_big(chance: random.Random, _: Who) -> Input:
    part = b" " * chance.randrange(5_000, 60_000)
    count = MESSAGE_BYTES_MAX // len(part) + 2
    data = frame(TEXT, part, fin=False) + frame(CONTINUATION, part, fin=False) * count
    return socket_input(chance, data, BIG_ON_ITS_WAY)


def length_longer_than_need_be(chance: random.Random, who: Who) -> Input:
    form = chance.choice((126, 127))
    data = frame(TEXT, subscription(who), form=form)
    return socket_input(chance, data, PROTOCOL | {SERVED}, is_subscribed=False)


def bad_text(chance: random.Random, _: Who) -> Input:
    text = b'{"type":"' + chance.choice(NOT_UTF8) + b'"}'
    if chance.random() < 0.5:
        return socket_input(chance, frame(TEXT, text), BAD_TEXT)
    cut = chance.randrange(1, len(text))
    return socket_input(chance, frame(TEXT, text[:cut], fin=False) + frame(CONTINUATION, text[cut:]), BAD_TEXT)


def close_of_one_byte(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(CLOSE, b"\x03"), PROTOCOL)


def close_code_of_nobody(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(CLOSE, struct.pack("!H", chance.choice(NEVER_SENT))), PROTOCOL)


def close_reason_no_text(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, frame(CLOSE, struct.pack("!H", 1000) + chance.choice(NOT_UTF8)), BAD_TEXT)


def close_and_more(chance: random.Random, who: Who) -> Input:
    code = chance.choice((1000, 1001, 1008, 1011, 3000, 4999))
    data = frame(CLOSE, struct.pack("!H", code)) + frame(TEXT, subscription(who)) * chance.randrange(1, 4)
    return socket_input(chance, data, frozenset({SERVED, str(code)}))


def frame_cut_short(chance: random.Random, who: Who) -> Input:
    whole = frame(TEXT, subscription(who))
    return socket_input(chance, whole[: chance.randrange(1, len(whole))], frozenset({CLOSED}), is_ended=True)


def compressed_though_not_agreed(chance: random.Random, _: Who) -> Input:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(10_000_000)) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    return socket_input(chance, frame(TEXT, bomb[:60_000], rsv=4), PROTOCOL)


def ping_storm(chance: random.Random, _: Who) -> Input:
    pings = tuple(chance.randbytes(chance.randrange(126)) for _ in range(chance.randrange(50, 400)))
    return socket_input(chance, b"".join(frame(PING, each) for each in pings), frozenset({SERVED}), pings=pings)


def binary_message(chance: random.Random, who: Who) -> Input:
    return socket_input(chance, frame(BINARY, subscription(who)), frozenset({"1003"}))


def no_request(chance: random.Random, who: Who) -> Input:
    text = chance.choice(
        (
            b"",
            b"{",
            b"[]",
            b"null",
            b"NaN",
            b"[" * 30_000,
            b'{"type":' * 5_000,
            b'{"type":"subscribe","type":"subscribe"}',
            b'{"type":"subscribe","accounts":["somebody-else"]}',
            b'{"type":"subscribe","accounts":{"a":1}}',
            b'{"type":"unheard-of"}',
            b'{"type":1e999}',
            b"\x00" * 100,
            subscription(who)[: chance.randrange(1, 30)],
        )
    )
    return socket_input(chance, frame(TEXT, text), NO_SENSE)


def cursor_of_nobody(chance: random.Random, who: Who) -> Input:
    """It is looked at when the events are: a goodbye that comes at once may be heard before."""
    text = subscription(who)[:-1] + b',"cursor":"' + b"A" * chance.randrange(1, 60_000) + b'"}'
    return socket_input(chance, frame(TEXT, text), NO_SENSE | {SERVED})


def empty_parts(chance: random.Random, who: Who) -> Input:
    text = subscription(who)
    storm = frame(CONTINUATION, b"", fin=False) * chance.randrange(1, 3_000)
    data = frame(TEXT, text[:5], fin=False) + storm + frame(CONTINUATION, text[5:])
    return socket_input(chance, data, frozenset({SERVED}), is_subscribed=False)


def good_parts_with_pings(chance: random.Random, who: Who) -> Input:
    text, ping = subscription(who), chance.randbytes(8)
    cut = chance.randrange(1, len(text))
    data = frame(TEXT, text[:cut], fin=False) + frame(PING, ping) + frame(CONTINUATION, text[cut:])
    return socket_input(chance, data, frozenset({SERVED}), is_subscribed=False, pings=(ping,))


def flipped_bits(chance: random.Random, who: Who) -> Input:
    data = bytearray(frame(TEXT, subscription(who)))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return socket_input(chance, bytes(data), ANY_END, is_ended=True)


def any_bytes(chance: random.Random, _: Who) -> Input:
    return socket_input(chance, noise(chance, 2_000), ANY_END, is_ended=True)


ANY_END = frozenset({CLOSED, SERVED, "1001", "1002", "1003", "1007", "1008", "1009"})
"""Ends of which one has to come when chance wrote the bytes."""
COMMON, RARE, COSTLY = 10, 4, 1


def _named(weight: int, *makers: Make) -> list[Kind]:
    return [Kind(f"frame: {make.__name__.replace('_', ' ')}", weight, make) for make in makers]


KINDS = (
    *_named(
        COMMON,
        *(no_such_opcode, reserved_bits, no_mask, control_in_parts, control_too_long, part_of_nothing),
        *(message_in_message, message_in_empty_message, huge_length, length_with_highest_bit, bad_text),
        *(close_of_one_byte, close_code_of_nobody, close_reason_no_text, frame_cut_short, binary_message),
        *(no_request, flipped_bits, any_bytes),
    ),
    *_named(RARE, length_longer_than_need_be, cursor_of_nobody, close_and_more, good_parts_with_pings),
    *_named(COSTLY, message_too_big, parts_too_big, compressed_though_not_agreed, ping_storm, empty_parts),
)
"""Every kind of frame."""
