"""A gateway on a free port, and small verbs for a client of it."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientResponse, ClientSession
from pydantic import SecretStr

import contexts
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.money import parse_price
from domain.market_data.marks import Board, MarkPrice
from domain.orders.commands import CreditCash
from gateways import docs, page, receipts, registry, server
from gateways.accounts import rest as accounts_rest
from gateways.auth import Doorkeeper
from gateways.billing import rest as billing_rest
from gateways.market_data import rest as market_data_rest
from gateways.onboarding import rest as onboarding_rest
from gateways.operations import live
from gateways.orders import rest as orders_rest
from gateways.orders import websocket
from gateways.partners import rest as partners_rest
from gateways.reconciliation import rest as reconciliation_rest
from gateways.risk import rest as risk_rest
from gateways.routes import Route, Services
from gateways.sockets import Sockets
from gateways.tenancy import Tenancy
from infra.avro.codec import Codec
from infra.clock import wall
from infra.fanout import Fanout
from infra.flow import Flow
from infra.kms.local import LocalKeys
from infra.kyc.inbox import Inbox
from infra.postgres import Database
from infra.probes import Probes
from infra.sealing import Vault
from infra.tokens import Mint, Scope, Verifier
from tests.kit.memory_bus import MemoryBus
from tests.kit.orders import may_trade

ROUTES: tuple[Route, ...] = (
    *orders_rest.ROUTES,
    *websocket.ROUTES,
    *accounts_rest.ROUTES,
    *market_data_rest.ROUTES,
    *risk_rest.ROUTES,
    *reconciliation_rest.ROUTES,
    *partners_rest.ROUTES,
    *billing_rest.ROUTES,
    *onboarding_rest.ROUTES,
    *receipts.ROUTES,
    *registry.ROUTES,
    *live.ROUTES,
)
EVENT_TOPICS = (
    "orders.events",
    "accounts.events",
    "risk.events",
    "billing.events",
    "onboarding.events",
    "partners.events",
    "reconciliation.events",
)
WEBHOOK_SECRET = SecretStr("planted-secret")
NOBODY_LISTENS = "postgresql://127.0.0.1:1/none"
TRADER = (Scope.TRADE, Scope.READ)


def mark_price(text: str) -> MarkPrice:
    """A symbol's prices, a cent around the last trade."""
    last = parse_price(text)
    return MarkPrice(bid=parse_price(text), ask=parse_price(text), last=last)


class FixedMarket:
    """A market that stands open at these prices."""

    def __init__(self, **prices: str) -> None:
        self._changed = asyncio.Condition()
        self._board = Board()
        if prices:
            self._board = self._at({symbol: mark_price(text) for symbol, text in prices.items()})

    def board(self) -> Board:
        """The newest prices."""
        return msgspec.structs.replace(self._board, observed_at=wall()) if self._board.sequence >= 0 else self._board

    async def changed(self, since: Board) -> Board:
        """The board, once a price has moved."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._board.sequence != since.sequence)
        return self.board()

    async def move(self, **prices: str) -> None:
        """Other prices on the next mark."""
        async with self._changed:
            self._board = self._at(self._board.prices | {symbol: mark_price(text) for symbol, text in prices.items()})
            self._changed.notify_all()

    def _at(self, prices: dict[str, MarkPrice]) -> Board:
        return Board(
            sequence=self._board.sequence + 1,
            market_time=Micros(1_330_966_800_000_000),
            session_date="2012-03-05",
            phase=Phase.OPEN,
            observed_at=wall(),
            prices=prices,
        )


class Feeds:
    """What doors wrote to feeds, in memory."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> int:
        """Keep one record."""
        self.sent.append((topic, key, value))
        return len(self.sent) - 1


class Client:
    """Speaks to one gateway with one token."""

    def __init__(self, session: ClientSession, url: str, token: str, account_id: str) -> None:
        self.session = session
        self.url = url
        self.token = token
        self.account_id = account_id

    def with_token(self, token: str) -> "Client":
        """The same door, somebody else."""
        return Client(self.session, self.url, token, self.account_id)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        raw: bytes | None = None,
        **headers: str,
    ) -> tuple[ClientResponse, Any]:
        """Send and read the answer; an empty key is a new one, None sends none; `{}` in the path is the account."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None and method != "GET":
            sent["Idempotency-Key"] = key or uuid.uuid4().hex
        data = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        path = path.replace("{}", self.account_id)
        async with self.session.request(method, self.url + path, data=data, headers=sent) as response:
            text = await response.read()
            return response, msgspec.json.decode(text) if "json" in response.content_type else text

    async def place(self, *, key: str = "", **changes: Any) -> tuple[ClientResponse, Any]:
        """Buy ten AAPL at 100 dollars, changed as said."""
        order = {"symbol": "AAPL", "side": "BUY", "kind": "LIMIT", "quantity": "10", "limit_price": "100.00"} | changes
        return await self.ask("POST", "/v1/accounts/{}/orders", order, key=key)


class Doors:
    """A gateway in this process over a bus in memory."""

    def __init__(self, codec: Codec, state_dir: Path, dsn: str = NOBODY_LISTENS) -> None:
        self.bus = MemoryBus(codec)
        self.fanout = Fanout()
        self.flow = Flow()
        self.bus.listen(self.flow.seen)
        self.bus.listen(self.fanout.seen)
        self.market = FixedMarket(AAPL="100.00", MSFT="30.00")
        self.mint = Mint(state_dir)
        self.database = Database(dsn)
        self.vault = Vault(LocalKeys(state_dir), state_dir / "vault")
        self.feeds = Feeds()
        self.services = Services(
            bus=self.bus,
            database=self.database,
            tenancy=Tenancy(self.database),
            codec=codec,
            fanout=self.fanout,
            market=self.market,
            sockets=Sockets(),
            event_topics=EVENT_TOPICS,
            clock=wall,
            vault=self.vault,
            inbox=Inbox(self.feeds, self.vault, codec, wall, WEBHOOK_SECRET),
            flow=self.flow,
            probes=Probes(),
        )
        self.verifier = Verifier(state_dir)
        self.url = ""

    def token(self, account_id: str, scopes: Sequence[Scope] = TRADER, tenant: str = "acme", ttl_s: int = 60) -> str:
        """A token for one account."""
        return self.mint.mint(tenant=tenant, sub="ann", account_id=account_id, scopes=scopes, ttl_s=ttl_s)

    def fund(self, account_id: str, cents: int = 10_000_000) -> None:
        """What sagas do after an account was opened and cash came in."""
        for command in may_trade():
            self.bus.as_saga("orders", account_id, command)
        self.bus.as_saga("orders", account_id, CreditCash(deposit_id=uuid.uuid4().hex, amount=cents))  # type: ignore[arg-type]  # plain values

    @contextlib.asynccontextmanager
    async def open(self, requests_per_second_max: int = 1_000) -> AsyncIterator[Client]:
        """The door, and a trader before it whose account may trade."""
        doorkeeper = Doorkeeper(self.verifier, requests_per_second_max)
        app = server.application(ROUTES, self.services, doorkeeper, lambda: (True, "in memory"))
        app.add_routes([*docs.routes(ROUTES, tuple(contexts.carried())), *page.routes()])
        runner = await server.serve(app, "127.0.0.1", 0)
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        account_id = f"account-{uuid.uuid4().hex[:8]}"
        self.fund(account_id)
        try:
            async with ClientSession() as session:
                yield Client(session, self.url, self.token(account_id), account_id)
        finally:
            await self.services.sockets.close()
            await runner.cleanup()
            await self.database.close()
