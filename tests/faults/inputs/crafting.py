"""Tokens made by hand, from bytes: nothing here asks the library that judges them."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Json = dict[str, Any]
Sign = Callable[[bytes], bytes]
RSA_BITS = 2048
COORDINATE = 32
"""Bytes of each number of a P-256 signature."""
HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


class Crafter:
    """Knows what an attacker knows: public keys and a token; and, for claims that are wrong, our key besides."""

    def __init__(self, state_dir: Path, genuine: str) -> None:
        keys = json.loads((state_dir / "keys" / "jwks.json").read_bytes())
        self.public_set = (state_dir / "keys" / "jwks.public.json").read_bytes()
        self.public_jwk: Json = json.loads(self.public_set)["keys"][0]
        self.kid: str = self.public_jwk["kid"]
        self.genuine = genuine
        self.head, self.body, self.signature = genuine.split(".")
        self.claims: Json = json.loads(unpadded(self.body))
        self._ours = _private(keys["keys"][0])
        self.stranger = ec.generate_private_key(ec.SECP256R1())
        self.stranger_rsa = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)

    def fresh(self, **changes: Any) -> Json:
        """Good claims with a new id, changed as said; None takes one away."""
        now = int(time.time())
        claims = self.claims | {"jti": str(uuid.uuid4()), "exp": now + 600, "nbf": now - 1} | changes
        return {name: value for name, value in claims.items() if value is not Gone}

    def header(self, **changes: Any) -> Json:
        """A good header, changed as said."""
        header = {"alg": "ES256", "kid": self.kid, "typ": "JWT"} | changes
        return {name: value for name, value in header.items() if value is not Gone}

    def ours(self, text: bytes) -> bytes:
        """The signature that only the mint can make."""
        return raw(self._ours.sign(text, ec.ECDSA(hashes.SHA256())), COORDINATE)

    def ours_der(self, text: bytes) -> bytes:
        """The same in the form that X.509 has, which a JWS has not."""
        return self._ours.sign(text, ec.ECDSA(hashes.SHA256()))

    def strange(self, text: bytes) -> bytes:
        """Of another key of the same kind."""
        return raw(self.stranger.sign(text, ec.ECDSA(hashes.SHA256())), COORDINATE)

    def strange_rsa(self, alg: str) -> Sign:
        """RSA, as the algorithm has it."""
        chosen = HASHES[alg[2:]]()
        padded = padding.PKCS1v15() if alg.startswith("RS") else padding.PSS(padding.MGF1(chosen), chosen.digest_size)
        return lambda text: self.stranger_rsa.sign(text, padded, chosen)

    def public_forms(self) -> dict[str, bytes]:
        """Everything public that a confused verifier may take for a secret."""
        public = self._ours.public_key()
        numbers = public.public_numbers()
        form, spki = serialization.PublicFormat, serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, spki)
        return {
            "the PEM": pem,
            "the PEM without its last newline": pem.rstrip(b"\n"),
            "the DER": public.public_bytes(serialization.Encoding.DER, spki),
            "the point": public.public_bytes(serialization.Encoding.X962, form.UncompressedPoint),
            "x": numbers.x.to_bytes(COORDINATE, "big"),
            "x as text": str(self.public_jwk["x"]).encode(),
            "the JWK": json.dumps(self.public_jwk).encode(),
            "the JWK, compact": compact(self.public_jwk),
            "the key set": self.public_set,
            "the key's id": self.kid.encode(),
            "nothing": b"",
            "a zero": b"\x00",
            "the issuer": b"tapeline",
            "a usual word": b"secret",
        }

    def jwk_of_stranger(self, **changes: Any) -> Json:
        """Another's public key as a JWK that claims to be ours."""
        numbers = self.stranger.public_key().public_numbers()
        point = {name: b64(number.to_bytes(COORDINATE, "big")) for name, number in (("x", numbers.x), ("y", numbers.y))}
        jwk = {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256", **point} | changes
        return {name: value for name, value in jwk.items() if value is not Gone}


class Gone:
    """What is not there."""


def token(header: Json | bytes | str, claims: Json | bytes | str, sign: Sign) -> str:
    """Three parts; header and claims as JSON, or as the bytes that are given."""
    head, body = part(header), part(claims)
    return f"{head}.{body}.{b64(sign(f'{head}.{body}'.encode()))}"


def part(value: Json | bytes | str) -> str:
    """One part of a token."""
    return b64(value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else compact(value))


def compact(value: object) -> bytes:
    """JSON without spaces; what is not finite is written as Python writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def b64(data: bytes) -> str:
    """As a token has it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpadded(text: str) -> bytes:
    """The bytes of a part."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hs(alg: str, secret: bytes) -> Sign:
    """HMAC with this secret."""
    return lambda text: hmac.new(secret, text, getattr(hashlib, f"sha{alg[2:]}")).digest()


def raw(der: bytes, size: int) -> bytes:
    first, second = decode_dss_signature(der)
    return first.to_bytes(size, "big") + second.to_bytes(size, "big")


def _private(jwk: Json) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(unpadded(jwk["d"]), "big")
    return ec.derive_private_key(number, ec.SECP256R1())
