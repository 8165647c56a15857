"""GET /v1/stream: accounts as they are, then every event of them as it is decided, prices, and orders the other way.

A client says what it wants; then it may place, replace and cancel over the same socket, with the same outcomes as over
REST. `gateways/following.py` sees to it that no event is lost or told twice.
"""

import asyncio
import time
from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import HttpVersion11, WSCloseCode, WSMessage, WSMsgType, web
from pydantic import Field, StringConstraints

from gateways import cursor
from gateways.auth import SUBPROTOCOL
from gateways.cursor import CursorForeign, CursorUnreadable
from gateways.following import Following, Gap, Told
from gateways.frames import event_frame, gap_frame
from gateways.http import Body, parsed, validated
from gateways.journal import is_known, partitions_of
from gateways.orders import frames, requests
from gateways.orders.requests import WISHES
from gateways.orders.views import order_view, position_view
from gateways.problems import Problem, not_found
from gateways.quotes import quotes_view
from gateways.routes import Call, Route, is_own, may_see
from gateways.sockets import SocketsFull
from gateways.strict import StrictSocket
from gateways.views import Json, shown
from infra.kafka.records import Partition
from infra.postgres import DatabaseDown
from infra.telemetry import STREAM_CLIENTS
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
ACCOUNTS_MAX = 50
"""Accounts that one socket follows: a desk's, not a tenant's; whoever wants all of them is a partner."""
SYMBOLS_MAX = 500
"""Symbols that one socket watches: more than a screen shows, fewer than would make it a feed of the market."""
POSITIONS_MAX = 10_000
"""Holdings in a snapshot: more symbols than there are."""
REQUESTS_AT_ONCE_MAX = 64
"""Requests of one socket that are under way together; the next ones wait in its buffers."""


class Subscribe(Body):
    """What the client wants: events of some accounts, prices of some symbols, from a cursor on."""

    type: Literal["subscribe"]
    accounts: Annotated[tuple[str, ...], Field(max_length=ACCOUNTS_MAX)] = ()
    quotes: Annotated[tuple[Annotated[str, StringConstraints(max_length=16)], ...], Field(max_length=SYMBOLS_MAX)] = ()
    cursor: str | None = None


async def stream(call: Call, _: None) -> web.StreamResponse:
    """A socket until the client leaves, its token ends or the gateway stops."""
    _check_opening(call.request)
    socket = StrictSocket(
        heartbeat=HEARTBEAT_S, protocols=(SUBPROTOCOL,), max_msg_size=MESSAGE_BYTES_MAX, compress=False
    )
    await socket.prepare(call.request)
    STREAM_CLIENTS.inc()
    goodbye = partial(socket.close, code=WSCloseCode.GOING_AWAY, message=b"the gateway stops")
    try:
        async with call.services.sockets.held(goodbye), asyncio.timeout_at(call.end_of_token()):
            await _Client(call, socket).run()
    except SocketsFull:
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many streams are open")
    except TimeoutError:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"the token has expired")
    finally:
        STREAM_CLIENTS.dec()
    return socket


def _check_opening(request: web.Request) -> None:
    """What the library would let pass, or write into the log with the token in it. Raises Problem: 400."""
    if request.version != HttpVersion11:
        raise Problem(400, "invalid", "A websocket needs HTTP 1.1.", remedy="Open it with HTTP/1.1.")
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is not None and SUBPROTOCOL not in {each.strip() for each in offered.split(",")}:
        raise Problem(
            400,
            "invalid",
            f"This door speaks `{SUBPROTOCOL}` only.",
            field="Sec-WebSocket-Protocol",
            remedy=f"Offer `{SUBPROTOCOL}` beside the token, or nothing at all.",
        )


