"""F27: ids of another tenant at every door: the very answer of an id that nobody has, and not a byte of the other's.

Every route of the published contract, every combination of own, another's and unknown ids in its path, as a trader, as
one who oversees the whole tenant, and as a partner; then pages after another's keys, cursors of another's streams, and
subscriptions and orders over the socket. The controls: own ids are served, and the other tenant is served its own.
"""

import asyncio
import contextlib
import itertools
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, WSMsgType

import main
from deploy.local.postgres import LocalPostgres
from gateways import cursor, openapi, server
from gateways.audit.evidence import Evidence
from gateways.auth import Doorkeeper
from infra import audit_key
from infra.audit_files import AuditFiles
from infra.avro.codec import Codec
from infra.tokens import Scope
from tests.faults.inputs.trials import Trial, Tried
from tests.faults.inputs.two_tenants import OURS, THEIRS, Heard, Tenant, shown
from tests.kit.doors import EVENT_TOPICS, Doors
from tests.projections.audit.tape import Tape as MemoryTape
from tests.projections.hosting import projector_of

ANSWER_WAIT_S = 60.0
UNKNOWN = "absent"
EVERY_ACCOUNT = "*"
PUBLIC = {"symbol": "AAPL", "subject": "x", "version": "1", "id": "1", "topic": "x", "partition": "0", "tile": "0/000"}
"""Path parameters that are no tenant's."""
RATES = {"begins_on": "2012-01-01", "per_share": "0.01", "basis_points": "0", "minimum": "0"}
PERSON = {"first_name": "A", "last_name": "B", "date_of_birth": "1980-01-01"}
BODIES: dict[str, Any] = {
    "PlaceOrderBody": {"symbol": "AAPL", "side": "BUY", "kind": "MARKET", "quantity": "1"},
    "ReplaceOrderBody": {"quantity": "1", "limit_price": "100.00"},
    "TransferBody": {"amount": "1.00"},
    "ReasonBody": {"reason": "test"},
    "KycCheckBody": PERSON,
    "ExpireBody": {"cause": "test"},
    "InvoiceBody": {"month": "2012-03"},
    "ChangeSubscriptionBody": {"reason": "test"},
    "CreateSubscriptionBody": {"label": "x", "contexts": ["orders"]},
    "PriceListBody": {"rows": [RATES], "reason": "x"},
    "LimitsBody": {
        "order_notional_max": "1.00",
        "gross_exposure_max": "1.00",
        "orders_per_minute_max": 1,
        "reason": "x",
    },
}

Answer = tuple[int, dict[str, str], bytes]
MOVING = {"Date", "Content-Length", "Location", "Tape-Position"}


class Asked(msgspec.Struct, frozen=True):
    """One request, and the one of unknown ids that must be answered alike; or none, when only bytes are looked at."""

    who: str
    method: str
    path: str
    like: str
    body: Any = None

    @property
    def name(self) -> str:
        """As a finding names it."""
        return f"{self.method} {self.path} as {self.who}"


