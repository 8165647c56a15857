"""A partner's stream before a whole installation: nothing lost, nothing twice, each key in order, whatever breaks."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateways.client import Refused
from gateways.partners import reader as readers
from gateways.partners import sse
from gateways.partners.reader import PartnerReader
from infra import fanout
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.gateways.test_asyncapi import keeps_its_promise
from tests.kit.doors import Client
from tests.kit.live import Live

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
SUBSCRIPTIONS = "/v1/partners/subscriptions"
Frame = dict[str, Any]


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own: a partner sees all of its tenant."""
    return f"tenant-{uuid.uuid4().hex[:8]}"


class Partner:
    """A tenant with one partner, and whoever runs it."""

    def __init__(self, live: Live, session: aiohttp.ClientSession, tenant: str, subscription_id: str) -> None:
        self.subscription_id = subscription_id
        self.desk = desk_of(live, session, tenant)
        self._live = live
        self._session = session
        self._tenant = tenant

    def reader(self, cursor: str = "", *, tenant: str = "", subscription_id: str = "") -> PartnerReader:
        """A reader of the subscription, or with the token of another tenant's or another subscription's partner."""
        subscription_id = subscription_id or self.subscription_id
        token = self._live.token(subscription_id, [Scope.PARTNER], tenant=tenant or self._tenant)
        return PartnerReader(self._session, self._live.url, token, subscription_id, cursor)

    async def change(self, verb: str) -> None:
        """Pause, resume or end it."""
        response, _ = await self.desk.ask("POST", f"{SUBSCRIPTIONS}/{self.subscription_id}/{verb}", {"reason": "test"})
        assert response.status == 200

    async def deliveries(self) -> list[Any]:
        """What the installation says of its connections."""
        overseer = self.desk.with_token(self._live.token(EVERY_ACCOUNT, [Scope.PARTNER], tenant=self._tenant))
        response, found = await overseer.ask("GET", f"{SUBSCRIPTIONS}/{self.subscription_id}")
        assert response.status == 200
        deliveries: list[Any] = found["deliveries"]
        return deliveries


def desk_of(live: Live, session: aiohttp.ClientSession, tenant: str) -> Client:
    token = live.token(EVERY_ACCOUNT, [Scope.OPERATE, Scope.READ], tenant=tenant)
    return Client(session, live.url, token, EVERY_ACCOUNT)


async def subscribed(live: Live, session: aiohttp.ClientSession, tenant: str, *contexts: str) -> Partner:
    body = {"label": "mirror", "contexts": contexts or ("orders", "accounts")}
    response, made = await desk_of(live, session, tenant).ask("POST", SUBSCRIPTIONS, body)
    assert response.status == 201, made
    return Partner(live, session, tenant, made["subscription_id"])


@asynccontextmanager
async def partner(live: Live, tenant: str, *contexts: str) -> AsyncIterator[Partner]:
    async with aiohttp.ClientSession() as session:
        await live.until_ready(Client(session, live.url, "", ""))
        yield await subscribed(live, session, tenant, *contexts)


async def deposits(live: Live, tenant: str, accounts: Iterable[str], each: int) -> None:
    """Facts to follow: every account is opened and gets so many deposits, all accounts side by side."""

    async def one(account_id: str) -> None:
        client = Client(session, live.url, live.token(account_id, tenant=tenant), account_id)
        response, _ = await client.ask("POST", "/v1/accounts", {})
        assert response.status == 201
        for _ in range(each):
            response, _ = await client.ask("POST", "/v1/accounts/{}/deposits", {"amount": "1.00"})
            assert response.status == 201

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*map(one, accounts))


def some_accounts(count: int) -> list[str]:
    return [f"account-{uuid.uuid4().hex[:8]}" for _ in range(count)]


async def replayed(partner: Partner, cursor: str = "") -> list[Frame]:
    """Everything from here to now."""
    async with asyncio.timeout(60):
        return [frame async for frame in partner.reader(cursor).frames(until="now")]


def once_and_in_order(frames: list[Frame]) -> None:
    """Every key counts from one without a gap, and no event is told twice."""
    numbers: dict[str, int] = {}
    for frame in frames:
        if frame["type"] == "event":
            assert frame["number"] == numbers.get(frame["key"], 0) + 1, frame
            numbers[frame["key"]] = frame["number"]