class _Client:
    def __init__(self, call: Call, socket: web.WebSocketResponse) -> None:
        self._call = call
        self._socket = socket
        self._sending = asyncio.Lock()
        self._spoke_at = time.monotonic()
        self._following: Following | None = None
        self._whose = b""
        self._free = asyncio.Semaphore(REQUESTS_AT_ONCE_MAX)

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
            async with asyncio.timeout(SUBSCRIBE_WAIT_S):  # Of all it says: pings do not buy time.
                message = await self._socket.receive()
        except TimeoutError as error:
            raise Problem(400, "invalid", "Nothing was subscribed to in time.", remedy="Subscribe at once.") from error
        if message.type is not WSMsgType.TEXT:
            await self._part(message)
            raise ConnectionError
        wanted = validated(Subscribe, parsed(message.data.encode()))
        caller = self._call.caller
        for account_id in wanted.accounts:
            is_theirs = may_see(caller, account_id) and (
                is_own(caller, account_id) or await is_known(self._call.services.database, caller.tenant, account_id)
            )
            if not is_theirs:
                raise not_found()
        return wanted

    async def _serve(self, wanted: Subscribe) -> None:
        jobs = [self._listen(), self._beat()]
        if wanted.accounts:
            jobs.append(self._events(tuple(dict.fromkeys(wanted.accounts)), wanted.cursor))
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
        """Requests until the client closes; aiohttp answers its pings and watches for its pongs.

        They are under way together and answered as they are decided: whoever needs an order waits for an answer.
        """
        under_way: set[asyncio.Task[None]] = set()
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    return await self._part(message)
                asked = _asked(message.data)
                await self._free.acquire()
                task = asyncio.create_task(self._grant(asked))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        finally:
            for task in under_way:
                task.cancel()

    async def _grant(self, asked: dict[str, Any]) -> None:
        try:
            await self._say(await requests.answered(self._call, asked))
        except (ConnectionError, _TooSlow):
            pass  # It was decided all the same: a repeat under its key will be told.
        finally:
            self._free.release()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if time.monotonic() - self._spoke_at >= HEARTBEAT_S / 2:
                await self._say({"type": "heartbeat", "cursor": self._cursor()})

    async def _events(self, accounts: tuple[str, ...], token: str | None) -> None:
        services, tenant = self._call.services, self._call.caller.tenant
        places = sorted({place for each in accounts for place in partitions_of(each, services.event_topics)})
        following = self._following = Following(services, tenant, accounts, places)
        self._whose = cursor.owner(tenant, *sorted(accounts))
        try:
            following.begin()
            if token is None:
                await self._snapshots(accounts, following)
            else:
                following.positions = _resumed(token, self._whose, places)
            async with aclosing(following.events()) as events:
                async for each in events:
                    if isinstance(each, Told):
                        await self._tell(each)
                    elif isinstance(each, Gap):
                        await self._say(gap_frame(self._cursor()))
        finally:
            following.end()

    async def _snapshots(self, accounts: tuple[str, ...], following: Following) -> None:
        """What is open and held; an event at or below a row's `sequence` is in that row already."""
        database, tenant = self._call.services.database, self._call.caller.tenant
        reached = {
            model: await generations.all_reflected(database, model.name)
            for model in (blotter.blotter, positions.positions, journal.journal)
        }
        for place in following.places:
            shows = [each[place] for model, each in reached.items() if model is not journal.journal and place in each]
            following.positions[place] = min(shows, default=reached[journal.journal].get(place, -1))
        for account_id in accounts:
            orders = await blotter.open_orders(database, tenant=tenant, account_id=account_id)
            held = await positions.by_account(database, tenant=tenant, account_id=account_id, limit=POSITIONS_MAX)
            await self._say(
                {
                    "type": "snapshot",
                    "cursor": self._cursor(),
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

    async def _tell(self, told: Told) -> None:
        frame = event_frame(told.place, told.recorded, self._cursor())
        if not told.trace:
            await self._say(frame)
            return
        with child("websocket frame", told.trace, kind=Kind.PRODUCER, event_id=told.recorded.event_id):
            await self._say(frame)

    def _cursor(self) -> str:
        return cursor.encode(self._following.positions if self._following else {}, self._whose)

    async def _say(self, message: Json) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(SEND_WAIT_S):
                    await self._socket.send_str(msgspec.json.encode(message).decode())
            except TimeoutError as error:
                raise _TooSlow from error
        self._spoke_at = time.monotonic()

    async def _part(self, message: WSMessage) -> None:
        """No text came: a client that is gone, one that broke the protocol and has been told so, or bytes."""
        if message.type is WSMsgType.BINARY:
            await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text is spoken here")

    async def _refuse(self, detail: str, remedy: str, code: int) -> None:
        with suppress(ConnectionError, _TooSlow):
            await self._say({"type": "error", "detail": detail, "remedy": remedy})
        await self._socket.close(code=code)


class _TooSlow(Exception):
    """The client does not read."""


def _asked(text: str) -> dict[str, Any]:
    """A request of a client that is subscribed. Raises Problem, which ends the socket, for what is none."""
    asked = parsed(text.encode())
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind == "subscribe":
        raise Problem(400, "invalid", "A socket has one subscription.", remedy="Open another socket.")
    if not isinstance(kind, str) or kind not in WISHES:
        known = ", ".join(WISHES)
        raise Problem(400, "invalid", "`type`: is no request.", field="type", remedy=f"Send one of {known}.")
    found: dict[str, Any] = asked
    return found


def _resumed(token: str, whose: bytes, places: list[Partition]) -> dict[Partition, int]:
    try:
        return cursor.resumed(token, whose, places)
    except CursorUnreadable as error:
        raise Problem(
            400, "invalid", f"`cursor`: {error}", field="cursor", remedy="Send a cursor of this stream as it came."
        ) from error
    except CursorForeign as error:
        raise not_found() from error


ROUTES = (
    Route(
        method="GET",
        path="/v1/stream",
        handler=stream,
        summary="Websocket: events of accounts and prices, live, resumable from a cursor; orders the other way",
        scope=Scope.READ,
        answers={101: None},
        says=frames.SAYS,
        hears=(Subscribe, *WISHES.values()),
    ),
)
"""The stream of accounts."""
