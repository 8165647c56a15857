"""A row per route, and what its handler is given: the gateway does the same five things before every one of them.

Who is calling, how often, for which account, with which key, and does the body keep its rules: `gateways/server.py`
asks these in one place, so that a handler has its four moves left: parse, make command, send, answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel

from domain.kernel.ids import Symbol, derived
from domain.kernel.market import Market
from domain.kernel.messages import Command, Issued
from domain.market_data.marks import Board
from gateways import cursor, tracing
from gateways.problems import Problem, unavailable
from gateways.sockets import Sockets
from gateways.tenancy import Tenancy
from gateways.views import shown
from infra.avro.codec import Codec
from infra.bus import RETRY_AFTER_S, Answer, CommandBus, Pending
from infra.clock import Clock
from infra.fanout import Fanout
from infra.flow import Flow
from infra.kyc.inbox import Inbox
from infra.postgres import Database
from infra.probes import Probes
from infra.sealing import Vault
from infra.settings import ANSWER_WAIT_MS
from infra.telemetry import concerns
from infra.tokens import EVERY_ACCOUNT, Caller, Scope

C = TypeVar("C", bound=Command)
RESPOND_ASYNC = "respond-async"
"""What `Prefer` says when a client wants a receipt instead of waiting (RFC 7240)."""
Handler = Callable[["Call", Any], Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route: `body` or `query` is the model its handler is given, `answers` what may come back, by status.

    A route that `is_signed` asks for no token: its handler checks the signature of whoever is outside.
    A route that streams `says` these messages, and a websocket `hears` those.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: Scope | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answers: dict[int, Any] = {}
    needs_key: bool = False
    is_signed: bool = False
    says: tuple[type, ...] = ()
    hears: tuple[type, ...] = ()

    @property
    def name(self) -> str:
        """Method and path: the route as command ids, metrics and the contract name it."""
        return f"{self.method} {self.path}"


class MarketView(Protocol):
    """The newest prices, and the next ones."""

    def board(self) -> Board:
        """The board as it is."""
        ...

    async def changed(self, since: Board) -> Board:
        """The board, once it is another one than this."""
        ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the doors of one gateway share."""

    bus: CommandBus
    database: Database
    codec: Codec
    fanout: Fanout
    market: MarketView
    sockets: Sockets
    event_topics: tuple[str, ...]
    clock: Clock
    flow: Flow
    probes: Probes
    vault: Vault
    inbox: Inbox
    tenancy: Tenancy


class Admits(Protocol):
    """The doorkeeper, as far as a handler needs it that lets many requests in."""

    def count(self, caller: Caller) -> None:
        """One more request of this token. Raises Problem: 429."""
        ...

    def admit(self, caller: Caller, route: Route, account_id: str | None) -> None:
        """Let the caller in, or raise Problem: 403 or 404."""
        ...


class ReceiptStatus(StrEnum):
    """How far a command has come."""

    PENDING = "PENDING"
    DECIDED = "DECIDED"
    SET_ASIDE = "SET_ASIDE"


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """PENDING while the command waits, then DECIDED with the event: the fact or the refusal.

    SET_ASIDE: its decider went on without deciding it, because it came too late to be told from a repeat or cannot be
    read; it stands among the dead letters.
    """

    command_id: str
    status: ReceiptStatus
    event: dict[str, str] | None = None
    detail: str | None = None


