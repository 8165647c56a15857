"""Doors of a whole stack <- customers, a rival tenant, a partner and sockets; what all of them know -> the verdict.

Everybody writes histories and frames into the folder of the run, as the checker reads them. `traded` is a run whose
clients have left; `judged` collects the rest of the evidence and lets the checker, a process of its own, speak.
"""

import asyncio
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from deploy.local import folders
from infra.kafka.sender import murmur2_partition
from infra.settings import PARTITIONS
from infra.tokens import EVERY_ACCOUNT, Mint, Scope
from tests.faults import markets
from tests.faults.checker import collect
from tests.faults.checker.evidence import Heard
from tests.faults.checker.verdict import Verdict
from tests.faults.followers import Follower, following
from tests.faults.histories import Client, Log, Told
from tests.kit.trading import ANSWER_SECONDS_MAX, KNOWN_WITHIN_SECONDS, TENANT, Market, Trader
from tests.kit.whole_stack import Knocked, WholeStack

QUIET_WITHIN_SECONDS = 30.0
"""How long after the last healing everything that was begun must be done with."""
JUDGE_SECONDS_MAX = 240.0
"""Longest judgement: a tape of some hundred thousand events takes ten seconds on a machine that does nothing else."""
HEARD = "heard.ndjson"
"""What streams receive, for as long as a run lasts; evidence is what stood in it when the rest was collected."""
RIVAL = "rival"
RIVAL_SECONDS = 1.0
SUBSCRIBED = ("orders", "accounts")
ACCOUNT, DEPOSITS, OPEN = "/v1/accounts", "/v1/accounts/{account_id}/deposits", "/v1/accounts/{account_id}/orders"
ORDER = "/v1/accounts/{account_id}/orders/{order_id}"


class Rival:
    """A customer of another tenant, who also knocks at the account of somebody else."""

    def __init__(self, stack: WholeStack, session: aiohttp.ClientSession, log: Log, foreign: str) -> None:
        self._account = str(uuid.uuid4())
        self._foreign = foreign
        bound = token(stack, self._account, Scope.TRADE, Scope.READ, tenant=RIVAL)
        self._client = Client(session, stack.addresses.gateway_url, bound, log, name=RIVAL, tenant=RIVAL)

    async def open(self) -> None:
        """The rival's own account."""
        told = await self._client.until_known("POST", ACCOUNT, {"currency": "USD"}, account=self._account)
        assert told.kind == "ok", told

    async def visit(self, stop: asyncio.Event) -> None:
        """Pay in and look around, there and where it is not allowed, until told to stop."""
        while not stop.is_set():
            told = await self._client.until_known("POST", DEPOSITS, {"amount": "12.00"}, account=self._account)
            assert told.kind in {"ok", "info"}, told
            await self._client.ask("GET", OPEN, account=self._account)
            for told in (
                await self._client.ask("GET", OPEN, account=self._foreign),
                await self._client.ask("POST", DEPOSITS, {"amount": "1.00"}, account=self._foreign),
            ):
                assert told.status == 404 or told.kind == "info", f"a stranger was told {told}"
            await asyncio.sleep(RIVAL_SECONDS)


class Knocker:
    """An account in each partition, which asks for an order to be cancelled that nobody placed."""

    def __init__(self, stack: WholeStack, session: aiohttp.ClientSession, log: Log, traders: list[Trader]) -> None:
        self._clients: dict[int, tuple[str, Client]] = {}
        self._traders = traders
        self._ordered = 0
        while len(self._clients) < PARTITIONS:
            account = str(uuid.uuid4())
            bound = token(stack, account, Scope.TRADE)
            number = murmur2_partition(account.encode(), PARTITIONS)
            name = f"knocker-{number}"
            client = Client(session, stack.addresses.gateway_url, bound, log, name=name, tenant=TENANT)
            self._clients.setdefault(number, (account, client))

    async def open(self) -> None:
        """The accounts, so that whose they are stands on the tape."""
        asked = (
            client.until_known("POST", ACCOUNT, {"currency": "USD"}, account=account)
            for account, client in self._clients.values()
        )
        assert all(told.kind == "ok" for told in await asyncio.gather(*asked))

    async def knock(self) -> list[Knocked]:
        """One command to each partition of the orders; returns when all outcomes are known."""
        return list(await asyncio.gather(*map(self._knock, self._clients)))

    async def order(self) -> None:
        """One order to the venue, by one customer after the other."""
        self._ordered += 1
        trader = self._traders[self._ordered % len(self._traders)]
        for symbol in sorted(await trader.prices())[:1]:
            await trader.place(symbol=symbol, side="BUY", kind="MARKET", quantity="1")

    async def _knock(self, partition: int) -> Knocked:
        account, client = self._clients[partition]
        order, key, asked_ns = str(uuid.uuid4()), uuid.uuid4().hex, time.monotonic_ns()
        told = await client.until_known("DELETE", ORDER, account=account, key=key, order_id=order)
        command = client.command("DELETE", ORDER, account, key)
        return Knocked(partition, command, asked_ns, 0 if told.kind == "info" else time.monotonic_ns())


