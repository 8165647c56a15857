"""GET /v1/stream: an account's orders and holdings as they are, then every event of it as it is decided, and prices.

The live queue begins first; what came before it is read from the journal up to the sequences at which it began; what
both have is sent once. So nothing is lost or doubled, whatever the two are apart. A client that reads too slowly loses
its queue, is told `gap`, and catches up the same way from its own cursor.
"""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field, StringConstraints

from domain.kernel.messages import Recorded
from gateways import cursor
from gateways.auth import SUBPROTOCOL
from gateways.cursor import CursorUnreadable
from gateways.http import Body, parsed, validated
from gateways.journal import is_known, partitions_of
from gateways.orders import frames
from gateways.orders.views import order_view, position_view
from gateways.problems import Problem
from gateways.quotes import quotes_view
from gateways.routes import Call, Route, is_own, may_see
from gateways.views import Json, event_shown, shown
from infra.fanout import Behind, Subscription
from infra.kafka.records import Partition
from infra.postgres import DatabaseDown
from infra.telemetry import STREAM_CLIENTS, STREAM_GAPS
from infra.tokens import Scope
from infra.tracing import Kind, child
from projections import generations
from projections.orders import blotter, journal, positions

SUBSCRIBE_WAIT_S = 10.0
"""How long a client may take to say what it wants."""
HEARTBEAT_S = 15.0
"""Silence after which we speak, and after which a client that does not answer pings is gone."""
SEND_WAIT_S = 10.0
"""How long a client may leave its buffers full before it is let go; it resumes from its cursor."""
MESSAGE_BYTES_MAX = 70_000
"""Largest message of a client: a subscription with the longest cursor."""
PAGE = 500
"""Events read from the journal at once."""
SYMBOLS_MAX = 500
"""Symbols that one socket watches: more than a screen shows, fewer than would make it a feed of the market."""
POSITIONS_MAX = 10_000
"""Holdings in a snapshot: more symbols than there are."""
CATCH_UP_POLL_S = 0.02
CATCH_UP_WAIT_S = 30.0
"""How long the journal may take to have what was on the tape when a client came."""


class Subscribe(Body):
    """What the client wants: one account's events, prices of some symbols, from a cursor on."""

    type: Literal["subscribe"]
    accounts: Annotated[tuple[str, ...], Field(max_length=1)] = ()
    quotes: Annotated[tuple[Annotated[str, StringConstraints(max_length=16)], ...], Field(max_length=SYMBOLS_MAX)] = ()
    cursor: str | None = None


async def stream(call: Call, _: None) -> web.StreamResponse:
    """A socket until the client leaves, its token ends or the gateway stops."""
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, protocols=(SUBPROTOCOL,), max_msg_size=MESSAGE_BYTES_MAX, compress=False
    )
    await socket.prepare(call.request)
    STREAM_CLIENTS.inc()
    try:
        async with call.services.sockets.held(socket), asyncio.timeout_at(_end_of_token(call)):
            await _Client(call, socket).run()
    except TimeoutError:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"the token has expired")
    finally:
        STREAM_CLIENTS.dec()
    return socket


