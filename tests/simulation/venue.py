"""The venue of the simulation: naive, forgetful of nothing, and rude on the line.

It takes requests, fills as the seed draws, numbers what it says, and says it again from wherever a customer resumes.
The line repeats and swaps messages and breaks. `Socket` and `Session` stand in for aiohttp's: the real effect runs.
"""

import asyncio
import json
from collections import deque
from decimal import ROUND_CEILING, Decimal
from random import Random
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from tests.simulation.loop import VirtualLoop

CENT = Decimal("0.01")


class VenueManners(msgspec.Struct, frozen=True):
    """How the venue and its line behave."""

    reject: float = 0.05
    refuse_change: float = 0.1
    fill_ms_max: int = 2_000
    repeat: float = 0.0
    swap: float = 0.0
    hang_up: float = 0.0
    """Of a message: the line breaks after it."""


class Order:
    """A customer's order as the venue works it."""

    def __init__(self, told: dict[str, Any], venue_order_id: str) -> None:
        self.account: str = told["account"]
        self.name: str = told["client_order_id"]
        self.symbol: str = told["symbol"]
        self.side: str = told["side"]
        self.is_day = told["time_in_force"] == "DAY"
        self.limit = None if told["limit"] is None else Decimal(told["limit"])
        self.quantity = Decimal(told["quantity"])
        self.filled = Decimal(0)
        self.id = venue_order_id
        self.is_open = True

    @property
    def leaves(self) -> Decimal:
        """What may still be filled."""
        return self.quantity - self.filled


class Venue:
    """Orders by every name they had, and everything that was ever said, in order."""

    def __init__(self, loop: VirtualLoop, random: Random, manners: VenueManners) -> None:
        self.loop = loop
        self.random = random
        self.manners = manners
        self.said: list[dict[str, Any]] = []
        self.executions: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, Order | None] = {}
        self.replaced: dict[str, dict[str, Any]] = {}
        """Replaces that were granted, by the name they asked for."""
        self.refused: set[str] = set()
        """Names that were asked for in vain: the same request again gets the same answer."""
        self.sockets: list[Socket] = []
        self.is_quiet = False
        """Nothing happens of itself any more: requests are answered, nothing is filled."""

    def submit(self, told: dict[str, Any]) -> None:
        """A customer's request."""
        if told["type"] == "new":
            self._new(told)
        elif told["type"] == "cancel":
            self._cancel(told)
        else:
            self._replace(told)

    def end_day(self) -> None:
        """The market closes."""
        for order in list(self.orders.values()):
            if order is not None and order.is_day and order.is_open:
                self._end(order, "expired")

    def open_orders(self) -> dict[str, Order]:
        """Orders that still work, by their first name less its version."""
        return {order.name.rpartition("-")[0]: order for order in self.orders.values() if order and order.is_open}

    def _new(self, told: dict[str, Any]) -> None:
        name = told["client_order_id"]
        if name in self.orders:
            self._say("rejected", told["account"], name, reason="duplicate_id")
        elif self.random.random() < self.manners.reject:
            self.orders[name] = None
            self._say("rejected", told["account"], name, reason="no such market")
        else:
            order = self.orders[name] = Order(told, f"v-{len(self.said)}")
            self._say("accepted", order.account, name, venue_order_id=order.id)
            self._fill_later(order)

    def _cancel(self, told: dict[str, Any]) -> None:
        order = self._named(told)
        if order is None or not order.is_open:
            self._say("cancel_rejected", told["account"], told["client_order_id"], reason="already_closed")
        elif self.random.random() < self.manners.refuse_change:
            self._say("cancel_rejected", told["account"], told["client_order_id"], reason="too late")
        else:
            self._end(order, "cancelled")

    def _replace(self, told: dict[str, Any]) -> None:
        order, new_name = self._named(told), told["new_client_order_id"]
        if self.replaced.get(new_name) == told and order is not None and order.is_open:
            self._say("replaced", told["account"], told["client_order_id"], new_client_order_id=new_name)
            return
        is_spent = new_name in self.orders or new_name in self.refused
        no = order is None or not order.is_open or is_spent or Decimal(told["quantity"]) <= order.filled
        if order is None or no or self.random.random() < self.manners.refuse_change:
            self.refused.add(new_name)
            self._say(
                "replace_rejected", told["account"], told["client_order_id"], new_client_order_id=new_name, reason="no"
            )
            return
        order.quantity, order.limit, order.name = Decimal(told["quantity"]), Decimal(told["limit"]), new_name
        self.orders[new_name] = order
        self.replaced[new_name] = told
        self._say("replaced", order.account, told["client_order_id"], new_client_order_id=new_name)

    def _named(self, told: dict[str, Any]) -> Order | None:
        """By any name that it had, or that was asked for in vain: all names of an order begin alike."""
        lead = told["client_order_id"].rpartition("-")[0]
        return self.orders.get(told["client_order_id"]) or self.orders.get(f"{lead}-1")

    def _fill_later(self, order: Order) -> None:
        wait_us = int(self.random.random() * self.manners.fill_ms_max * 1_000)
        self.loop.act_at_us(self.loop.now_us + wait_us, lambda: self._fill(order))

    def _fill(self, order: Order) -> None:
        if self.is_quiet or not order.is_open:
            return
        if self.random.random() < 0.2:
            return  # It rests for good, until it is cancelled or its day ends.
        part = self.random.choice((Decimal(1), Decimal("0.5"), Decimal("0.3")))
        quantity = min(order.leaves, (order.leaves * part).quantize(CENT, ROUND_CEILING))
        better = Decimal(self.random.randrange(0, 100)) / 100
        if order.limit is None:
            price = Decimal(100)
        else:
            price = order.limit - better if order.side == "BUY" else order.limit + better
        order.filled += quantity
        execution = f"x-{len(self.said)}"
        body = {
            "execution_id": execution,
            "symbol": order.symbol,
            "side": order.side,
            "quantity": _text(quantity),
            "price": _text(price),
            "leaves": _text(order.leaves),
        }
        order.is_open = order.leaves > 0
        self.executions[execution] = {"account": order.account, "order": order.name.rpartition("-")[0]} | body
        self._say("filled", order.account, order.name, **body)
        if order.is_open:
            self._fill_later(order)

    def _end(self, order: Order, how: str) -> None:
        order.is_open = False
        self._say(how, order.account, order.name, leaves=_text(order.leaves))

    def _say(self, kind: str, account: str, name: str, **fields: Any) -> None:
        number = len(self.said) + 1
        head = {"type": kind, "seq": number, "message_id": f"m-{number}", "account": account, "client_order_id": name}
        self.said.append(head | {"time_ns": str(self.loop.now_us * 1_000)} | fields)
        for socket in self.sockets:
            socket.wake()