def ids(frames: list[Frame]) -> list[str]:
    return [frame["event"]["event_id"] for frame in frames if frame["type"] == "event"]


async def told_of(frames: Any, accounts: list[str], each: int) -> list[Frame]:
    """Frames until so many deposits of each account were told."""
    found: list[Frame] = []
    left = dict.fromkeys(accounts, each)
    async with asyncio.timeout(90):
        while any(left.values()):
            frame = await anext(frames)
            found.append(frame)
            if frame["type"] == "event" and frame["event"]["event_type"] == "CashDeposited":
                left[frame["event"]["account_id"]] -= 1
    return found


async def test_tells_every_event_of_the_tenant_once_across_cut_connections(
    live: Live, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "AGAIN_SECONDS", 0.02)
    chance = random.Random(4)
    accounts = some_accounts(4)
    async with partner(live, tenant) as one, aiohttp.ClientSession() as cut_session:
        reader = one.reader()
        reader._session = cut_session
        found: list[Frame] = []
        told = 0
        making = asyncio.create_task(deposits(live, tenant, accounts, 25))
        async with asyncio.timeout(90):
            while told < 100:
                until = chance.randint(1, 12)
                async with aclosing(reader.connection()) as frames:
                    async for frame in frames:
                        found.append(frame)
                        told += frame["type"] == "event" and frame["event"]["event_type"] == "CashDeposited"
                        until -= 1
                        if until == 0 or told == 100:
                            break  # The socket is closed with whatever is on its way.
        await making
        once_and_in_order(found)
        assert reader.connections > 8
        again = await replayed(one)
        once_and_in_order(again)
        assert set(ids(found)) <= set(ids(again))
        assert len(ids(found)) == len(set(ids(found)))