class _Client:
    def __init__(self, call: Call, socket: web.WebSocketResponse) -> None:
        self._call = call
        self._socket = socket
        self._sending = asyncio.Lock()
        self._spoke_at = time.monotonic()
        self._positions: dict[Partition, int] = {}

    async def run(self) -> None:
        """Hear what is wanted, then serve it until one side has enough."""
        try:
            wanted = await self._wanted()
            await self._serve(wanted)
        except Problem as problem:
            await self._refuse(problem.detail, problem.remedy or "", WSCloseCode.POLICY_VIOLATION)
        except DatabaseDown:
            await self._refuse("The journal cannot be asked now.", "Resume later.", WSCloseCode.TRY_AGAIN_LATER)
        except (ConnectionError, _TooSlow):
            await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _wanted(self) -> Subscribe:
        try:
            message = await self._socket.receive(SUBSCRIBE_WAIT_S)
        except TimeoutError as error:
            raise Problem(400, "invalid", "Nothing was subscribed to in time.", remedy="Subscribe at once.") from error
        if message.type is not WSMsgType.TEXT:
            raise ConnectionError
        wanted = validated(Subscribe, parsed(message.data.encode()))
        caller = self._call.caller
        for account_id in wanted.accounts:
            is_theirs = may_see(caller, account_id) and (
                is_own(caller, account_id) or await is_known(self._call.services.database, caller.tenant, account_id)
            )
            if not is_theirs:
                raise Problem(404, "not-found", "There is nothing of yours here.", remedy="Check the account id.")
        return wanted

    async def _serve(self, wanted: Subscribe) -> None:
        jobs = [self._listen(), self._beat()]
        if wanted.accounts:
            jobs.append(self._events(wanted.accounts[0], wanted.cursor))
        if wanted.quotes:
            jobs.append(self._quotes(list(dict.fromkeys(wanted.quotes))))
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """Until the client closes; aiohttp answers its pings and watches for its pongs."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            raise Problem(400, "invalid", "A socket has one subscription.", remedy="Open another socket.")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if time.monotonic() - self._spoke_at >= HEARTBEAT_S / 2:
                await self._say({"type": "heartbeat", "cursor": cursor.encode(self._positions)})

    async def _events(self, account_id: str, token: str | None) -> None:
        services, tenant = self._call.services, self._call.caller.tenant
        places = partitions_of(account_id, services.event_topics)
        subscription = services.fanout.subscription(tenant, account_id)
        try:
            joined = subscription.begin(places)
            if token is None:
                await self._snapshot(account_id, places)
            else:
                self._positions = _resumed(token, joined)
            while True:
                await self._catch_up(account_id, joined)
                try:
                    await self._follow(subscription)
                except Behind:
                    STREAM_GAPS.inc()
                    await self._say({"type": "gap", "cursor": cursor.encode(self._positions)})
                    joined = subscription.begin(places)
        finally:
            subscription.end()

    async def _follow(self, subscription: Subscription) -> None:
        while True:
            seen = await subscription.next()
            if seen.recorded.sequence > self._positions[seen.topic, seen.partition]:
                with child("websocket frame", seen.trace, kind=Kind.PRODUCER, event_id=seen.recorded.event_id):
                    await self._tell((seen.topic, seen.partition), seen.recorded)

    async def _catch_up(self, account_id: str, joined: dict[Partition, int]) -> None:
        """Send what the journal has after our positions; return when it has everything up to where we join."""
        database, tenant = self._call.services.database, self._call.caller.tenant
        until = time.monotonic() + CATCH_UP_WAIT_S
        while True:
            behind = [place for place, sequence in joined.items() if sequence > self._positions[place]]
            if not behind:
                return
            reached = {place: await generations.reflected(database, journal.journal.name, *place) for place in behind}
            rows = await journal.after(database, tenant, account_id, self._positions, PAGE)
            for row in rows:
                recorded = self._call.services.codec.decode_event(row.payload)
                await self._tell((row.topic, row.partition), recorded)
            if len(rows) < PAGE:
                for place in behind:
                    known = min(reached[place], joined[place])
                    self._positions[place] = max(self._positions[place], known)
                if time.monotonic() > until:
                    raise DatabaseDown(f"the journal does not reach {joined} in {CATCH_UP_WAIT_S:.0f} s")
                await asyncio.sleep(CATCH_UP_POLL_S)

    async def _snapshot(self, account_id: str, places: list[Partition]) -> None:
        """What is open and held; an event at or below a row's `sequence` is in that row already."""
        database, tenant = self._call.services.database, self._call.caller.tenant
        for place in places:
            names = [model.name for model in (blotter.blotter, positions.positions) if place[0] in model.events]
            reached = [await generations.reflected(database, name, *place) for name in names]
            self._positions[place] = min(
                reached, default=await generations.reflected(database, journal.journal.name, *place)
            )
        orders = await blotter.open_orders(database, tenant=tenant, account_id=account_id)
        held = await positions.by_account(database, tenant=tenant, account_id=account_id, limit=POSITIONS_MAX)
        await self._say(
            {
                "type": "snapshot",
                "cursor": cursor.encode(self._positions),
                "account_id": account_id,
                "orders": [shown(order_view(row)) for row in orders],
                "positions": [shown(position_view(row)) for row in held if row.quantity],
            }
        )

    async def _quotes(self, symbols: list[str]) -> None:
        """The newest prices whenever some of them changed; what changed meanwhile is not told apart."""
        services = self._call.services
        told: dict[str, Any] = {}
        board = services.market.board()
        while True:
            changed = [symbol for symbol in symbols if board.prices.get(symbol) != told.get(symbol)]
            if changed:
                await self._say({"type": "quotes", **shown(quotes_view(board, changed))})
                told = {symbol: board.prices.get(symbol) for symbol in symbols}
            board = await services.market.changed(board)

    async def _tell(self, place: Partition, recorded: Recorded[Any]) -> None:
        self._positions[place] = recorded.sequence
        await self._say(
            {
                "type": "event",
                "cursor": cursor.encode(self._positions),
                "topic": place[0],
                "partition": place[1],
                "sequence": recorded.sequence,
                "event": event_shown(recorded),
            }
        )

    async def _say(self, message: Json) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(SEND_WAIT_S):
                    await self._socket.send_str(msgspec.json.encode(message).decode())
            except TimeoutError as error:
                raise _TooSlow from error
        self._spoke_at = time.monotonic()

    async def _refuse(self, detail: str, remedy: str, code: int) -> None:
        with suppress(ConnectionError, _TooSlow):
            await self._say({"type": "error", "detail": detail, "remedy": remedy})
        await self._socket.close(code=code)


class _TooSlow(Exception):
    """The client does not read."""


def _resumed(token: str, joined: dict[Partition, int]) -> dict[Partition, int]:
    try:
        known = cursor.decode(token)
    except CursorUnreadable as error:
        raise Problem(
            400, "invalid", f"`cursor`: {error}", remedy="Send a cursor of this account as it came."
        ) from error
    if set(known) != set(joined):
        raise Problem(400, "invalid", "`cursor`: is of another account.", remedy="Send a cursor of this account.")
    return known


def _end_of_token(call: Call) -> float:
    return asyncio.get_running_loop().time() + max(0.0, call.caller.expires_at - time.time())


ROUTES = (
    Route(
        method="GET",
        path="/v1/stream",
        handler=stream,
        summary="Websocket: events of an account and prices, live, resumable from a cursor",
        scope=Scope.READ,
        answers={101: None},
        says=frames.SAYS,
        hears=(Subscribe,),
    ),
)
"""The stream of an account."""
