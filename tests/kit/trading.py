"""Customers who trade through the public doors and write down what they were told, for the judge of a whole stack.

A history is append-only, one JSON line an entry: `invoke` before a request, then `ok` or `fail` when its outcome is
known, `info` when it is not. An unknown outcome is repeated under the same key until it is known, as real clients do.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec

from domain.kernel.ids import OrderId, derived
from domain.kernel.money import parse_price, price_text
from infra.settings import ANSWER_WAIT_MS
from infra.tokens import Mint, Scope

TENANT = "acme"
TOKEN_SECONDS = 3_600
ANSWER_SECONDS_MAX = ANSWER_WAIT_MS / 1000 + 5.0
"""Longest request: what the gateway states, and what a machine that is busy with restarts adds."""
KNOWN_WITHIN_SECONDS = 60.0
"""How long an unknown outcome is repeated before it stays unknown."""
REPEAT_SECONDS = 0.5
THINK_SECONDS = 0.25
"""Mean pause of a customer between two acts."""
OPENING_AT_ONCE = 4
TICK = 1_000_000
"""One cent at scale 1e-8."""
EARLY_HOUR = "17"
"""Before this hour of UTC a session of New York has three hours to go, eight seconds of ours."""
PERSON = {"first_name": "Ann", "last_name": "Núñez", "date_of_birth": "1990-12-31"}
ORDERS = "/v1/accounts/{account_id}/orders"
ORDER = f"{ORDERS}/{{order_id}}"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was asked under which command id, and how that stands."""

    at_ns: int
    kind: Literal["invoke", "ok", "fail", "info"]
    account_id: str
    route: str
    command_id: str
    status: int = 0
    position: str = ""
    reason: str = ""
    retry_after: str = ""
    took_ms: int = 0


class History:
    """Everything that all customers of a test asked and were told, in order."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        self._file = path.open("ab", buffering=0)

    def add(self, kind: Literal["invoke", "ok", "fail", "info"], account_id: str, *asked: str, **told: Any) -> None:
        """Write it down before anybody acts on it."""
        route, command_id = asked
        entry = Entry(
            at_ns=time.monotonic_ns(), kind=kind, account_id=account_id, route=route, command_id=command_id, **told
        )
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self.entries.append(entry)

    def told(self, *kinds: str) -> list[Entry]:
        """The entries of these kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    def unknown(self) -> set[str]:
        """Commands whose outcome nobody ever told."""
        known = {entry.command_id for entry in self.told("ok", "fail")}
        return {entry.command_id for entry in self.told("invoke")} - known


class Told(msgspec.Struct, frozen=True):
    """A definite answer."""

    status: int
    body: Any
    position: str

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""


