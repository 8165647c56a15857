"""Who may do what: every wrong token gets one answer, every other account the answer of a missing one."""

import base64
import json

import pytest

from gateways.auth import TOKEN_SUBPROTOCOL
from infra.tokens import AUDIENCE, ISSUER, Mint, Scope
from tests.kit.doors import Client, Doors


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["account"] = "victim"
    return ".".join((head, base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), signature))


def unsigned(account_id: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "tenant": "acme",
        "sub": "x",
        "account": account_id,
        "scope": "trade read",
        "jti": "1",
        "exp": 9_999_999_999,
        "nbf": 0,
    }
    return f"{part({'alg': 'none'})}.{part(claims)}."


async def test_gives_one_answer_to_every_token_that_is_no_good(
    trader: Client, doors: Doors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = Mint(tmp_path_factory.mktemp("elsewhere"))
    mine = trader.account_id
    forged = elsewhere.mint(tenant="acme", sub="ann", account_id=mine, scopes=[Scope.READ], ttl_s=60)
    bad = ["", "x", "a.b.c", forged, tampered(trader.token), unsigned(mine), doors.token(mine, ttl_s=-60), "x" * 8_000]
    answers = []
    for token in bad:
        response, problem = await trader.with_token(token).ask("GET", "/v1/quotes")
        assert response.status == 401, token
        answers.append((problem, response.headers["WWW-Authenticate"]))
    assert all(answer == answers[0] for answer in answers)
    assert not doors.bus.sent


async def test_answers_anothers_account_as_a_missing_one(trader: Client, doors: Doors) -> None:
    body = {"symbol": "AAPL", "side": "BUY", "kind": "MARKET", "quantity": "1"}
    for path in ("/v1/accounts/other/orders", "/v1/accounts/missing/orders"):
        for method, sent in (("POST", body), ("GET", None)):
            response, problem = await trader.ask(method, path, sent)
            assert response.status == 404
            assert problem["detail"] == "There is nothing of yours here."
    assert not doors.bus.sent


async def test_needs_the_scope_of_the_route(trader: Client, doors: Doors) -> None:
    reader = trader.with_token(doors.token(trader.account_id, [Scope.READ]))
    response, problem = await reader.place()
    assert response.status == 403
    assert "trade" in problem["detail"]
    response, _ = await trader.ask("POST", "/v1/accounts/{}/halt", {"reason": "test"})
    assert response.status == 403
    assert not doors.bus.sent


async def test_moves_nothing_of_an_account_that_the_token_only_oversees(trader: Client, doors: Doors) -> None:
    operator = trader.with_token(doors.token("*", list(Scope)))
    response, _ = await operator.place()
    assert response.status == 404
    assert not doors.bus.sent


async def test_limits_how_often_a_token_may_ask(doors: Doors) -> None:
    async with doors.open(requests_per_second_max=5) as trader:
        answers = [await trader.ask("GET", "/v1/quotes") for _ in range(12)]
        limited = [response for response, _ in answers if response.status == 429]
        assert limited
        assert limited[0].headers["Retry-After"] == "1"
        other = trader.with_token(doors.token(trader.account_id))
        response, _ = await other.ask("GET", "/v1/quotes")
        assert response.status == 200


async def test_takes_a_token_as_a_password_and_as_a_subprotocol(trader: Client) -> None:
    basic = base64.b64encode(f"token:{trader.token}".encode()).decode()
    response, _ = await trader.with_token("").ask("GET", "/subjects", Authorization=f"Basic {basic}")
    assert response.status == 200
    response, _ = await trader.with_token("").ask("GET", "/subjects", Authorization="Basic !!!")
    assert response.status == 401
    response, _ = await trader.with_token("").ask(
        "GET", "/v1/quotes", Sec_WebSocket_Protocol=f"tapeline.v1, {TOKEN_SUBPROTOCOL}{trader.token}"
    )
    assert response.status == 200
