"""Two hundred kinds of records that no producer of ours writes, each by its name, made of a good command.

`is_dead` is what must become of it: the dead letters, whatever else is true. The others may happen to be a command
that can be read; then its partition decides it, and a fact or a refusal on the tape names its place.
"""

import gzip
import json
import struct
from collections.abc import Callable, Iterator
from random import Random

import msgspec

FRAME_BYTES = 5
PRODUCER = "another producer:"
"""Begins the names of the kinds that belong to F20."""
HUGE_BYTES = 700_000
"""Below the largest record that a topic takes, far above what a dead letter keeps."""


class Good(msgspec.Struct, frozen=True):
    """A command as it is sent, and other messages of the system in their frames."""

    key: bytes
    value: bytes
    others: dict[str, bytes]


class Made(msgspec.Struct, frozen=True):
    """A record to be sent."""

    key: bytes
    value: bytes
    headers: dict[str, bytes] = {}


Make = Callable[[Good, Random], Made]


class Poison(msgspec.Struct, frozen=True):
    """One kind."""

    name: str
    make: Make
    is_dead: bool = True


def _value(change: Callable[[bytes, Random], bytes]) -> Make:
    return lambda good, chance: Made(good.key, change(good.value, chance))


def _bytes(value: bytes) -> Make:
    return lambda good, _: Made(good.key, value)


def _id(number: int) -> Make:
    return _value(lambda value, _: struct.pack(">bI", 0, number) + value[FRAME_BYTES:])


def _part(first: int, end: int) -> Make:
    return _value(lambda value, _: value[first:end])


def _put(made: bytes, at: int) -> Make:
    """These bytes in the place of the one that stood there."""
    return _value(lambda value, _: value[:at] + made + value[at + 1 :])


def _framed(text: bytes) -> Make:
    return _value(lambda value, _: value[:FRAME_BYTES] + text)


def _more(count: int) -> Make:
    return _value(lambda value, _: value + bytes(count))


def _other(what: str) -> Make:
    return lambda good, _: Made(good.key, good.others[what])


def _id_of(what: str) -> Make:
    return lambda good, _: Made(good.key, good.others[what][:FRAME_BYTES] + good.value[FRAME_BYTES:])


def _keyed(key: bytes) -> Make:
    return lambda good, _: Made(key, good.value)


def _bit(bit: int) -> Make:
    return _value(lambda value, chance: _flipped(value, chance, bit))


def _byte(byte: int) -> Make:
    return _value(lambda value, chance: _set(value, chance, byte))


def frames() -> Iterator[Poison]:
    """What is wrong before the first field."""
    yield Poison("no bytes", _bytes(b""))
    for size in range(1, FRAME_BYTES):
        yield Poison(f"{size} bytes of a frame", _part(0, size))
    yield Poison("a frame alone", _value(lambda value, _: value[:FRAME_BYTES]))
    for magic in (1, 2, 3, 10, 127, 128, 255):
        yield Poison(f"first byte {magic}", _put(bytes([magic]), 0))
    for number in (0, 9_999, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1):
        yield Poison(f"schema id {number}", _id(number))
    yield Poison("schema id in the other order", _value(lambda value, _: value[:1] + value[4:0:-1] + value[5:]))
    yield Poison("no frame", _value(lambda value, _: value[FRAME_BYTES:]))
    yield Poison("two frames", _value(lambda value, _: value[:FRAME_BYTES] + value))


