"""The rig `installation`: this tree on a broker and a database of its own, clients, faults, then the checker.

Deciders, sagas, projector and a gateway run in one thread; two tenants pay in and out, a partner of each follows.
Deciders die between the records and the end of a transaction, connections of the database are killed, streams are cut.
"""

import argparse
import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
import msgspec
import structlog

import contexts
from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from infra import fanout
from infra.avro.codec import Codec
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.faults.checker import collect
from tests.faults.checker.evidence import Heard, Instant, Process
from tests.faults.checker.judge import judge
from tests.faults.checker.verdict import Finding, Verdict
from tests.faults.followers import Follower
from tests.faults.histories import Client, Log
from tests.faults.planted.seen import Seen, say
from tests.faults.planted.troubled import HANG_UP, Trouble, Troubled, kill_connections
from tests.kit.doors import TRADER

TENANTS = ("acme", "acme", "acme", "globex", "globex")
"""Whose the accounts are."""
QUEUE_MAX = 3
"""Events that wait for a follower: soon too many."""
STORM_S_MIN, STORM_S_MAX = 8.0, 25.0
PAID_MIN = 120
"""Commands after which a storm may end: a busy machine takes longer for them."""
QUIET_S = 60.0
"""Longest wait after the storm for everything that was begun."""
KNOWN_WITHIN_S = 15.0
OPEN_WITHIN_S = 240.0
"""Longest start of everything, on a machine that is busy with a dozen of these."""
CUT_EVERY_S = 0.7
HEALED_WITHIN_MS = 300_000
"""Not how fast it is counts here, but whether it comes at all: a machine may be busy with a dozen of these."""
LEAST_TELLING = ("liveness", "process", "evidence")
"""Kinds of findings that say that something stands still, and not why."""
PASSING = {*LEAST_TELLING, "gap-untold", "unbalanced"}
"""Kinds of findings that a run may still grow out of."""
HEARD = "heard.ndjson"
"""What streams have heard so far; what they had heard before the topics were read is evidence."""
PAID = {"amount": "12.34"}


def main() -> None:
    """Run once, and say what was seen."""
    parser = argparse.ArgumentParser(prog="tests.faults.planted.installed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave the evidence in this folder")
    given = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    fanout.QUEUE_MAX = QUEUE_MAX
    with tempfile.TemporaryDirectory(prefix="planted-run-") as folder:
        say(run(Path(folder), given.keep or Path(folder) / "evidence", Trouble(given.seed)))


def run(folder: Path, evidence: Path, trouble: Trouble) -> Seen:
    """One run, judged."""
    broker = LocalKafka(folder / "kafka", profile=Profile.TEST)
    database = LocalPostgres(folder)
    installation: Troubled | None = None
    try:
        broker.start()
        database.start()
        installation = Troubled(broker, database.dsn, folder, Codec(contexts.messages()), trouble)
        installation.start()
        verdict = asyncio.run(_stormed(installation, evidence))
    finally:
        if installation is not None:
            installation.leave()
        database.discard()
        broker.stop()
    first = min(verdict.findings, key=lambda each: each.what in LEAST_TELLING, default=None)
    return _seen(verdict, first, trouble)


def _seen(verdict: Verdict, first: Finding | None, trouble: Trouble) -> Seen:
    return Seen(
        after=0 if first is None else 1,
        of="runs",
        trials=1,
        operations=verdict.judged.get("operations", 0),
        faults=dict(trouble.done),
        by="" if first is None else f"checker: {first.what}",
        found="" if first is None else first.says,
    )


async def _stormed(live: Troubled, folder: Path) -> Verdict:
    """Clients and faults, then none, then the verdict."""
    async with aiohttp.ClientSession() as session, _logs(folder) as (histories, frames):
        accounts = [_client(live, session, histories, f"account-{uuid.uuid4().hex[:8]}", tenant) for tenant in TENANTS]
        await _until_open(live, session)
        for client, account in accounts:
            await client.until_known("POST", "/v1/accounts", {}, account=account)
        followers = [await _partner(live, session, histories, frames, tenant) for tenant in sorted(set(TENANTS))]
        storm = [asyncio.create_task(_followed(each, live.trouble)) for each in followers]
        storm.append(asyncio.create_task(kill_connections(live.settings.postgres, live.trouble)))
        fault = _instant("fault", mono_ns=0, wall_us=0)
        live.trouble.is_on = True
        paid = _Paid(live.trouble)
        await asyncio.gather(*(paid.by(client, account) for client, account in accounts))
        live.trouble.is_on = False
        _write(folder / "instants.ndjson", [fault, _instant("healed")])
        await asyncio.to_thread(collect.mark, live.kafka.bootstrap, folder)
        verdict = await _judged(live, folder, followers)
        for task in storm:
            task.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
        return verdict


