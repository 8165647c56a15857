"""Customers' websocket and HTTP -> the venue -> its journal -> customers: the door, and the order of things behind.

Every step is told, decided, written to the journal, then sent, all on one event loop, so that steps never mix.
"""

import asyncio
import contextlib
import json
import logging
import time
from random import Random

from aiohttp import WSCloseCode, WSMsgType, web

from simulators.venue import requests
from simulators.venue.back_office import BackOffice
from simulators.venue.book import Quote
from simulators.venue.delivery import Delivery, Misbehaviour
from simulators.venue.journal import Journal
from simulators.venue.records import Records
from simulators.venue.requests import Message, Unanswerable
from simulators.venue.venue import CLOSED, OPEN, Venue

PAGE = 1000
"""Executions in one answer of the drop copy."""
MESSAGE_BYTES_MAX = 64 * 1024
"""A request has a dozen short fields."""
HEARTBEAT_S = 20.0
"""Pings find a customer whose machine is gone."""
RESUME_WITHIN_S = 10.0
"""A customer says first of all from where it wants to read on."""
CLOCK_WITHIN_S = 5.0
"""A venue that has just started waits so long for the market's clock before it answers that the market is closed."""
REASON_BYTES_MAX = 120
"""What fits into a websocket's close frame."""

log = logging.getLogger("venue")


