"""Tokens and the keys behind them."""

import json
import stat
import threading
import time
from pathlib import Path

import pytest
from joserfc import jws

from infra import tokens
from infra.tokens import Mint, Scope, TokenRefused, Verifier


def minted(mint: Mint, ttl_s: int = 60) -> str:
    return mint.mint(tenant="acme", sub="ann", account_id="a1", scopes=[Scope.READ, Scope.TRADE], ttl_s=ttl_s)


def test_names_the_caller_that_was_minted(tmp_path: Path) -> None:
    caller = Verifier(tmp_path).verify(minted(Mint(tmp_path)))
    assert (caller.tenant, caller.sub, caller.account, sorted(caller.scopes)) == (
        "acme",
        "ann",
        "a1",
        ["read", "trade"],
    )
    assert caller.actor == "sub:ann"


def test_keeps_the_private_key_from_others_and_the_public_one_apart(tmp_path: Path) -> None:
    Mint(tmp_path)
    private, public = tmp_path / "keys" / "jwks.json", tmp_path / "keys" / "jwks.public.json"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b'"d"' in private.read_bytes()
    assert b'"d"' not in public.read_bytes()


def test_makes_its_keys_once_however_many_start_together(tmp_path: Path) -> None:
    threads = [threading.Thread(target=Mint, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Verifier(tmp_path).verify(minted(Mint(tmp_path)))
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["jwks.json", "jwks.public.json"]


def test_refuses_a_token_that_has_expired_also_when_it_was_good_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier, token = Verifier(tmp_path), minted(Mint(tmp_path))
    verifier.verify(token)
    later = time.time() + 60 + tokens.LEEWAY_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenRefused):
        verifier.verify(token)


def test_allows_clocks_to_be_a_little_apart(tmp_path: Path) -> None:
    Verifier(tmp_path).verify(minted(Mint(tmp_path), ttl_s=-tokens.LEEWAY_S + 2))


def test_refuses_keys_of_another_installation(tmp_path: Path) -> None:
    with pytest.raises(TokenRefused):
        Verifier(tmp_path / "here").verify(minted(Mint(tmp_path / "there")))


def test_claims_that_our_key_signed_and_nobody_can_reckon_with_are_refused(tmp_path: Path) -> None:
    """A key set is a file: whoever else signs with it must not bring the gateway down."""
    mint, verifier = Mint(tmp_path), Verifier(tmp_path)
    claims = {"iss": "tapeline", "aud": "tapeline", "tenant": "acme", "sub": "ann", "account": "a1", "scope": "read"}
    whole = claims | {"jti": "1", "nbf": 0, "exp": 2**40}
    assert verifier.verify(_signed(mint, json.dumps(whole).encode())).tenant == "acme"
    for body in (json.dumps(whole | {"exp": 10**400}).encode(), b"[" * 1_300 + b"]" * 1_300):
        with pytest.raises(TokenRefused):
            verifier.verify(_signed(mint, body))


def _signed(mint: Mint, body: bytes) -> str:
    return jws.serialize_compact({"alg": tokens.ALGORITHM, "kid": mint._key.kid}, body, mint._key)
