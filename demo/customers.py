"""Two hundred customers with habits: each opens and funds an account and trades through the public doors, nothing else.

Some are careless (orders beyond their cash, sales of what they do not hold, fat fingers), some are large enough to
breach their limits, some send bursts. Every choice comes from a seed.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from enum import Enum, auto

import aiohttp
import msgspec

from demo.numbers import Numbers
from domain.kernel.money import parse_price, price_text

THINK_SECONDS = 4.0
"""Mean pause of a customer between two acts: two hundred of them make about fifty acts a second."""
RETRY_SECONDS = 1.0
RETRIES_MAX = 20
"""How often a request is repeated under its key while the outcome is unknown."""
OPEN_ORDERS_KEPT = 20
"""Open orders a customer remembers to cancel or replace."""
TICK = 1_000_000
"""One cent at scale 1e-8."""
BURST = 5
"""Orders that a hasty customer sends at once."""
PASSED_WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.3
"""How often a customer looks whether its check was passed."""
FIRST_NAMES = ("Ada", "Björk", "Carlos", "Dagny", "Édith", "Farid", "Grace", "Hiroshi", "Ingrid", "José")
LAST_NAMES = ("Abel", "Brâncuși", "Curie", "D'Arcy", "Erdős", "Fermi", "García", "Hopper", "Ibsen", "Núñez-Lee")
CHANCES = {"burst": 0.3, "cancel": 0.15, "replace": 0.3, "blunder": 0.6, "sell": 0.5, "market": 0.5}
"""How often a customer does what, given that it can."""
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


class Habit(Enum):
    """What kind of customer it is."""

    STEADY = auto()
    CARELESS = auto()
    LARGE = auto()
    HASTY = auto()


FUNDS = {Habit.STEADY: "250000.00", Habit.CARELESS: "5000.00", Habit.LARGE: "16000000.00", Habit.HASTY: "250000.00"}


class Account(msgspec.Struct, frozen=True):
    """A customer's token and the one account it opens."""

    account_id: str
    token: str
    tenant: str


