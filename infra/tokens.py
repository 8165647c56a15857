"""Keys on disk -> signed tokens, and signed tokens -> who is calling.

The key set is made once under `<state_dir>/keys/`: `jwks.json` (private, mode 0600) mints, `jwks.public.json` verifies.
A token names its tenant, its subject and one account, or `*` for people who oversee all accounts of the tenant. That
of a partner names its subscription in the account's place.
"""

import time
import uuid
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, KeySetSerialization

from infra import files

ALGORITHM = "ES256"
"""The one algorithm: a token that names another is no token of ours."""
ISSUER = "tapeline"
AUDIENCE = "tapeline"
LEEWAY_S = 5
"""How far two clocks of one installation may be apart."""
TOKEN_BYTES_MAX = 4_096
"""Larger than any token we mint; nothing longer is even looked at."""
VERIFIED_KEPT_MAX = 10_000
"""Tokens whose signature is not checked again while they are valid: checking one costs 160 µs."""
EVERY_ACCOUNT = "*"
SECOND_MAX = 2**53
"""Seconds since 1970 that a claim may say: whatever reckons with a claim can hold as much."""

Second = Annotated[int, msgspec.Meta(ge=0, le=SECOND_MAX)]


class Scope(StrEnum):
    """What a token lets its bearer do."""

    TRADE = "trade"
    READ = "read"
    RISK = "risk"
    AUDIT = "audit"
    OPERATE = "operate"
    PARTNER = "partner"
    BILLING = "billing"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling: the claims of a token that was checked."""

    tenant: str
    sub: str
    account: str
    scopes: frozenset[str]
    token_id: str
    expires_at: int

    @property
    def actor(self) -> str:
        """The caller's name on the tape."""
        return f"sub:{self.sub}"


class TokenRefused(Exception):
    """No token of ours, or not any more; callers are told no more than that."""


class _Claims(msgspec.Struct, kw_only=True):
    iss: str
    aud: str
    tenant: str
    sub: str
    account: str
    scope: str
    jti: str
    exp: Second
    nbf: Second


class Mint:
    """Makes tokens; the first use of a state directory makes its keys."""

    def __init__(self, state_dir: Path) -> None:
        self._key = _private_key(state_dir)

    def mint(self, *, tenant: str, sub: str, account_id: str, scopes: Iterable[Scope], ttl_s: int) -> str:
        """A token that is valid from now on, for so long."""
        now = int(time.time())
        claims = _Claims(
            iss=ISSUER,
            aud=AUDIENCE,
            tenant=tenant,
            sub=sub,
            account=account_id,
            scope=" ".join(sorted(scopes)),
            jti=str(uuid.uuid4()),
            exp=now + ttl_s,
            nbf=now,
        )
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, msgspec.to_builtins(claims), self._key, algorithms=[ALGORITHM])


class Verifier:
    """Checks tokens with the public keys alone."""

    def __init__(self, state_dir: Path) -> None:
        _private_key(state_dir)
        text = (state_dir / "keys" / "jwks.public.json").read_bytes()
        self._keys = KeySet.import_key_set(msgspec.json.decode(text, type=KeySetSerialization))
        self._verified: dict[str, Caller] = {}

    def verify(self, token: str) -> Caller:
        """Who is calling. Raises TokenRefused."""
        caller = self._verified.get(token)
        if caller is None:
            caller = self._check(token)
            self._verified[token] = caller
            if len(self._verified) > VERIFIED_KEPT_MAX:
                del self._verified[next(iter(self._verified))]
        elif time.time() > caller.expires_at + LEEWAY_S:
            del self._verified[token]
            raise TokenRefused("expired")
        return caller

    def _check(self, token: str) -> Caller:
        if len(token) > TOKEN_BYTES_MAX:
            raise TokenRefused("too long")
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
            claims = msgspec.convert(decoded.claims, _Claims)
        except (JoseError, msgspec.ValidationError, ValueError, RecursionError) as error:
            raise TokenRefused("unreadable, forged or incomplete") from error
        now = time.time()
        if claims.iss != ISSUER or claims.aud != AUDIENCE:
            raise TokenRefused("made by or for another system")
        if now > claims.exp + LEEWAY_S or now < claims.nbf - LEEWAY_S:
            raise TokenRefused("expired or not valid yet")
        return Caller(
            tenant=claims.tenant,
            sub=claims.sub,
            account=claims.account,
            scopes=frozenset(claims.scope.split()),
            token_id=claims.jti,
            expires_at=claims.exp,
        )


def _private_key(state_dir: Path) -> ECKey:
    folder = state_dir / "keys"
    private, public = folder / "jwks.json", folder / "jwks.public.json"
    if not private.exists():
        fresh = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        files.create(private, msgspec.json.encode(KeySet([fresh]).as_dict(private=True)))
    text = private.read_bytes()
    keys = KeySet.import_key_set(msgspec.json.decode(text, type=KeySetSerialization))
    key = keys.keys[0]
    if not isinstance(key, ECKey):
        raise TypeError(f"{private}: the first key is no EC key; move the file away and mint new tokens")
    if not public.exists():
        files.create(public, msgspec.json.encode(keys.as_dict(private=False)), mode=0o644)
    return key