async def _judged(live: Troubled, folder: Path, followers: list[Follower]) -> Verdict:
    """The verdict as soon as it is clean; after a while as it is. Evidence only grows: nothing bad goes away by it."""
    until = time.monotonic() + QUIET_S
    while True:
        began = time.monotonic()
        for follower in followers:
            follower.leave(is_complete=True)
        (folder / "frames").mkdir(exist_ok=True)
        shutil.copyfile(folder / HEARD, folder / "frames" / "streams.ndjson")
        await asyncio.to_thread(collect.tables, live.settings.postgres, folder)
        await asyncio.to_thread(collect.topics, live.kafka.bootstrap, folder)
        _write(folder / "processes.ndjson", [Process(name="hosts", is_running=True, unhandled=live.broken)])
        collect.finish(folder, is_quiet=True, seed=0)
        verdict = await asyncio.to_thread(judge, folder)
        if verdict.is_clean or began > until or not {*verdict.found} <= PASSING:
            return verdict
        await asyncio.sleep(0.5)


class _Paid:
    """What the customers do, until there was enough of it."""

    def __init__(self, trouble: Trouble) -> None:
        self._chance = trouble.chance
        self._began = time.monotonic()
        self._done = 0

    async def by(self, client: Client, account: str) -> None:
        """In, and now and then out again; what is unknown is asked again until it is known."""
        while not self._is_over():
            way = "withdrawals" if self._chance.random() < 0.3 else "deposits"
            route = f"/v1/accounts/{{account_id}}/{way}"
            await client.until_known("POST", route, PAID, account=account, within_s=KNOWN_WITHIN_S)
            self._done += 1

    def _is_over(self) -> bool:
        past_s = time.monotonic() - self._began
        return past_s > STORM_S_MAX or (past_s > STORM_S_MIN and self._done >= PAID_MIN)


async def _followed(follower: Follower, trouble: Trouble) -> None:
    """Hear, hang up, come again."""
    while True:
        hearing = asyncio.create_task(follower.follow())
        try:
            while not trouble.is_on:
                await asyncio.sleep(CUT_EVERY_S)
            await asyncio.sleep(trouble.chance.expovariate(1 / CUT_EVERY_S))
            while not trouble.strikes(HANG_UP, 1.0):
                await asyncio.sleep(CUT_EVERY_S)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def _partner(live: Troubled, session: aiohttp.ClientSession, log: Log, frames: Log, tenant: str) -> Follower:
    """A subscription to the books and the accounts of a tenant, from the beginning of the tape."""
    desk = live.token(EVERY_ACCOUNT, [Scope.OPERATE, Scope.READ], tenant=tenant)
    client = Client(session, live.url, desk, log, name=f"desk-{tenant}", tenant=tenant)
    body = {"label": "mirror", "contexts": ["orders", "accounts"]}
    told = await client.until_known("POST", "/v1/partners/subscriptions", body)
    subscription = told.body["subscription_id"]
    opened = Heard(what="opened", mono_ns=0, client=tenant, connection=0, door="sse", tenant=tenant, scope=["*"])
    opened.topics = ["orders.events", "accounts.events"]
    url = f"{live.url}/v1/partners/subscriptions/{subscription}/stream"
    return Follower(session, url, live.token(subscription, [Scope.PARTNER], tenant=tenant), frames, opened)


def _client(live: Troubled, session: aiohttp.ClientSession, log: Log, account: str, tenant: str) -> tuple[Client, str]:
    token = live.token(account, TRADER, tenant=tenant)
    return Client(session, live.url, token, log, name=account, tenant=tenant), account


async def _until_open(live: Troubled, session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(OPEN_WITHIN_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.get(f"{live.url}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _logs(folder: Path) -> AsyncIterator[tuple[Log, Log]]:
    with Log(folder / "histories" / "clients.ndjson") as histories, Log(folder / HEARD) as frames:
        yield histories, frames


def _instant(what: Literal["fault", "healed"], **at: int) -> Instant:
    now = {"mono_ns": time.monotonic_ns(), "wall_us": time.time_ns() // 1_000} | at
    return Instant(what=what, name="storm", within_ms=HEALED_WITHIN_MS, **now)


def _write(path: Path, lines: list[msgspec.Struct]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


if __name__ == "__main__":
    main()