class Socket:
    """One customer's line."""

    close_code = 1006

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._next: int | None = None
        self._held: dict[str, Any] | None = None
        self._inbox: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._is_waking = False
        self._is_open = True

    async def send_json(self, told: dict[str, Any]) -> None:
        self._check()
        self._next = int(told["after"])
        self.wake()

    async def send_str(self, text: str) -> None:
        self._check()
        venue = self._venue
        told = json.loads(text)
        venue.loop.act_at_us(venue.loop.now_us + 500, lambda: self._arrived(told))

    async def receive(self) -> Any:
        while not self._inbox:
            if not self._is_open:
                return SimpleNamespace(type=aiohttp.WSMsgType.CLOSED, data=None, extra="")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._inbox.popleft()

    def wake(self) -> None:
        """There is something to say."""
        if not self._is_waking and self._is_open:
            self._is_waking = True
            wait_us = int(self._venue.random.random() * 2_000)
            self._venue.loop.act_at_us(self._venue.loop.now_us + wait_us, self._deliver)

    def hang_up(self) -> None:
        """The line is broken; both ends learn it."""
        if self._is_open:
            self._is_open = False
            self._venue.sockets.remove(self)
            self._tell()

    def _check(self) -> None:
        if not self._is_open:
            raise aiohttp.ClientConnectionResetError("the line is broken")

    def _arrived(self, told: dict[str, Any]) -> None:
        if self._is_open:
            self._venue.submit(told)

    def _deliver(self) -> None:
        self._is_waking = False
        if self._next is None or not self._is_open:
            return
        venue, manners, random = self._venue, self._venue.manners, self._venue.random
        while self._is_open and self._next < len(venue.said):
            message = venue.said[self._next]
            self._next += 1
            if self._held is None and random.random() < manners.swap and self._next < len(venue.said):
                self._held = message
                continue
            self._give(message)
            if random.random() < manners.repeat:
                self._give(message)
            if self._held is not None:
                self._give(self._held)
                self._held = None
            if random.random() < manners.hang_up:
                self.hang_up()
        self._tell()

    def _give(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, separators=(",", ":"))
        self._inbox.append(SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data=text, extra=""))

    def _tell(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def session_to(venue: Venue) -> Any:
    """In place of the module aiohttp: the names that the effect uses."""

    class _Line:
        async def __aenter__(self) -> Socket:
            await asyncio.sleep(0.001)
            self._socket = Socket(venue)
            venue.sockets.append(self._socket)
            return self._socket

        async def __aexit__(
            self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
        ) -> None:
            self._socket.hang_up()

    class Session:
        def __init__(self, timeout: Any = None) -> None:
            """A line is open at once or not at all: there is nothing to wait for."""

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(
            self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
        ) -> None:
            return

        def ws_connect(self, _url: str, heartbeat: float) -> _Line:
            return _Line()

    return SimpleNamespace(ClientSession=Session, ClientError=aiohttp.ClientError, WSMsgType=aiohttp.WSMsgType)


def _text(amount: Decimal) -> str:
    return format(amount.normalize(), "f")