class Installation:
    """The gateway over a real database and a bus in memory, and both tenants in it."""

    def __init__(self, codec: Codec, folder: Path, dsn: str) -> None:
        self.doors = Doors(codec, folder, dsn)
        self.codec = codec
        self.ours, self.theirs = Tenant(OURS), Tenant(THEIRS)
        self.unknown = Tenant(UNKNOWN)
        verifier = audit_key.signer(folder).verifier
        self.routes = main.routes(lambda: Evidence(AuditFiles(folder), verifier, MemoryTape))
        self.url = ""

    def token(self, who: str, tenant: Tenant) -> str:
        """A trader's, an overseer's or a partner's."""
        named = {"trader": tenant.ids["account_id"], "partner": tenant.ids["subscription_id"]}
        return self.doors.token(named.get(who, EVERY_ACCOUNT), list(Scope), tenant=tenant.name, ttl_s=3_600)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[ClientSession]:
        """Both stories told, the gateway open."""
        heard = Heard()
        self.doors.bus.listen(heard.take)
        for tenant in (self.ours, self.theirs):
            tenant.story(self.doors)
        self._heard, self._projector = heard, await projector_of(self.doors.database, self.codec, main.models())
        await self.catch_up()
        keeper = Doorkeeper(self.doors.verifier, 10**9)
        runner = await server.serve(
            server.application(self.routes, self.doors.services, keeper, lambda: (True, "")), "127.0.0.1", 0
        )
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            async with ClientSession() as session:
                yield session
        finally:
            await self.doors.services.sockets.close()
            await runner.cleanup()
            await self.doors.database.close()

    async def catch_up(self) -> None:
        """The read models follow what was decided, as the projector's process does."""
        if self._heard.arrived:
            arrived, self._heard.arrived = self._heard.arrived, []
            await self._projector.take(self._projector.decoded(arrived), is_more=False)

    async def ask(self, session: ClientSession, who: str, method: str, path: str, body: Any, tenant: Tenant) -> Answer:
        """One answer; of a stream only its head."""
        headers = {"Authorization": f"Bearer {self.token(who, tenant)}", "Idempotency-Key": uuid.uuid4().hex}
        sent = None if method in {"GET", "DELETE"} else body if body is not None else {}
        await self.catch_up()
        async with asyncio.timeout(ANSWER_WAIT_S):
            async with session.request(method, self.url + path, json=sent, headers=headers) as response:
                told = {name: value for name, value in response.headers.items() if name not in MOVING}
                if response.content_type == "text/event-stream":
                    response.close()
                    return response.status, told, b""
                return response.status, told, await response.read()

    def requests(self) -> Iterator[Asked]:
        """All that are tried over HTTP."""
        for route in self.routes:
            if route.is_signed or route.path == "/v1/stream":
                continue
            body = BODIES.get(route.body.__name__) if route.body is not None else None
            names = [name for name in re.findall(r"\{(\w+)[^}]*\}", route.path) if name not in PUBLIC]
            for who in ("trader", "overseer", "partner"):
                for chosen in itertools.product((self.ours, self.theirs, self.unknown), repeat=len(names)):
                    if self.theirs in chosen:
                        like = [self.unknown if each is self.theirs else each for each in chosen]
                        path, alike = filled(route.path, names, chosen), filled(route.path, names, like)
                        yield Asked(who, route.method, path, alike, body)
                if route.query is not None and "after" in route.query.model_fields:
                    path = filled(route.path, names, [self.ours] * len(names))
                    for value in self.theirs.ids.values():
                        yield Asked(who, route.method, f"{path}?after={value}", "", body)
        theirs, absent = self.theirs.ids["subscription_id"], self.unknown.ids["subscription_id"]
        stream = f"/v1/partners/subscriptions/{self.ours.ids['subscription_id']}/stream?until=now&cursor="
        for tenant, subscription in itertools.product((self.theirs.name, self.ours.name), (theirs, "")):
            foreign = self.cursor(tenant, subscription or self.theirs.ids["account_id"])
            yield Asked("partner", "GET", stream + foreign, stream + self.cursor(self.ours.name, absent))
        for what, sent in itertools.product(("command_id", "order_id"), ("", f"?sent={self.cursor('', '')}")):
            own = f"/v1/accounts/{self.ours.ids['account_id']}/receipts/"
            yield Asked("trader", "GET", own + self.theirs.ids[what] + sent, own + self.unknown.ids[what] + sent)

    def cursor(self, tenant: str, name: str) -> str:
        """A cursor at the beginning of every partition; of nobody's stream without a name."""
        places = {(topic, number): -1 for topic in EVENT_TOPICS for number in range(4)}
        return cursor.encode(places, cursor.owner(tenant, name) if name else b"")


def filled(path: str, names: list[str], chosen: Any) -> str:
    """The path with these tenants' ids in it."""
    ids = dict(PUBLIC) | {name: tenant.ids[name] for name, tenant in zip(names, chosen, strict=True)}
    return re.sub(r"\{(\w+)[^}]*\}", lambda match: ids[match[1]], path)


async def run(count: int, seed: int, codec: Codec) -> Tried:
    """So many requests of all, in order."""
    tried = Tried("F27")
    with tempfile.TemporaryDirectory(prefix="trespassing-") as folder:
        database = LocalPostgres(Path(folder) / "postgres")
        database.start()
        try:
            installation = Installation(codec, Path(folder), database.dsn)
            async with installation.open() as session:
                await _control(installation, session)
                sent = len(installation.doors.bus.sent)
                for number, asked in enumerate(itertools.islice(installation.requests(), count)):
                    why = await _compared(installation, session, asked)
                    tried.kinds[f"{asked.method} {asked.path.partition('?')[0]}"] += 1
                    if why:
                        tried.broke(asked.name, Trial(number, seed), why)
                tried.operations["over HTTP"] = tried.count
                await _over_the_socket(installation, session, tried, seed)
                for issued in installation.doors.bus.sent[sent:]:
                    if issued.stream_id.startswith(THEIRS):
                        tried.broke("all", Trial(0, seed), f"a command was sent to {issued.stream_id}")
        finally:
            database.discard()
    return tried