class Trader:
    """One account and its owner."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, account_id: str, history: History) -> None:
        self.account_id = account_id
        self.history = history
        self.placed: list[OrderId] = []
        self._session = session
        self._url = url
        self._token = token
        self._random = random.Random(account_id)
        self._last: dict[str, int] = {}

    def as_holder_of(self, token: str) -> "Trader":
        """The same account in the hands of somebody else, such as a risk officer."""
        return Trader(self._session, self._url, token, self.account_id, self.history)

    async def read(self, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """One read, once: status, body, headers."""
        sent = {"Authorization": f"Bearer {self._token}"} | {n.replace("_", "-"): v for n, v in headers.items()}
        path = path.replace("{account_id}", self.account_id)
        async with self._session.get(self._url + path, headers=sent) as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def ask(self, method: str, route: str, body: Any = None, *, key: str = "", order_id: str = "") -> Told:
        """One command under one key, repeated while its outcome is unknown."""
        key = key or uuid.uuid4().hex
        asked = (f"{method} {route}", derived(TENANT, self.account_id, f"{method} {route}", key))
        path = route.format(account_id=self.account_id, order_id=order_id)
        until = time.monotonic() + KNOWN_WITHIN_SECONDS
        while True:
            self.history.add("invoke", self.account_id, *asked)
            told = await self._once(method, path, body, key, asked)
            if told is not None or time.monotonic() > until:
                return told or Told(0, None, "")
            await asyncio.sleep(REPEAT_SECONDS)

    async def place(self, **terms: Any) -> Told:
        """A new order; its id is remembered when it stands."""
        told = await self.ask("POST", ORDERS, terms)
        if told.status == 201:
            self.placed.append(OrderId(told.body["order_id"]))
        return told

    async def check(self, **who: Any) -> Told:
        """Ask for a check of the account's owner."""
        return await self.ask("POST", "/v1/accounts/{account_id}/kyc/checks", PERSON | who)

    async def pass_check(self, within_s: float = 60.0) -> None:
        """Have the owner checked; return when the check is passed and the book has heard of it."""
        check_id = (await self.check()).body["check_id"]
        async with asyncio.timeout(within_s):
            while (await self.checked(check_id)).get("approved_at") is None:
                await asyncio.sleep(0.1)

    async def checked(self, check_id: str) -> dict[str, Any]:
        """The check as it stands; nothing while nobody can tell."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            status, check, _ = await self.read(f"/v1/accounts/{{account_id}}/kyc/checks/{check_id}")
            if status == 200:
                return dict(check)
        return {}

    async def prices(self) -> dict[str, int]:
        """The last prices; the ones known before when the gateway is away."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            status, body, _ = await self.read("/v1/quotes")
            if status == 200:
                self._last = {each["symbol"]: parse_price(each["last"]) for each in body["quotes"]}
        return self._last

    async def until_open(self, within_s: float = 60.0) -> None:
        """Return early in a session: what is placed now does not meet its close at once."""
        was_closed = False
        async with asyncio.timeout(within_s):
            while True:
                status, board, _ = await self.read("/v1/quotes")
                is_open = status == 200 and board["phase"] == "OPEN"
                if is_open and (was_closed or board["market_time"][11:13] < EARLY_HOUR):
                    return
                was_closed = not is_open
                await asyncio.sleep(0.05)

    async def below(self, symbol: str) -> str:
        """A limit at which nobody sells soon: six per cent below the market, within the collar of a day's moves."""
        return price_text((await self.prices())[symbol] * 94 // 100 // TICK * TICK)

    async def trade(self, stop: asyncio.Event) -> None:
        """Act now and then until told to stop; what was begun is brought to its end."""
        while not stop.is_set():
            prices = await self.prices()
            if prices:
                await self._act(prices)
            await asyncio.sleep(self._random.expovariate(1 / THINK_SECONDS))

    async def _once(self, method: str, path: str, body: Any, key: str, asked: tuple[str, str]) -> Told | None:
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        began = time.monotonic()
        try:
            async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
                said = await answer.json(content_type=None)
                status, sent = answer.status, answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as lost:
            took_ms = int((time.monotonic() - began) * 1000)
            self.history.add("info", self.account_id, *asked, reason=repr(lost), took_ms=took_ms)
            return None
        told = Told(status, said, sent.get("Tape-Position", ""))
        kind: Literal["ok", "fail", "info"] = "ok" if status in {200, 201} else "fail"
        kind = "info" if status in {202, 429} or status >= 500 else kind
        self.history.add(
            kind,
            self.account_id,
            *asked,
            status=status,
            position=told.position,
            reason=told.reason or (str(said.get("type", "")) if isinstance(said, dict) else ""),
            retry_after=sent.get("Retry-After", ""),
            took_ms=int((time.monotonic() - began) * 1000),
        )
        return None if kind == "info" else told

    async def _act(self, prices: dict[str, int]) -> None:
        draw, symbol = self._random.random(), self._random.choice(sorted(prices))
        quantity = str(self._random.randint(1, 5))
        order = {"symbol": symbol, "quantity": quantity}
        if draw < 0.15:
            await self.place(**order, side="BUY", kind="MARKET")
        elif draw < 0.35:
            await self.place(**order, side="SELL", kind="MARKET")
        elif draw < 0.45 and self.placed:
            await self.ask("DELETE", ORDER, order_id=self._random.choice(self.placed[-5:]))
        elif draw < 0.55 and self.placed:
            terms = {"quantity": quantity, "limit_price": self._near(prices[symbol])}
            await self.ask("PUT", ORDER, terms, order_id=self._random.choice(self.placed[-5:]))
        elif draw < 0.60:
            amount = self._random.choice(["12.34", "99000000.00"])
            await self.ask("POST", "/v1/accounts/{account_id}/withdrawals", {"amount": amount})
        else:
            side, life = self._random.choice(["BUY", "BUY", "SELL"]), self._random.choice(["DAY", "GTC"])
            limit = self._near(prices[symbol])
            await self.place(**order, side=side, kind="LIMIT", limit_price=limit, time_in_force=life)

    def _near(self, price: int) -> str:
        return price_text(max(TICK, (price + self._random.randint(-40, 40) * TICK) // TICK * TICK))


class Market:
    """Where accounts are made: one session of HTTP, one history, one mint."""

    def __init__(self, session: aiohttp.ClientSession, url: str, state_dir: Path, history: History) -> None:
        self.history = history
        self.traders: list[Trader] = []
        self._session = session
        self._url = url
        self._mint = Mint(state_dir)

    def token(self, account_id: str, *scopes: Scope) -> str:
        """A token for one account, or `*`."""
        return self._mint.mint(tenant=TENANT, sub="ann", account_id=account_id, scopes=scopes, ttl_s=TOKEN_SECONDS)

    async def open_and_fund(self, count: int, dollars: str = "250000.00") -> list[Trader]:
        """New accounts whose cash may be spent."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def one() -> Trader:
            async with gate:
                return await self._opened(dollars)

        made = list(await asyncio.gather(*(one() for _ in range(count))))
        self.traders += made
        return made

    @contextlib.asynccontextmanager
    async def trading(self, traders: Sequence[Trader]) -> AsyncIterator[None]:
        """All of these trade at once for as long as this lasts, and know every outcome at its end."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(trader.trade(stop)) for trader in traders]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def until_told(self, count: int, within_s: float = KNOWN_WITHIN_SECONDS) -> None:
        """Return when so many more commands were answered for good: whatever is done next meets real traffic."""
        wanted = len(self.history.told("ok", "fail")) + count
        async with asyncio.timeout(within_s):
            while len(self.history.told("ok", "fail")) < wanted:
                await asyncio.sleep(0.05)

    async def cancel_all(self) -> None:
        """Nobody wants to trade any more."""
        for trader in self.traders:
            await trader.ask("POST", f"{ORDERS}/cancel-all")

    async def _opened(self, dollars: str) -> Trader:
        account_id = str(uuid.uuid4())
        token = self.token(account_id, Scope.TRADE, Scope.READ)
        trader = Trader(self._session, self._url, token, account_id, self.history)
        await trader.ask("POST", "/v1/accounts", {"currency": "USD"})
        await trader.ask("POST", "/v1/accounts/{account_id}/deposits", {"amount": dollars})
        await until_free(trader, dollars)
        await trader.pass_check()
        return trader


async def until_free(trader: Trader, dollars: str, within_s: float = 30.0) -> None:
    """Return when the ledger shows exactly this much free cash."""
    async with asyncio.timeout(within_s):
        while True:
            status, cash, _ = await trader.read("/v1/accounts/{account_id}/cash")
            if status == 200 and cash["free"] == dollars:
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def market(url: str, state_dir: Path, path: Path) -> AsyncIterator[Market]:
    """A market to trade in, with a history of its own in this file."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Market(session, url, state_dir, History(path))
