"""GET /v1/audit/…: the newest checkpoint, the tiles behind it, and a proof for a record that the caller may see."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import Field

from domain.audit import bundle
from domain.audit.checkpoint import TreeName
from domain.audit.merkle import ProofRefused
from domain.audit.tiles import WIDTH, Tile, tile_of
from domain.kernel.messages import Recorded
from gateways.audit.evidence import Evidence, EvidenceMissing
from gateways.http import Query
from gateways.problems import Problem, not_found
from gateways.routes import Call, Route, may_see
from infra.audit_files import AuditDamaged
from infra.tokens import Caller, Scope
from projections.audit.forest import EVENTS

NOTE_TYPE = "text/plain"
TILE_TYPE = "application/octet-stream"
FULL_TILE_CACHE = "public, max-age=31536000, immutable"
"""A full tile never changes."""


class ProofQuery(Query):
    """Which record: `sequence` is its place in the partition, from 0."""

    topic: str = Field(max_length=249)
    partition: int = Field(ge=0)
    sequence: int = Field(ge=0)


def routes(evidence: Callable[[], Evidence], decode: Callable[[bytes], Recorded[Any]]) -> tuple[Route, ...]:
    """The rows of the audit's routes; `decode` is the codec's `decode_event`.

    `evidence` is asked for when somebody wants it: whoever only describes the routes has no installation to look at.
    """

    async def checkpoint(_call: Call, _asked: None) -> web.Response:
        return web.Response(text=_newest(evidence()), content_type=NOTE_TYPE, headers={"Cache-Control": "no-cache"})

    async def tile(call: Call, _asked: None) -> web.Response:
        name, found = _tile(call)
        try:
            data = evidence().files.tile(name, found)
        except AuditDamaged as missing:
            raise not_found() from missing
        headers = {"Cache-Control": FULL_TILE_CACHE} if found.width == WIDTH else {}
        return web.Response(body=data, content_type=TILE_TYPE, headers=headers)

    async def proof(call: Call, asked: ProofQuery) -> web.Response:
        _newest(evidence())
        try:
            made = await evidence().proof_at(TreeName(asked.topic, asked.partition), asked.sequence)
        except EvidenceMissing as missing:
            raise not_found() from missing
        except ProofRefused as refused:
            # nosemgrep: error-told-to-the-outside  # our own sentence, which names the place of the damage
            raise Problem(
                500, "evidence-damaged", str(refused), remedy="Keep the answer and tell the operator."
            ) from refused
        if not _may_see(call.caller, made, decode):
            raise not_found()
        return web.Response(body=bundle.to_json(made), content_type="application/json")

    return (
        Route(
            method="GET",
            path="/v1/audit/checkpoint",
            handler=checkpoint,
            scope=Scope.AUDIT,
            summary="The newest signed checkpoint of the tape.",
            answers={200: str, 404: None},
        ),
        Route(
            method="GET",
            path="/v1/audit/tiles/{topic}/{partition}/{tile:.+}",
            handler=tile,
            scope=Scope.AUDIT,
            summary="A tile of hashes, named as in C2SP tlog-tiles.",
            answers={200: bytes, 404: None},
        ),
        Route(
            method="GET",
            path="/v1/audit/proofs",
            handler=proof,
            scope=Scope.AUDIT,
            query=ProofQuery,
            summary="A record with everything that proves it.",
            answers={200: bundle.Bundle, 404: None},
        ),
    )


def _newest(evidence: Evidence) -> str:
    try:
        return evidence.newest()
    except EvidenceMissing as missing:
        raise Problem(
            404, "nothing-signed", "No checkpoint was signed yet.", remedy="Ask again in a second."
        ) from missing


def _tile(call: Call) -> tuple[TreeName, Tile]:
    partition, topic = call.request.match_info["partition"], call.request.match_info["topic"]
    found = tile_of(call.request.match_info["tile"])
    # Names come from outside and become a path: whatever is not a plain topic, number and tile is not there.
    if found is None or not partition.isdecimal() or not topic.replace(".", "").replace("_", "").isalnum():
        raise not_found()
    return TreeName(topic, int(partition)), found


def _may_see(caller: Caller, made: bundle.Bundle, decode: Callable[[bytes], Recorded[Any]]) -> bool:
    """An event names its tenant; a feed's message does not, so it is shown to the token of its very account."""
    account_id = made.key.decode("utf-8", "replace")
    if not made.topic.endswith(EVENTS):
        return caller.account == account_id
    return decode(made.value).tenant == caller.tenant and may_see(caller, account_id)