class Call:
    """One request whose token, account, key and body were checked."""

    def __init__(  # noqa: PLR0913  what is known of a request before its handler runs
        self,
        request: web.Request,
        route: Route,
        services: Services,
        caller: Caller,
        key: str,
        doors: "Admits",
        path: Mapping[str, str] | None = None,
    ) -> None:
        self.request = request
        self.route = route
        self.services = services
        self.caller = caller
        self.key = key
        self.doors = doors
        self.path = request.match_info if path is None else path
        self.trace = tracing.traceparent_of(request)

    @property
    def account_id(self) -> str:
        """The account in the path; where the path names none it is the token's own."""
        return self.path.get("account_id", self.caller.account)

    def end_of_token(self) -> float:
        """When the caller's token ends, by the clock of the event loop: a stream ends with it."""
        return asyncio.get_running_loop().time() + max(0.0, self.caller.expires_at - time.time())

    @property
    def asks_for_a_receipt(self) -> bool:
        """Whether the client prefers not to wait for the decision."""
        preferences = self.request.headers.getall("Prefer", [])
        return any(part.strip().lower() == RESPOND_ASYNC for each in preferences for part in each.split(","))

    @property
    def command_id(self) -> str:
        """The id of this request's command: the same for a repeat with the same key."""
        return derived(self.caller.tenant, self.account_id, self.route.name, self.key)

    def market(self, symbol: Symbol) -> Market:
        """The symbol's market as the marks last told it. Raises Problem for a symbol that they never named."""
        board = self.services.market.board()
        if board.sequence < 0:
            raise unavailable("no-market", "No mark of the market has been seen yet.", "Repeat with the same key.")
        market = board.market(symbol)
        if market is None:
            raise Problem(
                422,
                "unknown-symbol",
                f"`symbol`: {symbol} is not traded here.",
                field="symbol",
                reason="UNKNOWN_SYMBOL",
                remedy="Choose one of GET /v1/quotes.",
            )
        return market

    async def decide(self, context: str, command: C, *, command_id: str = "", stream_id: str = "") -> Answer:
        """Send the command as this caller's and wait for its decision. Raises Problem, Pending and what the bus raises.

        The stream is that of the account, unless another is named.
        """
        command_id, stream_id = command_id or self.command_id, stream_id or self.account_id
        await self.services.tenancy.admit(self.caller.tenant, stream_id)
        stamped = msgspec.structs.replace(command, at=self.services.clock(), actor=self.caller.actor)
        correlation_id = tracing.trace_id(tracing.traceparent_of(self.request)) or command_id
        concerns(correlation_id=correlation_id, command_id=command_id)
        issued = Issued(
            command=stamped,
            command_id=command_id,
            tenant=self.caller.tenant,
            stream_id=stream_id,
            causation_id=command_id,
            correlation_id=correlation_id,
        )
        wait_ms = 0 if self.asks_for_a_receipt else ANSWER_WAIT_MS
        return await self.services.bus.send(context, issued, wait_ms, traceparent=self.trace)


def is_own(caller: Caller, account_id: str) -> bool:
    """The token names this account."""
    return caller.account == account_id


def may_see(caller: Caller, account_id: str) -> bool:
    """The token names this account, or all accounts of its tenant; queries are bound to the tenant besides."""
    return caller.account in (account_id, EVERY_ACCOUNT)


def position_of(answer: Answer) -> dict[str, str]:
    """The header that names where the decision stands, to be sent back with a read that must reflect it."""
    return {"Tape-Position": cursor.encode({(answer.topic, answer.partition): answer.recorded.sequence})}


def receipt_path(account_id: str, command_id: str) -> str:
    """Where the decision on a command can be asked for later."""
    return f"/v1/accounts/{account_id}/receipts/{command_id}"


def receipt(call: Call, pending: Pending) -> web.Response:
    """The command stands on its topic; its decision has to be asked for, and the address says where it stands."""
    topic, partition, offset = pending.sent
    sent = cursor.encode({(topic, partition): offset})
    location = f"{receipt_path(call.account_id, pending.command_id)}?sent={sent}"
    headers = {"Location": location, "Retry-After": str(RETRY_AFTER_S)}
    if call.asks_for_a_receipt:
        headers["Preference-Applied"] = RESPOND_ASYNC
    return reply(202, shown(ReceiptView(command_id=pending.command_id, status=ReceiptStatus.PENDING)), headers)


def reply(status: int, payload: object, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=msgspec.json.encode(payload), status=status, content_type="application/json", headers=headers
    )
