"""Tokens that no door may take, of many names: signatures that are none, and keys that are not ours.

A forgery is made anew for every trial, from what an attacker has: our public keys, and a token of its own.
"""

import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.faults.inputs.crafting import Crafter, Gone, b64, compact, hs, part, token
from tests.faults.inputs.crafting import raw as raw_signature
from tests.faults.inputs.forgery import Forgery, Make, by_another, by_us

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the curve P-256."""
KIDS: dict[str, Any] = {
    "a path up": "../../../../../../dev/null",
    "a path": "/dev/null",
    "a file": "/etc/passwd",
    "our own key file": "../keys/jwks.public.json",
    "a Windows path": "..\\..\\windows\\win.ini",
    "a file's address": "file:///dev/null",
    "an address": "http://127.0.0.1:1/jwks.json",
    "SQL: always": "' OR '1'='1",
    "SQL: union": "x' UNION SELECT 'secret'--",
    "SQL: sleep": "x'; SELECT pg_sleep(5)--",
    "a command": "x; touch owned",
    "a command in quotes": "$(touch owned)",
    "a format": "%s%s%n{0}{{7*7}}",
    "empty": "",
    "null": None,
    "a number": 0,
    "true": True,
    "a list": ["x"],
    "an object": {"x": "x"},
    "a NUL": "x\x00y",
    "long": "k" * 2_500,
    "another alphabet": "ключ",
    "a surrogate": "\ud800",
    "lines": "a\r\nX-Evil: 1",
    "a prototype": "__proto__",
}
"""Key ids that ask a careless door to look somewhere else."""
TWO_ALGORITHMS = b'{"alg":"ES256","alg":"none"}'


def unsigned() -> Iterator[Forgery]:
    """No signature, and an algorithm that says so in every spelling."""
    spellings: list[Any] = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\x00",
        "noñe",
        "non\u0435",
        "null",
        "",
        "no",
    ]
    spellings += [None, Gone, [], ["none"], {}, 0, False]
    ends: dict[str, Callable[[Crafter], str]] = {
        "no signature": lambda _: "",
        "a genuine one": lambda crafter: crafter.signature,
        "a made-up one": lambda _: b64(bytes(64)),
    }
    for spelling in spellings:
        shown = "missing" if spelling is Gone else json.dumps(spelling, ensure_ascii=True)
        for end, signature in ends.items():

            def make(crafter: Crafter, _: Random, spelling: Any = spelling, signature: Any = signature) -> str:
                head = part(crafter.header(alg=spelling))
                return f"{head}.{part(crafter.fresh())}.{signature(crafter)}"

            yield Forgery(f"alg {shown}, {end}", make)
    yield Forgery(
        "alg none, two parts", lambda crafter, _: f"{part(crafter.header(alg='none'))}.{part(crafter.fresh())}"
    )
    yield Forgery(
        "alg twice: ES256, none",
        lambda crafter, _: f"{part(TWO_ALGORITHMS)}.{part(crafter.fresh())}.",
    )


def confused() -> Iterator[Forgery]:
    """What is public taken for a shared secret, and algorithms that are not ours."""
    for alg in ("HS256", "HS384", "HS512"):
        for name in (
            "the PEM",
            "the PEM without its last newline",
            "the DER",
            "the point",
            "x",
            "x as text",
            "the JWK",
            "the JWK, compact",
            "the key set",
            "the key's id",
            "nothing",
            "a zero",
            "the issuer",
            "a usual word",
        ):

            def make(crafter: Crafter, _: Random, alg: str = alg, name: str = name) -> str:
                return token(crafter.header(alg=alg), crafter.fresh(), hs(alg, crafter.public_forms()[name]))

            yield Forgery(f"{alg} with {name}", make)
    for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        yield Forgery(f"{alg} by another's key", _rsa(alg))
    for alg in (
        "ES384",
        "ES512",
        "ES256K",
        "ESB256",
        "EdDSA",
        "Ed25519",
        "es256",
        "ES256 ",
        "ECDH-ES",
        "dir",
        "A256KW",
    ):
        yield Forgery(f"alg {alg!r}, our key", by_us(Crafter.fresh, lambda crafter, alg=alg: crafter.header(alg=alg)))
    yield Forgery(
        "EdDSA by another's key",
        lambda crafter, _: token(
            crafter.header(alg="EdDSA"), crafter.fresh(), ed25519.Ed25519PrivateKey.generate().sign
        ),
    )
    yield Forgery("ES384 by another's key", _of_curve("ES384", ec.SECP384R1(), hashes.SHA384(), 48))
    yield Forgery("ES512 by another's key", _of_curve("ES512", ec.SECP521R1(), hashes.SHA512(), 66))
    yield Forgery("ES256 by another's key", by_another(Crafter.header, Crafter.fresh))
    yield Forgery("ES256 by another's key, all claims of a genuine one", by_another(Crafter.header, lambda c: c.claims))


def _of_curve(alg: str, curve: ec.EllipticCurve, digest: hashes.HashAlgorithm, size: int) -> Make:
    def make(crafter: Crafter, _: Random) -> str:
        key = ec.generate_private_key(curve)
        sign = lambda text: raw_signature(key.sign(text, ec.ECDSA(digest)), size)  # noqa: E731  (one expression, used here)
        return token(crafter.header(alg=alg), crafter.fresh(), sign)

    return make


def numbers() -> Iterator[Forgery]:
    """Signatures that are edges of the arithmetic, not of a key."""
    edges = {"0": 0, "1": 1, "the order": ORDER, "the order less one": ORDER - 1, "all ones": 2**256 - 1}
    for (first, r), (second, s) in itertools.product(edges.items(), repeat=2):
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        yield Forgery(f"signature r {first}, s {second}", _fixed(signature))
    yield Forgery("signature in DER", lambda crafter, _: token(crafter.header(), crafter.fresh(), crafter.ours_der))
    for size in (0, 1, 32, 63, 65, 96, 128):
        yield Forgery(f"signature of {size} bytes", _random(size))


def _rsa(alg: str) -> Make:
    return lambda crafter, _: token(crafter.header(alg=alg), crafter.fresh(), crafter.strange_rsa(alg))


def _fixed(signature: bytes) -> Make:
    return lambda crafter, _: token(crafter.header(), crafter.fresh(), lambda _: signature)


def _random(size: int) -> Make:
    return lambda crafter, chance: token(crafter.header(), crafter.fresh(), lambda _: chance.randbytes(size))


def _of_nothing(kid: Any) -> Make:
    """An HMAC whose secret is empty, as a file that is not there would give."""
    return lambda crafter, _: token(crafter.header(alg="HS256", kid=kid), crafter.fresh(), hs("HS256", b""))


def injected() -> Iterator[Forgery]:
    """Headers that tell the door where to find the key."""
    for name, kid in KIDS.items():
        yield Forgery(f"kid {name}, another's key", by_another(lambda c, kid=kid: c.header(kid=kid), Crafter.fresh))
        yield Forgery(f"kid {name}, HMAC of nothing", _of_nothing(kid))
    yield Forgery("kid missing, another's key", by_another(lambda c: c.header(kid=Gone), Crafter.fresh))
    yield Forgery("jwk of another", by_another(lambda c: c.header(jwk=c.jwk_of_stranger()), Crafter.fresh))
    yield Forgery(
        "jwk of another, no kid",
        by_another(lambda c: c.header(kid=Gone, jwk=c.jwk_of_stranger(kid=Gone)), Crafter.fresh),
    )
    yield Forgery("jwk broken", by_another(lambda c: c.header(jwk={"kty": "EC"}), Crafter.fresh))
    yield Forgery("jwk a list", by_another(lambda c: c.header(jwk=[c.jwk_of_stranger()]), Crafter.fresh))
    yield Forgery(
        "jwk symmetric",
        lambda crafter, _: token(
            crafter.header(alg="HS256", jwk={"kty": "oct", "k": b64(b"secret")}),
            crafter.fresh(),
            hs("HS256", b"secret"),
        ),
    )
    for name in ("jku", "x5u"):
        for address in ("http://127.0.0.1:1/x", "https://evil.example/x", "file:///dev/null", "//evil", "", None):
            yield Forgery(
                f"{name} {address!r}",
                by_another(lambda c, name=name, address=address: c.header(**{name: address}), Crafter.fresh),
            )
    for name, value in (("x5c", ["MIIB"]), ("x5t", "x"), ("x5t#S256", "x"), ("x5c", "MIIB")):
        yield Forgery(f"{name} {value!r}", by_another(lambda c, n=name, v=value: c.header(**{n: v}), Crafter.fresh))
    for crit in (["exp"], ["evil"], [], "exp", None, ["alg"], ["b64"]):
        yield Forgery(
            f"crit {crit!r}, another's key",
            by_another(lambda c, crit=crit: c.header(crit=crit, b64=False), Crafter.fresh),
        )
    yield Forgery("crit of what nobody knows, our key", by_us(Crafter.fresh, lambda c: c.header(crit=["evil"], evil=1)))
    yield Forgery("zip", lambda c, _: token(c.header(zip="DEF"), zlib.compress(compact(c.fresh())), c.strange))
    yield Forgery("nested: a token in a token", by_another(lambda c: c.header(cty="JWT"), lambda c: c.genuine))


FORGERIES: tuple[Forgery, ...] = (*unsigned(), *confused(), *numbers(), *injected())
