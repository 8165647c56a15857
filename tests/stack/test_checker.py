"""The independent checker on a whole stack: it finds nothing where nothing is wrong, and what is planted it names."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psycopg
import pytest

from deploy.local import jars, java
from infra.tokens import EVERY_ACCOUNT, Mint, Scope
from tests.faults import markets
from tests.faults.checker import collect
from tests.faults.checker.evidence import Heard
from tests.faults.checker.judge import judge
from tests.faults.checker.verdict import Verdict
from tests.faults.followers import Follower, following
from tests.faults.histories import Client, Log
from tests.kit.trading import TENANT, Trader
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

CUSTOMERS = 4
ANSWERS = 240
QUIET_WITHIN_SECONDS = 30.0
RIVAL = "rival"
SUBSCRIBED = ("orders", "accounts")


def token(stack: WholeStack, account: str, *scopes: Scope, tenant: str = TENANT) -> str:
    mint = Mint(stack.stack.state_dir)
    return mint.mint(tenant=tenant, sub="ann", account_id=account, scopes=scopes, ttl_s=600)


async def rival(stack: WholeStack, session: aiohttp.ClientSession, log: Log, foreign: str) -> None:
    """A customer of another tenant, who also knocks at the account of somebody else."""
    account = str(uuid.uuid4())
    bound = token(stack, account, Scope.TRADE, Scope.READ, tenant=RIVAL)
    client = Client(session, stack.addresses.gateway_url, bound, log, name="rival", tenant=RIVAL)
    assert (await client.until_known("POST", "/v1/accounts", {"currency": "USD"}, account=account)).kind == "ok"
    route = "/v1/accounts/{account_id}/deposits"
    assert (await client.until_known("POST", route, {"amount": "12.00"}, account=account)).kind == "ok"
    assert (await client.ask("GET", "/v1/accounts/{account_id}/orders", account=account)).kind == "ok"
    assert (await client.ask("GET", "/v1/accounts/{account_id}/orders", account=foreign)).status == 404
    assert (await client.ask("POST", route, {"amount": "1.00"}, account=foreign)).status == 404


async def partner(stack: WholeStack, session: aiohttp.ClientSession, log: Log, frames: Log) -> Follower:
    """A subscription to two contexts from the beginning of the tape."""
    desk = token(stack, EVERY_ACCOUNT, Scope.OPERATE)
    client = Client(session, stack.addresses.gateway_url, desk, log, name="desk", tenant=TENANT)
    body = {"label": "mirror", "contexts": list(SUBSCRIBED)}
    told = await client.until_known("POST", "/v1/partners/subscriptions", body)
    subscription = told.body["subscription_id"]
    opened = Heard(what="opened", mono_ns=0, client="partner", connection=0, door="sse", tenant=TENANT, scope=["*"])
    opened.topics = [f"{context}.events" for context in SUBSCRIBED]
    url = f"{stack.addresses.gateway_url}/v1/partners/subscriptions/{subscription}/stream"
    return Follower(session, url, token(stack, subscription, Scope.PARTNER), frames, opened)


def socket(stack: WholeStack, session: aiohttp.ClientSession, frames: Log, trader: Trader) -> Follower:
    """A customer's own websocket."""
    name = f"socket-{trader.account_id}"
    opened = Heard(what="opened", mono_ns=0, client=name, connection=0, tenant=TENANT, scope=[trader.account_id])
    return Follower(session, stack.addresses.gateway_url, token(stack, trader.account_id, Scope.READ), frames, opened)


