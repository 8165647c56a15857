"""Honest clients beside the others: each is answered with what is its own, whatever else is thrown at the door."""

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.kit.doors import Client
from tests.security.door import Door

ANSWER_S = 30.0
"""Longest wait for an answer: the machine is busy, and being slow is not being wrong."""
PAUSE_S = 0.1
ORDER_EVERY = 20
"""Looks at the cash to one order."""


class Canary:
    """One client: its cash is like nobody else's, its orders are numbered, its socket tells of its own orders only."""

    def __init__(self, client: Client, dollars: str) -> None:
        self.client = client
        self.dollars = dollars
        self.faults: list[str] = []
        self.waits_s: list[float] = []
        self.placed: set[str] = set()
        self.told: set[str] = set()
        self.pinged = 0
        self._number = 0

    async def sing(self, stop: asyncio.Event) -> None:
        """Ask, place and listen until told to stop."""
        listening = asyncio.create_task(self._listen(stop))
        try:
            while not stop.is_set():
                await self._timed("cash", self._cash())
                self._number += 1
                if self._number % ORDER_EVERY == 1:
                    await self._timed("order", self._order())
                await asyncio.sleep(PAUSE_S)
        finally:
            await listening
        unheard = self.placed - self.told
        if unheard:
            self.faults.append(f"{len(unheard)} orders were placed and not told of")

    async def _timed(self, what: str, asking: Any) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                fault = await asking
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            fault = f"{what}: {error!r}"
        self.waits_s.append(time.monotonic() - begun)
        if fault:
            self.faults.append(fault)

    async def _cash(self) -> str:
        response, cash = await self.client.ask("GET", "/v1/accounts/{}/cash")
        if response.status != 200:
            return f"cash: answered {response.status}"
        is_ours = (cash["account_id"], cash["free"]) == (self.client.account_id, self.dollars)
        return "" if is_ours else f"cash: {cash} is somebody else's"

    async def _order(self) -> str:
        quantity = str(1 + self._number // ORDER_EVERY % 9)
        response, order = await self.client.place(quantity=quantity, limit_price="99.00", key=uuid.uuid4().hex)
        if response.status != 201:
            return f"order: answered {response.status} {order}"
        self.placed.add(order["order_id"])
        is_ours = order["quantity"] == quantity and order["account_id"] == self.client.account_id
        return "" if is_ours else f"order: {order} is somebody else's"

    async def _listen(self, stop: asyncio.Event) -> None:
        """Hear of every order that was placed; ping between, and have the very same bytes back."""
        headers = {"Authorization": f"Bearer {self.client.token}"}
        try:
            async with self.client.session.ws_connect(
                self.client.url + "/v1/stream", headers=headers, autoping=False, max_msg_size=0
            ) as socket:
                await socket.send_json({"type": "subscribe", "accounts": [self.client.account_id]})
                until = None
                while until is None or (self.placed - self.told and time.monotonic() < until):
                    if stop.is_set() and until is None:
                        until = time.monotonic() + ANSWER_S
                    await self._hear(socket)
        except (aiohttp.ClientError, OSError) as error:
            self.faults.append(f"socket: {error!r}")

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        nonce = secrets.token_bytes(16)
        await socket.ping(nonce)
        waiting = time.monotonic() + ANSWER_S
        while True:
            try:
                message = await socket.receive(waiting - time.monotonic())
            except TimeoutError:
                self.faults.append("socket: a ping had no pong")
                return
            match message.type:
                case aiohttp.WSMsgType.PONG:
                    self.pinged += 1
                    if message.data != nonce:
                        self.faults.append("socket: a pong was somebody else's")
                    await asyncio.sleep(PAUSE_S)
                    return
                case aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                case aiohttp.WSMsgType.TEXT:
                    self._told(message.json())
                case _:
                    raise ConnectionError(f"closed: {message}")

    def _told(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "event":
            return
        event = frame["event"]
        if event["account_id"] != self.client.account_id:
            self.faults.append(f"socket: an event of {event['account_id']}")
        if event["event_type"] == "OrderPlaced":
            self.told.add(event["order_id"])


@contextlib.asynccontextmanager
async def canaries(door: Door, count: int) -> AsyncIterator[list[Canary]]:
    """So many, each with an account and cash of its own; they ask at this door."""
    async with contextlib.AsyncExitStack() as stack:
        birds: list[Canary] = []
        for number in range(count):
            dollars = f"{1_000_000 + number * 1_111}.{number:02}"
            client = await stack.enter_async_context(door.live.trader(dollars))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            token = door.token(client.account_id)
            birds.append(Canary(Client(session, door.url, token, client.account_id), dollars))
        yield birds