async def test_numbers_are_the_same_on_every_connection_and_from_every_cursor(live: Live, tenant: str) -> None:
    accounts = some_accounts(2)
    async with partner(live, tenant) as one:
        async with aclosing(one.reader().frames()) as frames:
            making = asyncio.create_task(deposits(live, tenant, accounts, 5))
            lived = await told_of(frames, accounts, 5)
            await making
        everything = await replayed(one)
        numbered = {frame["event"]["event_id"]: (frame["key"], frame["number"]) for frame in everything[:-1]}
        for frame in lived:
            assert numbered[frame["event"]["event_id"]] == (frame["key"], frame["number"])
            keeps_its_promise(frame)
        assert everything[-1] | {"cursor": ""} == {"type": "end", "cursor": "", "reason": "REPLAYED"}
        keeps_its_promise(everything[-1])
        for at in (0, len(everything) // 2, len(everything) - 2):
            rest = ids(await replayed(one, everything[at]["cursor"]))
            assert len(rest) == len(set(rest))
            assert set(ids(everything[at + 1 :])) <= set(rest)
            assert not set(ids(everything[: at + 1])) & set(rest)


async def test_tells_a_slow_reader_of_its_gap_and_then_everything(
    live: Live, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "QUEUE_MAX", 3)
    accounts = some_accounts(6)
    async with partner(live, tenant) as one, aclosing(one.reader().connection()) as frames:
        making = asyncio.create_task(deposits(live, tenant, accounts, 15))
        found = await told_of(frames, accounts, 15)
        await making
        once_and_in_order(found)
        gaps = [frame for frame in found if frame["type"] == "gap"]
        assert gaps
        keeps_its_promise(gaps[0])


async def test_ends_when_it_is_paused_and_goes_on_from_its_cursor_when_it_is_resumed(live: Live, tenant: str) -> None:
    accounts = some_accounts(1)
    async with partner(live, tenant) as one:
        await deposits(live, tenant, accounts, 2)
        reader = one.reader()
        async with aclosing(reader.frames()) as frames:
            before = await told_of(frames, accounts, 2)
            await one.change("pause")
            async with asyncio.timeout(20):
                last = [frame async for frame in frames][-1]
        assert (last["type"], last["reason"]) == ("end", "PAUSED")
        with pytest.raises(Refused, match="paused"):
            await anext(reader.connection())
        more = some_accounts(1)
        await deposits(live, tenant, more, 2)
        await one.change("resume")
        after = await replayed(one, last["cursor"])
        once_and_in_order(before + after)
        assert {frame["event"]["account_id"] for frame in after if frame["type"] == "event"} == set(more)
        await one.change("end")
        with pytest.raises(Refused, match="ended"):
            await anext(one.reader().connection())


async def refusal(partner: Partner, **whose: str) -> int:
    with pytest.raises(Refused) as refused:
        await anext(partner.reader(**whose).connection())
    return int(refused.value.problem["status"])


async def test_finds_nothing_for_another_tenant_another_subscription_and_their_cursors(live: Live, tenant: str) -> None:
    async with partner(live, tenant) as one:
        await deposits(live, tenant, some_accounts(1), 1)
        cursor = (await replayed(one))[-1]["cursor"]
        assert await refusal(one, tenant="rival") == 404
        assert await refusal(one, subscription_id="unknown") == 404
        async with partner(live, "rival") as theirs, aiohttp.ClientSession() as session:
            assert await refusal(theirs, cursor=cursor) == 404
            sister = await subscribed(live, session, tenant)
            assert await refusal(sister, cursor=cursor) == 404
        assert await refusal(one, cursor="nonsense") == 400
        trader = one.desk.with_token(live.token(one.subscription_id, tenant=tenant))
        response, _ = await trader.ask("GET", f"{SUBSCRIPTIONS}/{one.subscription_id}/stream")
        assert response.status == 403


async def test_has_room_for_so_many_streams_and_no_more(
    live: Live, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STREAMS_MAX", 2)
    async with partner(live, tenant) as one:
        await deposits(live, tenant, some_accounts(1), 1)
        async with aclosing(one.reader().connection()) as first, aclosing(one.reader().connection()) as second:
            await asyncio.gather(anext(first), anext(second))
            response, problem = await one.desk.with_token(
                live.token(one.subscription_id, [Scope.PARTNER], tenant=tenant)
            ).ask("GET", f"{SUBSCRIPTIONS}/{one.subscription_id}/stream")
            assert (response.status, problem["type"]) == (429, "urn:tapeline:problem:too-many-streams")
        async with asyncio.timeout(20):  # The places are free again soon after the partner is gone.
            while not await anext(one.reader().connection(), None):
                await asyncio.sleep(0.05)


async def test_records_how_far_every_connection_was(live: Live, tenant: str) -> None:
    async with partner(live, tenant) as one:
        await deposits(live, tenant, some_accounts(1), 3)
        everything = await replayed(one)
        async with asyncio.timeout(20):
            while [each["stage"] for each in await one.deliveries()] != ["CLOSED"]:
                await asyncio.sleep(0.05)
        (delivery,) = await one.deliveries()
        assert delivery["sent"] == len(ids(everything))
        assert delivery["cursor"] == everything[-1]["cursor"]


async def test_speaks_when_nothing_happens(live: Live, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.05)
    async with partner(live, tenant) as one:
        headers = {"Authorization": f"Bearer {live.token(one.subscription_id, [Scope.PARTNER], tenant=tenant)}"}
        path = f"{live.url}{SUBSCRIPTIONS}/{one.subscription_id}/stream"
        async with aiohttp.ClientSession() as session, session.get(path, headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            async with asyncio.timeout(20):
                async for line in answer.content:
                    if line == b": heartbeat\n":
                        break


async def test_says_goodbye_when_the_gateway_stops_and_the_partner_comes_again(
    live: Live, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "AGAIN_SECONDS", 0.05)
    accounts = some_accounts(1)
    async with partner(live, tenant) as one:
        await deposits(live, tenant, accounts, 2)
        async with aclosing(one.reader().frames()) as frames:
            before = await told_of(frames, accounts, 2)
            await asyncio.to_thread(live.stop_part, "gateway")
            while (last := await anext(frames))["type"] != "end":
                before.append(last)  # What the sagas still had to say.
            assert last["reason"] == "GATEWAY_STOPS"
            live.start_part("gateway")
            await live.until_ready(one.desk)
            more = some_accounts(1)
            await deposits(live, tenant, more, 2)
            once_and_in_order(before + await told_of(frames, more, 2))
