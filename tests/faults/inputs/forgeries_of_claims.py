"""Tokens that no door may take: genuine ones taken apart, what is no token, and wrong claims under our own signature.

The mint would not make such claims; a door must not trust that it did not.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.faults.inputs.crafting import Crafter, Gone, Json, b64, compact, part, unpadded
from tests.faults.inputs.forgery import NESTED, Forgery, Make, by_another, by_us

HUGE = 60_000
"""Characters that no server takes for a header."""


def claimed() -> Iterator[Forgery]:
    """Our own signature over claims that are wrong."""
    now = time.time
    texts: dict[str, list[Any]] = {
        "exp": [0, -1, Gone, None, "9999999999", True, [], {}, 1.5e300],
        "nbf": [Gone, None, "0", True, [], {}, 2**62],
        "iss": [Gone, None, "", "Tapeline", "tapeline ", "t\u0430peline", "evil", 0, ["tapeline"], {"tapeline": 1}],
        "aud": [Gone, None, "", "Tapeline", "tapeline ", "evil", 0, ["evil"], ["tapeline", "evil"], {"tapeline": 1}],
        "tenant": [Gone, None, 0, True, ["acme"], {"acme": 1}],
        "sub": [Gone, None, 0, ["ann"], {}],
        "account": [Gone, None, 0, True, ["*"], {"*": 1}],
        "scope": [Gone, None, 0, ["trade"], {"trade": True}, True],
        "jti": [Gone, None, 0, [], {}],
    }
    for claim, values in texts.items():
        for value in values:
            shown = "missing" if value is Gone else json.dumps(value)
            yield Forgery(f"{claim} {shown}, our key", by_us(lambda c, n=claim, v=value: c.fresh(**{n: v})))
    for seconds in (7, 60, 86_400, 10**8):
        yield Forgery(f"expired for {seconds} s", by_us(lambda c, s=seconds: c.fresh(exp=int(now()) - s, nbf=0)))
        yield Forgery(f"valid in {seconds} s", by_us(lambda c, s=seconds: c.fresh(nbf=int(now()) + s, exp=2**40)))
    for name, value in (("Infinity", math.inf), ("NaN", math.nan), ("-Infinity", -math.inf)):
        yield Forgery(f"exp {name}, our key", by_us(lambda c, v=value: c.fresh(exp=v)))
        yield Forgery(f"nbf {name}, our key", by_us(lambda c, v=value: c.fresh(nbf=v)))
    yield Forgery("exp of 400 digits, our key", by_us(lambda c: c.fresh(exp=10**400)))
    yield Forgery("exp twice, the last one over", by_us(lambda c: _twice(c.fresh(), exp=1)))
    yield Forgery("aud twice, the last one another's", by_us(lambda c: _twice(c.fresh(), aud="evil")))
    for name, body in {
        "nothing": b"",
        "null": b"null",
        "a list": b"[]",
        "a number": b"1",
        "a text": b'"x"',
        "no JSON": b"{",
        "no text": b"\xff\xfe{}",
        "an empty object": b"{}",
        "NaN": b"NaN",
        "deep": b"[" * NESTED + b"]" * NESTED,
        "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
        "a NUL": b"\x00",
    }.items():
        yield Forgery(f"claims {name}, our key", by_us(lambda _, body=body: body))
        yield Forgery(f"claims {name}, another's key", by_another(Crafter.header, lambda _, body=body: body))


def _twice(claims: Json, **again: Any) -> bytes:
    """A name that stands there twice; RFC 7519 lets a reader refuse it, or take the last."""
    return compact(claims)[:-1] + b"," + compact(again)[1:]


def twisted() -> Iterator[Forgery]:
    """A genuine token, taken apart and put together otherwise."""
    claims: dict[str, Any] = {
        "tenant": "other",
        "account": "*",
        "sub": "root",
        "scope": "everything",
        "exp": 2**40,
        "nbf": 0,
        "aud": "evil",
        "iss": "evil",
        "jti": "another",
        "admin": True,
    }
    for name, value in claims.items():
        yield Forgery(f"{name} changed below the signature", _changed({name: value}))
    yield Forgery(
        "scope added twice below the signature", lambda c, _: _put(c, body=part(_twice(c.claims, scope="trade")))
    )
    yield Forgery("header changed above the signature", lambda c, _: _put(c, head=part(c.header(typ="evil"))))
    yield Forgery("claims spaced otherwise", lambda c, _: _put(c, body=part(json.dumps(c.claims, indent=1))))
    shapes: dict[str, Callable[[str, str, str], str]] = {
        "signature stripped": lambda head, body, _: f"{head}.{body}.",
        "signature and its dot stripped": lambda head, body, _: f"{head}.{body}",
        "signature twice": lambda head, body, signature: f"{head}.{body}.{signature}{signature}",
        "signature twice, with a dot": lambda head, body, signature: f"{head}.{body}.{signature}.{signature}",
        "signature in the place of the claims": lambda head, body, signature: f"{head}.{signature}.{body}",
        "no header": lambda _, body, signature: f".{body}.{signature}",
        "no claims": lambda head, _, signature: f"{head}..{signature}",
        "only dots": lambda *_: "..",
        "four dots": lambda *_: "....",
        "five parts, as encrypted ones have": lambda head, body, signature: f"{head}.{body}.{signature}.{body}.{head}",
        "a dot before": lambda *parts: "." + ".".join(parts),
        "a dot behind": lambda *parts: ".".join(parts) + ".",
        "a space within": lambda head, body, signature: f"{head}. {body}.{signature}",
        "another before it, and a comma": lambda *parts: f"x,{'.'.join(parts)}",
        "padded": lambda head, body, signature: f"{head}.{body}.{signature}==",
        "claims padded": lambda head, body, signature: f"{head}.{body}==.{signature}",
        "signature with what is no base64": lambda head, body, signature: f"{head}.{body}.!{signature[1:]}",
        "signature with a byte more": lambda head, body, signature: f"{head}.{body}.{signature}AA",
        "upper case": lambda *parts: ".".join(parts).upper(),
        "reversed": lambda *parts: ".".join(parts)[::-1],
        "quoted": lambda *parts: f'"{".".join(parts)}"',
        "another alphabet's dots": lambda *parts: "\u2024".join(parts),
        "in JSON, flattened": lambda head, body, signature: json.dumps(
            {"protected": head, "payload": body, "signature": signature}
        ),
        "in JSON, general": lambda head, body, signature: json.dumps(
            {"payload": body, "signatures": [{"protected": head, "signature": signature}]}
        ),
    }
    for name, shape in shapes.items():
        yield Forgery(name, _shaped(shape))
    for name, where in (("signature", 2), ("claims", 1), ("header", 0)):
        yield Forgery(f"a bit of the {name}", _bit(where))
        yield Forgery(f"the {name} cut", _cut(where))
    yield Forgery("bits left over in the signature", lambda c, _: c.genuine[:-1] + _next(c.genuine[-1]))


def shapeless() -> Iterator[Forgery]:
    """What is no token at all, and headers that are no header."""
    for name, text in {
        "nothing": "",
        "a letter": "x",
        "null": "null",
        "an object": "{}",
        "undefined": "undefined",
        "SQL": "' OR 1=1--",
        "a path": "../../jwks.json",
        "a template": "${jndi:ldap://127.0.0.1:1/x}",
        "another alphabet": "токен.токен.токен",
        "an emoji": "🔑.🔑.🔑",
        "long": "x" * 4_000,
        "dots": "." * 4_000,
        "just longer than is read": "x" * 4_097,
    }.items():
        yield Forgery(f"no token: {name}", _text(text))
    yield Forgery("no token: 60,000 characters", lambda _, __: "x" * HUGE, is_huge=True)
    yield Forgery("no token: a genuine one and 60,000 dots", lambda c, _: c.genuine + "." * HUGE, is_huge=True)
    for name, header in {
        "nothing": b"",
        "null": b"null",
        "a list": b"[]",
        "a number": b"1",
        "a text": b'"ES256"',
        "no JSON": b"{",
        "no text": b"\xff\xfe{}",
        "an empty object": b"{}",
        "deep": b"[" * NESTED + b"]" * NESTED,
        "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
        "NaN": b'{"alg":NaN}',
        "a surrogate": b'{"alg":"\\ud800"}',
    }.items():
        yield Forgery(f"header {name}", _headed(header))


def _changed(changes: Json) -> Make:
    return lambda crafter, _: _put(crafter, body=part(crafter.claims | changes))


def _put(crafter: Crafter, *, head: str = "", body: str = "") -> str:
    return f"{head or crafter.head}.{body or crafter.body}.{crafter.signature}"


def _shaped(shape: Callable[[str, str, str], str]) -> Make:
    return lambda crafter, _: shape(crafter.head, crafter.body, crafter.signature)


def _text(text: str) -> Make:
    return lambda _, __: text


def _headed(header: bytes) -> Make:
    return lambda crafter, _: _put(crafter, head=part(header) or ".")


def _bit(where: int) -> Make:
    def make(crafter: Crafter, chance: Random) -> str:
        parts = crafter.genuine.split(".")
        data = bytearray(unpadded(parts[where]))
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        parts[where] = b64(bytes(data))
        return ".".join(parts)

    return make


def _cut(where: int) -> Make:
    def make(crafter: Crafter, chance: Random) -> str:
        parts = crafter.genuine.split(".")
        parts[where] = parts[where][: chance.randrange(1, len(parts[where]))]
        return ".".join(parts)

    return make


def _next(letter: str) -> str:
    """A letter that stands for the same leading bits."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = letters.index(letter)
    return letters[at ^ 1]


FORGERIES: tuple[Forgery, ...] = (*claimed(), *twisted(), *shapeless())
