"""The routes give auditors what is signed, and nobody a record of somebody else's."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from domain.audit import merkle, note
from domain.audit.checkpoint import Checkpoint, TreeName
from domain.audit.tiles import Tile, hashes_of
from gateways.audit import rest, verify
from gateways.audit.evidence import Evidence
from gateways.auth import Doorkeeper
from gateways.routes import Services
from gateways.server import application
from infra import audit_key
from infra.audit_files import AuditFiles
from infra.tokens import EVERY_ACCOUNT, Mint, Scope, Verifier
from tests.projections.audit.signing import filled, read_all
from tests.projections.audit.tape import MESSAGES, ORDERS, TENANT, Tape, decode

Client = TestClient[web.Request, web.Application]
ORDERS_0 = TreeName(ORDERS, 0)


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    tape = filled(Tape(), 400)
    read_all(tmp_path, tape)
    return tape


@pytest.fixture
async def client(tmp_path: Path, tape: Tape) -> AsyncIterator[Client]:
    evidence = Evidence(AuditFiles(tmp_path), audit_key.verifier(tmp_path), lambda: tape)
    no_services = cast("Services", None)  # The audit's routes use none of them.
    routes = rest.routes(lambda: evidence, decode)
    app = application(routes, no_services, Doorkeeper(Verifier(tmp_path)), lambda: (True, ""))
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
def bearer(tmp_path: Path) -> Callable[..., dict[str, str]]:
    def made(scope: Scope = Scope.AUDIT, tenant: str = TENANT, account: str = EVERY_ACCOUNT) -> dict[str, str]:
        token = Mint(tmp_path).mint(tenant=tenant, sub="ann", account_id=account, scopes=[scope], ttl_s=60)
        return {"Authorization": f"Bearer {token}"}

    return made


Bearer = Callable[..., dict[str, str]]


async def signed(client: Client, bearer: Bearer, tmp_path: Path) -> Checkpoint:
    answer = await client.get("/v1/audit/checkpoint", headers=bearer())
    assert answer.status == 200
    return Checkpoint.parse(note.verified(await answer.text(), audit_key.verifier(tmp_path)))


async def test_the_checkpoint_and_the_tiles_agree(client: Client, bearer: Bearer, tmp_path: Path) -> None:
    head = (await signed(client, bearer, tmp_path)).head(ORDERS_0)
    leaves: list[bytes] = []
    for tile in (Tile(0, 0, 256), Tile(0, 1, head.size - 256)):
        answer = await client.get(f"/v1/audit/tiles/{ORDERS}/0/{tile.path()}", headers=bearer())
        assert answer.status == 200
        assert ("immutable" in answer.headers.get("Cache-Control", "")) == (tile.width == 256)
        leaves += hashes_of(await answer.read())
    assert merkle.Frontier().append(leaves).root() == head.root


def asked(**changes: Any) -> dict[str, str]:
    return {name: str(value) for name, value in {"topic": ORDERS, "partition": 0, "sequence": 7, **changes}.items()}


async def test_a_proof_verifies_offline(client: Client, bearer: Bearer, tmp_path: Path) -> None:
    answer = await client.get("/v1/audit/proofs", params=asked(), headers=bearer())
    assert answer.status == 200
    shown = verify.verify(await answer.json(), audit_key.verifier(tmp_path).vkey())
    assert (shown["topic"], shown["index"]) == (ORDERS, 7)


@pytest.mark.parametrize(
    ("who", "what", "status"),
    [
        ({"scope": Scope.TRADE}, {}, 403),
        ({"tenant": "rival"}, {}, 404),
        ({"account": "acc-2"}, {}, 404),
        ({"account": "acc-1"}, {}, 200),
        ({}, {"topic": MESSAGES}, 404),
        ({"account": "acc-1"}, {"topic": MESSAGES}, 200),
        ({}, {"sequence": 100_000}, 404),
        ({}, {"partition": 9}, 404),
        ({}, {"topic": "nothing.events"}, 404),
        ({}, {"sequence": -1}, 400),
        ({}, {"sequence": "first"}, 400),
    ],
)
async def test_a_proof_is_for_those_who_may_see_the_record(
    client: Client, bearer: Bearer, who: dict[str, Any], what: dict[str, Any], status: int
) -> None:
    answer = await client.get("/v1/audit/proofs", params=asked(**what), headers=bearer(**who))
    assert answer.status == status


async def test_a_record_that_was_changed_gets_no_proof(client: Client, bearer: Bearer, tape: Tape) -> None:
    tape.logs[ORDERS_0][7] = msgspec.structs.replace(tape.logs[ORDERS_0][7], key=b"acc-2")
    answer = await client.get("/v1/audit/proofs", params=asked(), headers=bearer())
    assert answer.status == 500
    assert "is not the one that was signed as leaf 7" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "orders.events/0/0/000.p/999",
        "orders.events/0/0/999",
        "orders.events/0/../../keys/audit.key",
        "..%2f..%2fkeys/0/0/000",
        "%2e%2e/0/0/000",
        "orders.events/zero/0/000",
        "orders.events/0/offsets",
    ],
)
async def test_no_path_leads_to_anything_but_a_tile(client: Client, bearer: Bearer, path: str) -> None:
    answer = await client.get(f"/v1/audit/tiles/{path}", headers=bearer())
    assert answer.status == 404


async def test_without_a_token_nothing_is_shown(client: Client) -> None:
    for path in ("checkpoint", "proofs", f"tiles/{ORDERS}/0/0/000"):
        assert (await client.get(f"/v1/audit/{path}")).status == 401