class Customer:
    """One customer: a websocket that tells it what became of its orders, and a session for its requests."""

    def __init__(  # noqa: PLR0913  what a customer is made of
        self, url: str, session: aiohttp.ClientSession, account: Account, habit: Habit, seed: int, numbers: Numbers
    ) -> None:
        self.account = account
        self.habit = habit
        self._url = url
        self._session = session
        self._random = random.Random(seed)
        self._numbers = numbers
        self._open: dict[str, tuple[str, int]] = {}
        self._held: dict[str, int] = {}
        self._prices: dict[str, str] = {}
        self._phase = ""
        self._cursor: str | None = None

    async def open(self) -> None:
        """Open the account, fund it, say who owns it, and wait until that was checked."""
        await self._ask("POST", "/v1/accounts", {"currency": "USD"})
        await self._ask("POST", self._path("deposits"), {"amount": FUNDS[self.habit]})
        asked = await self._ask("POST", self._path("kyc/checks"), self._person())
        await self._until_passed(str(asked["check_id"]))

    async def trade(self, stop: asyncio.Event) -> None:
        """Trade until told to stop, listening all the while."""
        listening = asyncio.create_task(self._listen(stop))
        try:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._random.expovariate(1 / THINK_SECONDS))
                if self._prices and not stop.is_set():
                    await self._act()
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def withdraw(self, amount: str) -> None:
        """Take some cash out at the end."""
        await self._ask("POST", self._path("withdrawals"), {"amount": amount})

    def _person(self) -> dict[str, object]:
        born = date(1940, 1, 1) + timedelta(days=self._random.randrange(50 * 365))
        first, last = self._random.choice(FIRST_NAMES), self._random.choice(LAST_NAMES)
        return {"first_name": first, "last_name": last, "date_of_birth": born.isoformat()}

    async def _until_passed(self, check_id: str) -> None:
        """Ask until the book has heard that the check was passed; a notice that got lost makes it some ten seconds."""
        headers = {"Authorization": f"Bearer {self.account.token}"}
        async with asyncio.timeout(PASSED_WITHIN_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    path = self._url + self._path(f"kyc/checks/{check_id}")
                    async with self._session.get(path, headers=headers) as answer:
                        said = await answer.json(content_type=None)
                        if answer.status == 200 and said["approved_at"]:  # noqa: PLR2004  OK
                            return
                await asyncio.sleep(LOOK_SECONDS)

    async def _act(self) -> None:
        draw = self._random.random()
        if self.habit is Habit.HASTY and draw < CHANCES["burst"]:
            await asyncio.gather(*(self._place() for _ in range(BURST)))
        elif self._open and draw < CHANCES["cancel"]:
            await self._cancel()
        elif self._open and draw < CHANCES["replace"]:
            await self._replace()
        elif self.habit is Habit.CARELESS and draw < CHANCES["blunder"]:
            await self._blunder()
        else:
            await self._place()

    async def _place(self) -> None:
        symbol = self._random.choice(sorted(self._prices))
        price = parse_price(self._prices[symbol])
        shares = max(1, int(self._budget() // (price // 10**8 + 1)))
        sells = self._held.get(symbol, 0) > 0 and self._random.random() < CHANCES["sell"]
        if sells:
            shares = min(shares, self._held[symbol])
        body: dict[str, object] = {"symbol": symbol, "side": "SELL" if sells else "BUY", "quantity": str(shares)}
        if self._random.random() < CHANCES["market"]:
            body |= {"kind": "MARKET"}
        else:
            away = self._random.randint(-30, 60) * TICK * (-1 if sells else 1)
            limit = max(TICK, (price - away) // TICK * TICK)
            tif = self._random.choice(["DAY", "DAY", "GTC"])
            body |= {"kind": "LIMIT", "limit_price": price_text(limit), "time_in_force": tif}
        answer = await self._order(body)
        if answer.get("kind") == "LIMIT":
            self._remember(str(answer["order_id"]), symbol, shares)

    async def _blunder(self) -> None:
        symbol = self._random.choice(sorted(self._prices))
        price = parse_price(self._prices[symbol])
        blunders: list[Callable[[], dict[str, object]]] = [
            lambda: {"symbol": symbol, "side": "BUY", "kind": "MARKET", "quantity": "100000"},
            lambda: {"symbol": symbol, "side": "SELL", "kind": "MARKET", "quantity": "7777"},
            lambda: {
                "symbol": symbol,
                "side": "BUY",
                "kind": "LIMIT",
                "limit_price": price_text(price * 2 // TICK * TICK),
                "quantity": "1",
            },
            lambda: {"symbol": "TULIP", "side": "BUY", "kind": "MARKET", "quantity": "1"},
            lambda: {"symbol": symbol, "side": "BUY", "kind": "MARKET", "quantity": "-5"},
        ]
        await self._order(self._random.choice(blunders)())

    async def _cancel(self) -> None:
        order_id = self._random.choice(sorted(self._open))
        self._open.pop(order_id)
        await self._ask("DELETE", self._path(f"orders/{order_id}"), None)

    async def _replace(self) -> None:
        order_id = self._random.choice(sorted(self._open))
        symbol, shares = self._open[order_id]
        price = parse_price(self._prices[symbol])
        limit = (price - self._random.randint(-20, 40) * TICK) // TICK * TICK
        more = shares + self._random.randint(0, 3)
        body = {"quantity": str(more), "limit_price": price_text(max(TICK, limit))}
        await self._ask("PUT", self._path(f"orders/{order_id}"), body)

    async def _order(self, body: dict[str, object]) -> dict[str, object]:
        self._numbers.orders += 1
        return await self._ask("POST", self._path("orders"), body)

    def _budget(self) -> int:
        """Units of currency that one order of this customer is worth."""
        return {Habit.LARGE: 2_200_000}.get(self.habit, self._random.randint(500, 8_000))

    def _remember(self, order_id: str, symbol: str, shares: int) -> None:
        if len(self._open) < OPEN_ORDERS_KEPT:
            self._open[order_id] = (symbol, shares)

    def _path(self, rest: str) -> str:
        return f"/v1/accounts/{self.account.account_id}/{rest}"

    async def _ask(self, method: str, path: str, body: dict[str, object] | dict[str, str] | None) -> dict[str, object]:
        """One request under one key, repeated while its outcome is unknown."""
        headers = {"Authorization": f"Bearer {self.account.token}", "Idempotency-Key": uuid.uuid4().hex}
        for _ in range(RETRIES_MAX):
            began = time.perf_counter_ns()
            try:
                async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
                    said: dict[str, object] = await answer.json(content_type=None)
                    position = answer.headers.get("Tape-Position", "")
            except (aiohttp.ClientError, OSError, TimeoutError):
                self._numbers.answers["lost"] += 1
                await asyncio.sleep(RETRY_SECONDS)
                continue
            took_us = (time.perf_counter_ns() - began) // 1_000
            self._numbers.answered(self.account.account_id, f"{method} {path}", answer.status, position, took_us)
            if answer.status in {202, 429, 503}:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.status >= 400:  # noqa: PLR2004  where HTTP begins to say no
                self._numbers.refused(str(said.get("reason") or said.get("type", "")).rpartition(":")[2])
            return said
        return {}

    async def _listen(self, stop: asyncio.Event) -> None:
        """Follow the own account and some prices, resuming from the cursor after a loss."""
        while not stop.is_set():
            with contextlib.suppress(aiohttp.ClientError, OSError):
                headers = {"Authorization": f"Bearer {self.account.token}"}
                async with self._session.ws_connect(f"{self._url}/v1/stream", headers=headers) as socket:
                    await socket.send_json(
                        {
                            "type": "subscribe",
                            "accounts": [self.account.account_id],
                            "quotes": SYMBOLS,
                            "cursor": self._cursor,
                        }
                    )
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            self._hear(msgspec.json.decode(message.data))
            await asyncio.sleep(RETRY_SECONDS)

    def _hear(self, frame: dict[str, object]) -> None:
        self._numbers.frames += 1
        self._cursor = str(frame["cursor"]) if frame.get("cursor") else self._cursor
        if frame["type"] == "quotes":
            quotes = frame["quotes"]
            assert isinstance(quotes, list)
            self._prices |= {each["symbol"]: each["last"] for each in quotes}
        elif frame["type"] == "event":
            event = frame["event"]
            assert isinstance(event, dict)
            self._learn(event)

    def _learn(self, event: dict[str, object]) -> None:
        kind, order_id = event["event_type"], str(event.get("order_id", ""))
        if kind == "OrderFilled":
            sign = 1 if event["side"] == "BUY" else -1
            symbol = str(event["symbol"])
            self._held[symbol] = self._held.get(symbol, 0) + sign * int(str(event["quantity"]))
            if event["unfilled"] == "0":
                self._open.pop(order_id, None)
        elif kind in {"OrderCancelled", "OrderExpired", "OrderRejected"}:
            self._open.pop(order_id, None)
        elif kind == "DayEnded":
            self._open.clear()
