"""The gateway is killed with streams open: their partners come again and miss nothing."""

import asyncio
import uuid
from typing import Any

import aiohttp
import pytest

from gateways.partners.reader import PartnerReader
from infra.tokens import EVERY_ACCOUNT, Mint, Scope
from tests.kit.trading import TENANT, Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack
KILLS = 3
ANSWERS_BETWEEN = 10
"""Commands that are answered for good between two kills."""


def token(stack: WholeStack, account_id: str, *scopes: Scope) -> str:
    mint = Mint(stack.stack.state_dir)
    return mint.mint(tenant=TENANT, sub="desk", account_id=account_id, scopes=scopes, ttl_s=600)


async def subscribed(stack: WholeStack, session: aiohttp.ClientSession) -> str:
    headers = {
        "Authorization": f"Bearer {token(stack, EVERY_ACCOUNT, Scope.OPERATE)}",
        "Idempotency-Key": uuid.uuid4().hex,
    }
    body = {"label": "mirror", "contexts": ["orders", "accounts"]}
    url = f"{stack.addresses.gateway_url}/v1/partners/subscriptions"
    async with session.post(url, json=body, headers=headers) as answer:
        assert answer.status == 201
        return str((await answer.json())["subscription_id"])


def reader(stack: WholeStack, session: aiohttp.ClientSession, subscription_id: str) -> PartnerReader:
    bound = token(stack, subscription_id, Scope.PARTNER)
    return PartnerReader(session, stack.addresses.gateway_url, bound, subscription_id)


async def until_connected(partner: PartnerReader, times: int) -> None:
    """The stream is open again: a gateway that is killed before that is killed under nobody."""
    async with asyncio.timeout(60):
        while partner.connections < times:
            await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_a_partner_misses_nothing_when_the_gateway_is_killed_under_its_stream(
    stack: WholeStack, market: Market
) -> None:
    async with aiohttp.ClientSession() as session:
        subscription_id = await subscribed(stack, session)
        partner = reader(stack, session, subscription_id)
        found: list[dict[str, Any]] = []

        async def follow() -> None:
            async for frame in partner.frames():
                found.append(frame)  # noqa: PERF401  (it is looked at while it grows)

        following = asyncio.create_task(follow())
        traders = await market.open_and_fund(3)
        async with market.trading(traders):
            for before in range(KILLS):
                await market.until_told(ANSWERS_BETWEEN)
                await until_connected(partner, before + 1)
                await stack.until_started_again("gateway", stack.kill("gateway"))
            await market.until_told(ANSWERS_BETWEEN)
            await until_connected(partner, KILLS + 1)
        replay = reader(stack, session, subscription_id)
        everything = {
            frame["event"]["event_id"] async for frame in replay.frames(until="now") if frame["type"] == "event"
        }
        async with asyncio.timeout(60):
            while not everything <= {each["event"]["event_id"] for each in found if each["type"] == "event"}:
                await asyncio.sleep(0.1)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        numbers: dict[str, int] = {}
        for frame in found:
            if frame["type"] == "event":
                assert frame["number"] == numbers.get(frame["key"], 0) + 1
                numbers[frame["key"]] = frame["number"]