def strangers() -> Iterator[Poison]:
    """Good messages of ours that are no command of this context, and what other systems write."""
    for what in ("an event", "a command of another context", "a feed's message", "an owner's record"):
        yield Poison(what, _other(what))
        yield Poison(f"the schema id of {what}", _id_of(what))
    texts: dict[str, bytes] = {
        "JSON": b'{"quantity": "10"}',
        "JSON with NaN": b'{"quantity": NaN}',
        "JSON with a name twice": b'{"quantity": 1, "quantity": 2}',
        "JSON with infinity": b'{"quantity": -Infinity}',
        "JSON nested deep": b"[" * 50_000 + b"]" * 50_000,
        "JSON objects nested deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        "JSON of a huge number": b"9" * 10_000,
        "JSON null": b"null",
        "text": b"hello",
        "text in UTF-16": "hello".encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf{}",
        "no UTF-8": b"\xff\xfe\xfd",
        "overlong UTF-8": b"\xc0\xaf\xe0\x80\xaf",
        "a surrogate": b"\xed\xa0\x80",
        "zeros": bytes(64),
        "ones": b"\xff" * 64,
        "XML with entities": b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>',
        "YAML with an object": b"!!python/object/apply:os.system [true]",
        "a pickle": b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
        "an Avro file": b"Obj\x01\x04\x14avro.codec\x08null",
        "Protobuf in its frame": b"\x00\x00\x00\x00\x01\x00\x08\x96\x01",
        "msgpack": b"\x81\xa1a\x01",
        "gzip": gzip.compress(b"hello", mtime=0),
        "a bomb": gzip.compress(bytes(2_000_000), mtime=0),
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "a shell": b"#!/bin/sh\ntrue\n",
        "SQL": b"'; DROP TABLE orders; --",
        "a web page": b"<script>alert(1)</script>",
        "a log template": b"${jndi:ldap://127.0.0.1:1/x}",
        "a terminal's escape": b"\x1b[2J\x1b]0;x\x07",
        "lines": b"a\r\nb\n\n" * 20,
    }
    for name, text in texts.items():
        yield Poison(name, _bytes(text))
        yield Poison(f"{name} in our frame", _framed(text))
    yield Poison("huge", _value(lambda value, _: value[:FRAME_BYTES] + b"x" * HUGE_BYTES))
    yield Poison("huge noise", _value(lambda value, chance: value[:FRAME_BYTES] + chance.randbytes(HUGE_BYTES // 4)))
    yield Poison("noise", lambda good, chance: Made(good.key, b"\x07" + chance.randbytes(200)))
    yield Poison("the command as JSON", lambda good, _: Made(good.key, json.dumps({"v": good.value.hex()}).encode()))


def _varint(number: int) -> bytes:
    """A long as Avro writes it."""
    zigzag = (number << 1) ^ (number >> 63)
    zigzag &= 2**64 - 1
    made = bytearray()
    while zigzag > 0x7F:
        made.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    made.append(zigzag)
    return bytes(made)


def lengths() -> Iterator[Poison]:
    """A first text of an impossible length, and numbers that never end."""
    for length in (-(2**63), -(2**31), -1_000, -1, 2**16, 2**20, 2**31 - 1, 2**40, 2**62, 2**63 - 1):
        made = _varint(length)
        yield Poison(f"a text of {length} bytes", _put(made, FRAME_BYTES))
    for size in (1, 9, 10, 11, 100, 5_000):
        yield Poison(
            f"a number of {size} bytes that goes on",
            _framed(b"\xff" * size),
        )
    yield Poison("texts that are no UTF-8", _value(_no_text))


def _no_text(value: bytes, _: Random) -> bytes:
    size = value[FRAME_BYTES] // 2
    return value[: FRAME_BYTES + 1] + b"\xff" * size + value[FRAME_BYTES + 1 + size :]


def cuts() -> Iterator[Poison]:
    """A good command that ends too early or too late."""
    for at in range(FRAME_BYTES + 1, FRAME_BYTES + 56):
        yield Poison(f"cut after {at} bytes", _part(0, at))
    for less in range(1, 11):
        yield Poison(f"cut {less} bytes before its end", _part(0, -less))
    for more in (1, 2, 16, 4_096):
        yield Poison(f"{more} bytes too many", _more(more))
    yield Poison("twice", _value(lambda value, _: value + value))
    yield Poison("a second record in it", _value(lambda value, _: value + value[FRAME_BYTES:]))


def keys() -> Iterator[Poison]:
    """A good value that does not belong under its key."""
    for name, key in {
        "no key": b"",
        "another's key": b"account-of-another",
        "a key that is no text": b"\xff\xfe",
        "a key with a NUL": b"account\x00",
        "a long key": b"k" * 20_000,
        "a key with a space": b" ",
    }.items():
        yield Poison(name, _keyed(key))
    yield Poison("the key in upper case", lambda good, _: Made(good.key.upper() + b"-X", good.value))


def mutants() -> Iterator[Poison]:
    """A good command, changed a little: much of it can still be read."""
    for bit in range(8):
        yield Poison(f"bit {bit} of some byte", _bit(bit), is_dead=False)
    for name, byte in {"zero": 0, "ones": 255, "a minus one": 1, "a continued byte": 128}.items():
        yield Poison(f"some byte is {name}", _byte(byte), is_dead=False)
    yield Poison("a byte taken out", _value(_without), is_dead=False)
    yield Poison("a byte put in", _value(_with), is_dead=False)
    yield Poison("two bytes swapped", _value(_swapped), is_dead=False)
    yield Poison("a part twice", _value(_doubled), is_dead=False)
    yield Poison("a part of noise", _value(_noisy), is_dead=False)
    yield Poison("many bits", _value(lambda v, c: _flipped(_flipped(_flipped(v, c, 0), c, 3), c, 6)), is_dead=False)
    yield Poison("a value of digits", _value(_digits), is_dead=False)
    headers = {f"h{number}": b"x" * 50 for number in range(200)}
    yield Poison("two hundred headers", lambda good, _: Made(good.key, good.value, headers), is_dead=False)
    odd = {"command-id": b"\xff", "digest": b"", "traceparent": b"00-zz-zz-zz", "": b"", "original.x": b"y"}
    yield Poison("odd headers", lambda good, _: Made(good.key, good.value, odd), is_dead=False)


def _at(value: bytes, chance: Random) -> int:
    return chance.randrange(FRAME_BYTES, len(value))


def _flipped(value: bytes, chance: Random, bit: int) -> bytes:
    at = _at(value, chance)
    return value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :]


def _set(value: bytes, chance: Random, byte: int) -> bytes:
    at = _at(value, chance)
    return value[:at] + bytes([byte]) + value[at + 1 :]


def _without(value: bytes, chance: Random) -> bytes:
    at = _at(value, chance)
    return value[:at] + value[at + 1 :]


def _with(value: bytes, chance: Random) -> bytes:
    at = _at(value, chance)
    return value[:at] + chance.randbytes(1) + value[at:]


def _swapped(value: bytes, chance: Random) -> bytes:
    at = chance.randrange(FRAME_BYTES, len(value) - 1)
    return value[:at] + value[at + 1 : at + 2] + value[at : at + 1] + value[at + 2 :]


def _doubled(value: bytes, chance: Random) -> bytes:
    at = _at(value, chance)
    return value[:at] + value[at - 4 : at] + value[at:]


def _noisy(value: bytes, chance: Random) -> bytes:
    at = _at(value, chance)
    return value[:at] + chance.randbytes(4) + value[at + 4 :]


def _digits(value: bytes, chance: Random) -> bytes:
    """A number somewhere becomes the largest or the smallest there is."""
    at = _at(value, chance)
    return value[:at] + _varint(chance.choice((2**63 - 1, -(2**63)))) + value[at + 1 :]


def producers() -> Iterator[Poison]:
    """What other serialisers and other versions of a contract write under our id, or in a frame of theirs."""
    frames: dict[str, bytes] = {
        "single object": b"\xc3\x01" + bytes(8),
        "an id of eight bytes": bytes(9),
        "an id of sixteen bytes": b"\x03\x00" + bytes(range(16)),
        "an id as text": b"1:",
        "a protobuf index": b"\x00\x00\x00\x00\x01\x00",
    }
    for name, frame in frames.items():
        yield Poison(f"{PRODUCER} {name}", _refined(frame), is_dead=name != "a protobuf index")
    inserted: dict[str, bytes] = {
        "a union around it": b"\x00",
        "another branch of a union around it": b"\x02",
        "a text before it": b"\x0ahello",
        "a number before it": _varint(2**40),
        "a double before it": struct.pack("<d", float("nan")),
        "a boolean before it": b"\x01",
        "an array before it": b"\x02\x02\x00",
    }
    for name, more in inserted.items():
        yield Poison(f"{PRODUCER} {name}", _inserted(more), is_dead=False)
        yield Poison(f"{PRODUCER} {name.replace('before', 'after')}, at the end", _value(_appended(more)))
    for number in range(1, 110, 9):
        yield Poison(f"{PRODUCER} under the schema id {number}", _id(number), is_dead=False)


def _refined(frame: bytes) -> Make:
    return _value(lambda value, _: frame + value[FRAME_BYTES:])


def _inserted(more: bytes) -> Make:
    return _value(lambda value, _: value[:FRAME_BYTES] + more + value[FRAME_BYTES:])


def _appended(more: bytes) -> Callable[[bytes, Random], bytes]:
    return lambda value, _: value + more


POISONS: tuple[Poison, ...] = (*frames(), *strangers(), *lengths(), *cuts(), *keys(), *mutants(), *producers())
