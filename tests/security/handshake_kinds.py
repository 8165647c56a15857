"""Openings of a websocket that are none (RFC 6455, 4.2.1): never answered with 101."""

import random

from tests.security.kinds import SENTINEL, Input, Kind, Who, torn

PATH = "/v1/stream"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REFUSED = frozenset({"400", "401", "403", "404", "405", "414", "426", "431", "505"})
Head = dict[str, str]


def opening(who: Who, path: str = PATH, version: str = "HTTP/1.1", method: str = "GET", **changed: str | None) -> bytes:
    """A good opening, but for the fields that are changed; None leaves one out."""
    head: dict[str, str | None] = {
        "Host": "door",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Authorization": f"Bearer {who.token}",
    }
    head |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in head.items() if value is not None]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode("latin-1")


CHANGES: tuple[dict[str, str | None], ...] = (
    {"Sec_WebSocket_Key": None},
    {"Sec_WebSocket_Key": ""},
    {"Sec_WebSocket_Key": "short"},
    {"Sec_WebSocket_Key": "!" * 24},
    {"Sec_WebSocket_Key": "A" * 400},
    {"Sec_WebSocket_Version": None},
    {"Sec_WebSocket_Version": "12"},
    {"Sec_WebSocket_Version": "0"},
    {"Sec_WebSocket_Version": "13, 8"},
    {"Sec_WebSocket_Version": "-1"},
    {"Upgrade": None},
    {"Upgrade": "h2c"},
    {"Upgrade": "websocketx"},
    {"Connection": None},
    {"Connection": "keep-alive"},
    {"Authorization": None},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic //79"},
    {"Authorization": "Bearer " + "A" * 9_000},
)


def broken_opening(chance: random.Random, who: Who) -> Input:
    changed = chance.choice(CHANGES)
    data = opening(who, PATH, "HTTP/1.1", "GET", **changed)
    return Input(kind="", pieces=torn(chance, data + SENTINEL), wants=REFUSED)


def other_method(chance: random.Random, who: Who) -> Input:
    method = chance.choice(("POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "get", "G\u00cbT"))
    return Input(kind="", pieces=torn(chance, opening(who, method=method) + SENTINEL), wants=REFUSED | {"501"})


def old_version(chance: random.Random, who: Who) -> Input:
    version = chance.choice(("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", ""))
    return Input(kind="", pieces=torn(chance, opening(who, version=version) + SENTINEL), wants=REFUSED)


def other_path(chance: random.Random, who: Who) -> Input:
    path = chance.choice((PATH + "/", "/v1//stream", "/v1/../stream", "/v1/stream%00", "/", PATH + "%2f.."))
    return Input(kind="", pieces=torn(chance, opening(who, path) + SENTINEL), wants=REFUSED)


def protocol_with_line_break(chance: random.Random, who: Who) -> Input:
    offered = chance.choice(("tapeline.v1\r\nX-Planted: 1\r\n y", "tapeline.v1\nX-Planted: 1", "\x00", "a\rb"))
    data = opening(who, Sec_WebSocket_Protocol=offered, Authorization=None)
    return Input(kind="", pieces=torn(chance, data + SENTINEL), wants=REFUSED)


KINDS = (
    Kind("handshake: a field is broken", 20, broken_opening),
    Kind("handshake: another method", 6, other_method),
    Kind("handshake: another version of HTTP", 6, old_version),
    Kind("handshake: another path", 6, other_path),
    Kind("handshake: a protocol with a line break", 6, protocol_with_line_break),
)
"""Every kind of opening."""