@asynccontextmanager
async def traded(stack: WholeStack, folder: Path, *, customers: int, answers: int) -> AsyncIterator[list[Follower]]:
    """A run with customers, a rival, a partner and sockets; it is over, and the streams still hear."""
    state_dir, url = stack.stack.state_dir, stack.addresses.gateway_url
    async with markets.market(url, state_dir, folder) as market, aiohttp.ClientSession() as session:
        with Log(folder / "histories" / "others.ndjson") as log, Log(folder / "frames" / "streams.ndjson") as frames:
            traders = await market.open_and_fund(customers)
            await traders[0].until_open()
            followers = [await partner(stack, session, log, frames)]
            followers += [socket(stack, session, frames, trader) for trader in traders]
            async with following(*followers):
                async with market.trading(traders):
                    await rival(stack, session, log, traders[0].account_id)
                    await market.until_told(answers)
                await market.cancel_all()
                collect.mark(stack.addresses.kafka, folder)
                yield followers


async def judged(stack: WholeStack, folder: Path, followers: list[Follower]) -> Verdict:
    """The verdict once everything that was begun is done with, half a minute later at the latest.

    Evidence only grows: what is lost, torn or told wrongly stays so however often it is looked at.
    """
    until = time.monotonic() + QUIET_WITHIN_SECONDS
    while True:
        began = time.monotonic()
        for follower in followers:
            follower.leave(is_complete=True)
        await asyncio.to_thread(collect.audit, stack.stack.state_dir, folder)
        await asyncio.to_thread(collect.tables, stack.addresses.postgres, folder)
        await asyncio.to_thread(collect.topics, stack.addresses.kafka, folder)
        collect.finish(folder, is_quiet=True, seed=0)
        verdict = await asyncio.to_thread(judge, folder)
        if verdict.is_clean or began > until:
            return verdict
        await asyncio.sleep(1)


@pytest.mark.timeout(300)
async def test_a_run_in_which_nothing_is_wrong_is_found_clean(stack: WholeStack, tmp_path: Path) -> None:
    async with traded(stack, tmp_path, customers=CUSTOMERS, answers=ANSWERS) as followers:
        assert (await judged(stack, tmp_path, followers)).is_clean
    class_path = ":".join(map(str, jars.ensure()))
    collect.segments(stack.stack.state_dir / "kafka" / "data", class_path, str(java.find().path), tmp_path)
    verdict = judge(tmp_path)
    assert verdict.is_clean, verdict.findings
    assert not verdict.not_judged
    for what, least in (
        ("operations", ANSWERS),
        ("frames", ANSWERS),
        ("executions", 1),
        ("batches", 10),
        ("leaves", 10),
    ):
        assert verdict.judged[what] >= least, verdict.judged


@pytest.mark.timeout(300)
async def test_a_row_that_was_changed_and_a_frame_that_was_dropped_are_named(stack: WholeStack, tmp_path: Path) -> None:
    async with traded(stack, tmp_path, customers=1, answers=20) as followers:
        assert (await judged(stack, tmp_path, followers)).is_clean
    rows = "UPDATE public.ledger_lines SET amount = amount + %s WHERE topic = 'orders.events' AND sequence = %s"
    with psycopg.connect(stack.addresses.postgres, autocommit=True) as database:
        newest = "SELECT max(sequence) FROM public.ledger_lines WHERE topic = 'orders.events'"
        (sequence,) = database.execute(newest).fetchone() or (0,)
        database.execute(rows, (1, sequence))
        try:
            collect.tables(stack.addresses.postgres, tmp_path)
        finally:
            database.execute(rows, (-1, sequence))
    frames = tmp_path / "frames" / "streams.ndjson"
    lines = frames.read_bytes().splitlines(keepends=True)
    events = [at for at, line in enumerate(lines) if b'"client":"partner"' in line and b'"type":"event"' in line]
    del lines[events[len(events) // 2]]
    frames.write_bytes(b"".join(lines))
    verdict = judge(tmp_path)
    assert {"projection", "gap-untold"} <= set(verdict.found), verdict.found
    named = {each.what: each for each in verdict.findings}
    assert (named["projection"].invariant, named["projection"].sequence) == ("I6", sequence)
    assert named["gap-untold"].says.startswith("streams/partner: number")