class Floor:
    """The venue with its journal, its records and its customers."""

    def __init__(
        self, venue: Venue, journal: Journal, back_office: BackOffice, misbehaviour: Misbehaviour, seed: int
    ) -> None:
        self._venue = venue
        self._journal = journal
        self._back_office = back_office
        self._announcing: set[asyncio.Task[None]] = set()
        self._last_ns = 0
        self._bad = misbehaviour
        self._seed = seed
        self._records = Records()
        self._deliveries: set[Delivery] = set()
        self._connections = 0
        self._hears_market = False
        self._knows_phase = asyncio.Event()
        self._recall()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/orders", self._orders),
                web.get("/drop-copy", self._drop_copy),
                web.get("/statement", self._statement),
                web.get("/back-office", self._listen),
                web.post("/back-office/control", self._control),
                web.get("/healthz", self._health),
            ]
        )
        return app

    def on_quote(self, quote: Quote, told: Message) -> None:
        """The street moved."""
        self._write(told, self._venue.quote(quote, self._now_ns()))

    def on_clock(self, phase: str, date: str, told: Message) -> None:
        """Time passed."""
        if (phase, date) != (self._venue.phase, self._venue.date):
            log.info("%s %s, %d orders open", date, phase, len(self._venue.open))
        is_closing = phase == CLOSED and self._venue.phase == OPEN
        self._hears_market = True
        self._knows_phase.set()
        self._write(told, self._venue.clock(phase, date, self._now_ns()))
        if is_closing:
            self._state()

    def on_silence(self) -> None:
        """Without a market its old prices must not be traded at."""
        self._hears_market = False
        self._venue.withdraw()

    def _recall(self) -> None:
        for step in self._journal.steps():
            told = step["told"]
            is_request = told["type"] not in {"quote", "clock"}
            self._venue.recall(step["date"], requests.parse(told) if is_request else None, step["said"])
            for message in step["said"]:
                self._records.add(message)
                self._last_ns = max(self._last_ns, int(str(message["time_ns"])))
        self._back_office.copy(self._records.executions)
        if self._venue.last_seq:
            log.info("recalled %d messages, %d orders open", self._venue.last_seq, len(self._venue.open))

    def _write(self, told: Message, said: list[Message]) -> None:
        if not said:
            return
        self._journal.append({"date": self._venue.date, "told": told, "said": said})
        for message in said:
            self._records.add(message)
        for delivery in self._deliveries:
            delivery.wake.set()
        executions = [message for message in said if message["type"] == "filled"]
        if executions:
            self._back_office.copy(executions)
            self._announce()

    def _state(self) -> None:
        """Say what every account holds: all executions before this moment, none of those after it."""
        self._back_office.state(self._venue.date, self._now_ns(), self._records)
        self._announce()

    def _announce(self) -> None:
        task = asyncio.create_task(self._back_office.announce())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    def _now_ns(self) -> int:
        """The venue's clock, which never shows a time twice: a statement cuts between two steps."""
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return self._last_ns

    async def _orders(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_BYTES_MAX)
        await ws.prepare(request)
        try:
            after = await self._resume(ws, self._venue.last_seq)
        except Unanswerable as error:
            log.warning("turned a customer away: %s", error)
            await _hang_up(ws, error)
            return ws
        self._connections += 1
        delivery = Delivery(self._journal, after, self._bad, Random(f"{self._seed}|{self._connections}"))
        self._deliveries.add(delivery)
        delivering = asyncio.create_task(self._deliver(delivery, ws, request))
        try:
            await self._hear(ws)
        finally:
            self._deliveries.discard(delivery)
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
        return ws

    async def _resume(self, ws: web.WebSocketResponse, last: int) -> int:
        try:
            first = json.loads(await ws.receive_str(timeout=RESUME_WITHIN_S))
            after = first["after"] if first["type"] == "resume" else None
        except (TimeoutError, TypeError, ValueError, KeyError):
            after = None
        if not isinstance(after, int) or after < 0:
            raise Unanswerable('say {"type":"resume","after":N} first; N is the last seq you have, 0 for none')
        if after > last:
            raise Unanswerable(f"after {after} is above my last seq {last}: another journal's?")
        return after

    async def _hear(self, ws: web.WebSocketResponse) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._knows_phase.wait(), CLOCK_WITHIN_S)
        async for received in ws:
            try:
                if received.type is not WSMsgType.TEXT:
                    raise Unanswerable("messages are JSON text")
                told = json.loads(received.data)
                asked = requests.parse(told)
            except (ValueError, RecursionError) as error:
                log.warning("hung up on a customer: %s", error)
                await _hang_up(ws, error)
                return
            self._write(told, self._venue.submit(asked, self._now_ns()))

    async def _deliver(self, delivery: Delivery, ws: web.WebSocketResponse, request: web.Request) -> None:
        async def send(message: Message) -> None:
            await ws.send_str(json.dumps(message, separators=(",", ":")))

        with contextlib.suppress(ConnectionError):
            await delivery.run(send)
            if request.transport is not None:
                log.info("dropping a connection on purpose")
                request.transport.abort()

    async def _drop_copy(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            raise web.HTTPBadRequest(text="after must be a seq, 0 for all")
        return web.json_response(self._records.drop_copy(request.query.get("account"), int(after), PAGE))

    async def _statement(self, request: web.Request) -> web.Response:
        account = request.query.get("account")
        if not account:
            raise web.HTTPBadRequest(text="name the account: /statement?account=...")
        return web.json_response(self._records.statement(account) | {"through": self._venue.last_seq})

    async def _listen(self, request: web.Request) -> web.WebSocketResponse:
        """The back office's records above a number, and every new one, to somebody who only listens."""
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_BYTES_MAX)
        await ws.prepare(request)
        try:
            after = await self._resume(ws, self._back_office.last_number)
        except Unanswerable as error:
            log.warning("turned a listener away: %s", error)
            await _hang_up(ws, error)
            return ws

        async def send(record: Message) -> None:
            await ws.send_str(json.dumps(record, separators=(",", ":")))

        delivering = asyncio.create_task(self._back_office.deliver(after, send))
        try:
            async for _ in ws:
                pass
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
        return ws

    async def _control(self, request: web.Request) -> web.Response:
        """`{"drop": 1, "repeat": 2, "release": true, "state": true}`, each if wanted; the answer is what stands now."""
        asked = await request.json()
        drop, repeat = asked.get("drop", 0), asked.get("repeat", 0)
        if not (isinstance(drop, int) and isinstance(repeat, int) and min(drop, repeat) >= 0):
            raise web.HTTPBadRequest(text="drop and repeat are numbers of copies")
        self._back_office.misbehave(drop=drop, repeat=repeat)
        if asked.get("release"):
            self._back_office.release()
            self._announce()
        if asked.get("state"):
            self._state()
        return web.json_response(self._back_office.status())

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "status": "ok",
                "hears_market": self._hears_market,
                "phase": self._venue.phase,
                "date": self._venue.date,
                "last_seq": self._venue.last_seq,
                "open_orders": len(self._venue.open),
                "connections": len(self._deliveries),
            }
        )


async def _hang_up(ws: web.WebSocketResponse, error: Exception) -> None:
    await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=str(error).encode()[:REASON_BYTES_MAX])