async def _control(installation: Installation, session: ClientSession) -> None:
    """Each tenant is served what is its own at every door that reads."""
    for tenant in (installation.ours, installation.theirs):
        for route in installation.routes:
            names = [name for name in re.findall(r"\{(\w+)[^}]*\}", route.path) if name not in PUBLIC]
            if route.method != "GET" or not names:
                continue
            path = filled(route.path, names, [tenant] * len(names))
            who = "partner" if "subscription_id" in names else "trader"
            status, _, body = await installation.ask(session, who, "GET", path, None, tenant)
            assert status == 200, f"{path}: its own tenant is answered {status}: {shown(body)}"


async def _compared(installation: Installation, session: ClientSession, asked: Asked) -> str:
    """Why the answer tells something; empty when it is that of an unknown id."""
    ours = installation.ours
    status, headers, body = await installation.ask(session, asked.who, asked.method, asked.path, asked.body, ours)
    for their_id, unknown_id in zip(installation.theirs.ids.values(), installation.unknown.ids.values(), strict=True):
        if their_id in asked.path:  # What was asked for may be said again.
            body = body.replace(their_id.encode(), unknown_id.encode())
    if THEIRS.encode() in body or any(THEIRS in value for value in headers.values()):
        return f"answered {status} with bytes of the other tenant: {shown(body)}"
    if status >= 500:
        return f"answered {status}: {shown(body)}"
    if not asked.like:
        return ""
    unknown = await installation.ask(session, asked.who, asked.method, asked.like, asked.body, ours)
    if (status, headers, body) == unknown:
        return ""
    return f"answered {status} {shown(body)}, an unknown id {unknown[0]} {shown(unknown[2])}"


async def _over_the_socket(installation: Installation, session: ClientSession, tried: Tried, seed: int) -> None:
    """Subscriptions and orders: what the socket says of another's id is what it says of an unknown one."""
    order = BODIES["PlaceOrderBody"]

    def said(tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
        ids, own = tenant.ids, installation.ours.ids
        wish = {"request_id": "r", "idempotency_key": f"key-{tenant.mark}", "account_id": ids["account_id"]}
        start = {"type": "subscribe", "accounts": [own["account_id"]]}
        foreign = installation.cursor(tenant.name, ids["account_id"])
        return {
            "follow another's account": [{"type": "subscribe", "accounts": [ids["account_id"]]}],
            "follow both": [{"type": "subscribe", "accounts": [own["account_id"], ids["account_id"]]}],
            "another's cursor": [start | {"cursor": foreign}],
            "place for another": [start, wish | {"type": "place", "order": order}],
            "cancel another's order": [start, wish | {"type": "cancel", "order_id": ids["order_id"]}],
            "cancel another's order as one's own": [
                start,
                wish | {"type": "cancel", "order_id": ids["order_id"], "account_id": own["account_id"]},
            ],
        }

    theirs, unknown = said(installation.theirs), said(installation.unknown)
    for number, (name, who) in enumerate(itertools.product(theirs, ("trader", "overseer"))):
        answers = [await _heard(installation, session, who, frames[name]) for frames in (theirs, unknown)]
        tried.kinds[f"socket: {name}"] += 1
        if THEIRS in answers[0] or answers[0] != answers[1]:
            tried.broke(f"socket: {name} as {who}", Trial(number, seed), f"{answers[0]}, an unknown id {answers[1]}")
    tried.operations["over the socket"] = len(theirs) * 2


async def _heard(installation: Installation, session: ClientSession, who: str, frames: list[dict[str, Any]]) -> str:
    """What the socket says to these messages that is no news of the market: refusals, and how it ends."""
    headers = {"Authorization": f"Bearer {installation.token(who, installation.ours)}"}
    heard = []
    async with session.ws_connect(installation.url + "/v1/stream", headers=headers) as socket:
        for frame in frames:
            await socket.send_json(frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WAIT_S):
                async for message in socket:
                    if message.type is WSMsgType.TEXT and message.json()["type"] in {"refused", "done", "error"}:
                        heard.append(message.data)
                        if len(heard) == len(frames) - 1:
                            break
    return f"{heard} {socket.close_code if len(frames) == 1 else ''}"


def described(installation: Installation) -> set[str]:
    """Every path of the published contract: none may be missing among those that are tried."""
    return set(openapi.document(installation.routes)["paths"])
