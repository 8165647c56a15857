"""The drop copy effect against the real paper venue: killed anywhere it loses no record, and a repeat is known."""

import contextlib
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from domain.reconciliation.records import Copy, Statement, VenueRecord, interpret
from infra.avro.codec import Codec
from infra.catalogue import Feed, fed
from infra.kafka.records import Arrived
from infra.kafka.topics import declare
from infra.settings import Settings
from streams.reconciliation import drop_copy
from tests.kit.hosting import Broker, Life, at_work, dies
from tests.simulators.kit import Program, ScriptedMarket, customer, program

pytestmark = pytest.mark.kafka
ORDERS = 20
ACCOUNT = "acme/ann"


@pytest.fixture
def broker(kafka: LocalKafka, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> Broker:
    run = f"copy{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(drop_copy, "FEED", f"{run}.messages")
    monkeypatch.setattr(drop_copy, "SEEN_GROUP", f"{run}.seen")
    declare(kafka.bootstrap, fed(run, [Feed("messages", object)]))
    return Broker(kafka.bootstrap, codec)


def venue_at(market: ScriptedMarket, tmp_path: Path) -> contextlib.AbstractAsyncContextManager[Program]:
    where = ("--market", f"127.0.0.1:{market.port}", "--journal", tmp_path / "journal")
    return program("venue", tmp_path / "log", *where)


def where(broker: Broker, venue: Program) -> Settings:
    return Settings(kafka=broker.bootstrap, venue_url=f"http://127.0.0.1:{venue.port}")


async def trade(venue: Program, first: int = 0, count: int = ORDERS) -> None:
    async with customer(venue) as ann:
        for number in range(first, first + count):
            await ann.buy(f"o{number}-1", 1, account=ACCOUNT)
        await ann.hears(lambda told: sum(each["type"] == "filled" for each in told) >= first + count)


async def control(venue: Program, **asked: object) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{venue.port}/back-office/control", json=asked) as answer,
    ):
        assert answer.status == 200
        status: dict[str, Any] = await answer.json()
        return status


def records(broker: Broker, arrived: Iterable[Arrived]) -> list[VenueRecord]:
    return [broker.codec.decode_observed(each.value, VenueRecord) for each in arrived]


def has_statement(broker: Broker, count: int = 1) -> Any:
    def enough(found: list[Arrived]) -> bool:
        ids = {each.source_id for each in records(broker, found) if each.source_id.startswith("statement")}
        return len(ids) >= count

    return enough


@pytest.mark.parametrize("point", ["send", "sent", "commit"])
async def test_a_kill_at_any_point_loses_no_copy_and_a_repeat_is_known(
    broker: Broker, tmp_path: Path, point: str
) -> None:
    life = Life(point, after=1 if point == "commit" else 7)
    async with ScriptedMarket.open() as market, venue_at(market, tmp_path) as venue:
        await trade(venue)
        async with broker.tools(where(broker, venue), life) as tools:
            with contextlib.suppress(BaseExceptionGroup, Exception):
                async with at_work(drop_copy.drop_copy, tools) as task:
                    await dies(task, life)
        assert life.is_over
        market.clock("CLOSED")
        async with broker.tools(where(broker, venue)) as tools, at_work(drop_copy.drop_copy, tools):
            found = records(broker, await broker.read(drop_copy.FEED, has_statement(broker)))
    meanings = [interpret(each) for each in found]
    copies = {each.execution_id: each for each in meanings if isinstance(each, Copy)}
    (statement,) = {each.as_of_ns: each for each in meanings if isinstance(each, Statement)}.values()
    assert sorted(each.order_id for each in copies.values()) == sorted(f"o{number}" for number in range(ORDERS))
    assert statement.executions == ORDERS
    assert statement.holdings == {"AAPL": sum(each.quantity for each in copies.values())}
    assert all(each.time_ns <= statement.as_of_ns for each in copies.values())
    assert {(each.tenant, each.account_id) for each in found} == {("acme", "ann")}
    assert len({msgspec.json.encode(each.body) for each in found}) == len(copies) + 1


async def test_the_venue_loses_repeats_and_releases_copies_as_it_is_told(broker: Broker, tmp_path: Path) -> None:
    async with ScriptedMarket.open() as market:
        async with venue_at(market, tmp_path) as venue:
            assert (await control(venue, drop=1, repeat=1))["to_drop"] == 1
            await trade(venue, count=3)
            (lost,) = (await control(venue))["withheld"]
            await control(venue, state=True)
            async with broker.tools(where(broker, venue)) as tools, at_work(drop_copy.drop_copy, tools):
                found = records(broker, await broker.read(drop_copy.FEED, has_statement(broker)))
            ids = [each.execution_id for each in map(interpret, found) if isinstance(each, Copy)]
            assert (len(ids), len(set(ids)), lost in ids) == (3, 2, False)
            await venue.kill()
        async with venue_at(market, tmp_path) as venue:
            assert (await control(venue))["withheld"] == [lost], "a restart does not heal what was lost"
            await control(venue, release=True, state=True)
            async with broker.tools(where(broker, venue)) as tools, at_work(drop_copy.drop_copy, tools):
                found = records(broker, await broker.read(drop_copy.FEED, has_statement(broker, 2)))
    assert lost in {each.execution_id for each in map(interpret, found) if isinstance(each, Copy)}