def token(stack: WholeStack, account: str, *scopes: Scope, tenant: str = TENANT) -> str:
    """What a client of this stack shows at the doors, for as long as a run may last."""
    mint = Mint(stack.stack.state_dir)
    return mint.mint(tenant=tenant, sub="ann", account_id=account, scopes=scopes, ttl_s=3_600)


async def _partner(
    stack: WholeStack, session: aiohttp.ClientSession, log: Log, streams: aiohttp.ClientSession, frames: Log
) -> Follower:
    """A subscription to two contexts from the beginning of the tape."""
    desk = token(stack, EVERY_ACCOUNT, Scope.OPERATE)
    client = Client(session, stack.addresses.gateway_url, desk, log, name="desk", tenant=TENANT)
    body = {"label": "mirror", "contexts": list(SUBSCRIBED)}
    told: Told = await client.until_known("POST", "/v1/partners/subscriptions", body)
    subscription = told.body["subscription_id"]
    opened = Heard(what="opened", mono_ns=0, client="partner", connection=0, door="sse", tenant=TENANT, scope=["*"])
    opened.topics = [f"{context}.events" for context in SUBSCRIBED]
    url = f"{stack.addresses.gateway_url}/v1/partners/subscriptions/{subscription}/stream"
    return Follower(streams, url, token(stack, subscription, Scope.PARTNER), frames, opened)


def _socket(stack: WholeStack, streams: aiohttp.ClientSession, frames: Log, trader: Trader) -> Follower:
    """A customer's own websocket."""
    name = f"socket-{trader.account_id}"
    opened = Heard(what="opened", mono_ns=0, client=name, connection=0, tenant=TENANT, scope=[trader.account_id])
    return Follower(streams, stack.addresses.gateway_url, token(stack, trader.account_id, Scope.READ), frames, opened)


@asynccontextmanager
async def traded(
    stack: WholeStack, folder: Path, *, customers: int, meanwhile: Callable[[Market], Awaitable[object]]
) -> AsyncIterator[list[Follower]]:
    """A run in which everybody is at work while `meanwhile` lasts; it is over, and the streams still hear."""
    state_dir, url = stack.stack.state_dir, stack.addresses.gateway_url
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    async with (
        markets.market(url, state_dir, folder) as market,
        aiohttp.ClientSession(timeout=timeout) as session,
        aiohttp.ClientSession() as streams,
    ):
        with Log(folder / "histories" / "others.ndjson") as log, Log(folder / HEARD) as frames:
            traders = await market.open_and_fund(customers)
            rival = Rival(stack, session, log, traders[0].account_id)
            knocker = Knocker(stack, session, log, traders)
            await asyncio.gather(rival.open(), knocker.open())
            await traders[0].until_open()
            followers = [await _partner(stack, session, log, streams, frames)]
            followers += [_socket(stack, streams, frames, trader) for trader in traders]
            async with following(*followers):
                async with market.trading(traders), _visiting(rival):
                    stack.doors = knocker
                    try:
                        await meanwhile(market)
                    finally:
                        stack.doors = None
                await market.cancel_all()
                collect.mark(stack.addresses.kafka, folder)
                yield followers


@asynccontextmanager
async def _visiting(rival: Rival) -> AsyncIterator[None]:
    stop = asyncio.Event()
    visits = asyncio.create_task(rival.visit(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(2 * KNOWN_WITHIN_SECONDS):
            await visits


async def judged(stack: WholeStack, folder: Path, followers: list[Follower], *, seed: int = 0) -> Verdict:
    """The verdict once everything that was begun is done with, half a minute later at the latest.

    Evidence only grows: what is lost, torn or told wrongly stays so however often it is looked at.
    """
    until = time.monotonic() + QUIET_WITHIN_SECONDS
    while True:
        began = time.monotonic()
        for follower in followers:
            follower.leave(is_complete=True)
        # The market plays on: what is heard while topics are read may stand behind what was read of them.
        frames = folder / "frames" / "streams.ndjson"
        frames.parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / HEARD, frames)
        await asyncio.to_thread(collect.audit, stack.stack.state_dir, folder)
        await asyncio.to_thread(collect.tables, stack.addresses.postgres, folder)
        await asyncio.to_thread(collect.topics, stack.addresses.kafka, folder)
        collect.finish(folder, is_quiet=True, seed=seed)
        verdict = await asyncio.to_thread(verdict_of, folder)
        if verdict.is_clean or began > until:
            return verdict
        await asyncio.sleep(1)


def verdict_of(folder: Path) -> Verdict:
    """What the checker says of this folder, in a process that knows nothing but the folder."""
    argv = (sys.executable, "-m", "tests.faults.checker", str(folder))
    ran = subprocess.run(argv, cwd=folders.ROOT, capture_output=True, timeout=JUDGE_SECONDS_MAX, check=False)
    assert ran.returncode in {0, 1}, ran.stderr.decode()
    return msgspec.json.decode(ran.stdout, type=Verdict)
