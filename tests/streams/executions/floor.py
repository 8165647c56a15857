"""A tape of orders on the real broker, and venues beside it: the real paper venue, or one that does as it is told."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from domain.executions import messages
from domain.executions.messages import VenueMessage
from domain.kernel.messages import Command
from domain.orders.events import OrderFilled
from infra.kafka.records import Arrived
from infra.settings import Settings
from streams.executions import interpret, venue
from tests.kit.hosting import PATIENCE_S, Broker
from tests.kit.orders import cancel, credit, may_trade, place, replace
from tests.kit.tape import ACME, Tape
from tests.simulators.kit import Program, ScriptedMarket, program

ANN = "ann"
EVERYTHING = 2_000_000
Json = dict[str, Any]


class Desk:
    """One account's orders, decided in memory and written to the topic that the effect reads."""

    def __init__(self, broker: Broker, account: str = ANN) -> None:
        self.broker = broker
        self.account = account
        self.tape = Tape(broker.codec)
        self._written = 0
        for command in (*may_trade(), credit(EVERYTHING)):
            self.tape.decide("orders", account, command)

    async def do(self, *commands: Command) -> None:
        """Decide these and write what follows."""
        for command in commands:
            self.tape.decide("orders", self.account, command)
        fresh, self._written = self.tape.arrived[self._written :], len(self.tape.arrived)
        await self.broker.write(venue.SOURCE, fresh)

    async def buy(self, count: int, quantity: int = 1, limit: int = 101, first: int = 0) -> list[str]:
        """So many orders, good till cancelled; their ids."""
        names = [f"{self.account}{number}" for number in range(first, first + count)]
        await self.do(*(place(name, quantity=quantity, limit=limit) for name in names))
        return names

    async def cancel(self, order_id: str) -> None:
        """Ask for an order back."""
        await self.do(cancel(order_id))

    async def replace(self, order_id: str, quantity: int) -> None:
        """Ask for another total."""
        await self.do(replace(order_id, quantity=quantity, limit=101))

    async def hears(self, enough: Callable[[list[Json]], bool]) -> list[VenueMessage]:
        """What is on the feed, once it is enough."""
        found = await self.broker.read(
            interpret.FEED, lambda arrived: enough([said(each) for each in map(self._read, arrived)])
        )
        return [self._read(each) for each in found]

    def believe(self, heard: list[VenueMessage]) -> list[OrderFilled]:
        """Let the book decide what the feed means, repeats and all; the fills that it believes."""
        before = len(self.tape.recorded())
        for message in heard:
            self.tape.decide("orders", self.account, messages.interpret(message))
        return [each.event for each in self.tape.recorded()[before:] if isinstance(each.event, OrderFilled)]

    def _read(self, arrived: Arrived) -> VenueMessage:
        return self.broker.codec.decode_observed(arrived.value, VenueMessage)


def said(message: VenueMessage) -> Json:
    """The venue's own words."""
    found: Json = json.loads(message.body)
    return found


def fills(number: int) -> Callable[[list[Json]], bool]:
    """So many different executions were heard of."""
    return lambda heard: len({each["execution_id"] for each in heard if each["type"] == "filled"}) >= number


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def settings(broker: Broker, port: int) -> Settings:
    return Settings(kafka=broker.bootstrap, venue_url=url(port))


@contextlib.asynccontextmanager
async def paper_venue(market: ScriptedMarket, folder: Path, *more: object) -> AsyncIterator[Program]:
    """The real paper venue, as a process."""
    where = ("--market", f"127.0.0.1:{market.port}", "--journal", folder / "journal")
    async with program("venue", folder / "log", *where, *more) as running:
        yield running


class ToldVenue:
    """A venue that says what the test tells it to say; `asked` holds what it was asked, a list per connection."""

    def __init__(self) -> None:
        self.asked: list[list[Json]] = []
        self.port = 0
        self._socket: web.WebSocketResponse | None = None
        self._seq = 0
        self._changed = asyncio.Condition()
        self.cuts_left = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, cuts: int = 0) -> AsyncIterator["ToldVenue"]:
        """Its door; so many connections are cut at the first request."""
        told = cls()
        told.cuts_left = cuts
        app = web.Application()
        app.add_routes([web.get("/orders", told._orders)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.port = runner.addresses[0][1]
        try:
            yield told
        finally:
            await told.hang_up()
            await runner.cleanup()

    async def say(self, kind: str, client_order_id: str, *, seq: int = 0, **more: object) -> int:
        """One message with the next number, or again with an old one."""
        self._seq = max(self._seq, seq) if seq else self._seq + 1
        seq = seq or self._seq
        head: Json = {"type": kind, "seq": seq, "message_id": f"m-{seq}", "account": f"{ACME}/{ANN}"}
        await self.raw(json.dumps(head | {"client_order_id": client_order_id, "time_ns": "1"} | more))
        return seq

    async def raw(self, text: str) -> None:
        """Anything."""
        assert self._socket is not None
        await self._socket.send_str(text)

    async def hang_up(self) -> None:
        """Cut the line."""
        if self._socket is not None and not self._socket.closed:
            await self._socket.close(code=1008, message=b"enough")

    async def is_asked(self, connection: int, *kinds: str) -> list[Json]:
        """What that connection was asked, once it is this, in order."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self._kinds(connection)[: len(kinds)] == list(kinds))
        return self.asked[connection]

    def _kinds(self, connection: int) -> list[str]:
        return [each["type"] for each in self.asked[connection]] if connection < len(self.asked) else []

    async def _orders(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard: list[Json] = []
        async with self._changed:
            self._socket = socket
            self.asked.append(heard)
            self._changed.notify_all()
        async for message in socket:
            async with self._changed:
                heard.append(json.loads(message.data))
                self._changed.notify_all()
            if len(heard) > 1 and self.cuts_left:
                self.cuts_left -= 1
                assert request.transport is not None
                request.transport.abort()
                break
        return socket


def unique(kind: str) -> str:
    """A name that no other test has."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"
