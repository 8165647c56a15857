"""The interpretation of the feed on the real broker: one command per message, whatever happens in between."""

import contextlib
import json
from typing import Any

import pytest

from domain.executions.messages import VenueMessage, command_id
from domain.kernel.ids import AccountId, Micros
from domain.orders.commands import RecordAcceptance, RecordCancel
from infra.kafka.records import Arrived
from infra.settings import Settings
from streams.executions import interpret
from tests.kit.hosting import Broker, Life, at_work, dies
from tests.streams.executions.floor import unique

pytestmark = pytest.mark.kafka
COMMANDS = "orders.commands"


def said(account: str, number: int, kind: str = "accepted", **more: Any) -> VenueMessage:
    body = {"type": kind, "client_order_id": f"walnut{number}-1", "time_ns": "1", "venue_order_id": "v", **more}
    return VenueMessage(
        source_id=f"{account}-{number}",
        venue="paper",
        tenant="acme",
        account_id=AccountId(account),
        sequence=number,
        body=json.dumps(body).encode(),
        received_at=Micros(1_700_000_000_000_000 + number),
    )


class Feed:
    """One account's messages on the feed, and the commands that they become."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.account = unique("ann")

    async def hears(self, *messages: VenueMessage | bytes) -> None:
        values = [each if isinstance(each, bytes) else self.broker.codec.encode_observed(each) for each in messages]
        await self.broker.write(interpret.FEED, [Arrived("", 0, 0, self.account.encode(), v, {}) for v in values])

    async def commands(self, count: int) -> list[Arrived]:
        mine = await self.broker.read(COMMANDS, lambda found: len(self._mine(found)) >= count)
        return self._mine(mine)

    def _mine(self, found: list[Arrived]) -> list[Arrived]:
        return [each for each in found if each.key == self.account.encode()]


@pytest.fixture
def feed(broker: Broker) -> Feed:
    return Feed(broker)


@pytest.fixture
def where(broker: Broker) -> Settings:
    return Settings(kafka=broker.bootstrap)


async def test_a_message_becomes_the_command_that_it_means(feed: Feed, where: Settings) -> None:
    message = said(feed.account, 1)
    async with feed.broker.tools(where) as tools, at_work(interpret.interpret, tools):
        await feed.hears(message, said(feed.account, 2, "cancelled"))
        sent = await feed.commands(2)
    first, second = (feed.broker.codec.decode_command(each.value) for each in sent)
    assert isinstance(first.command, RecordAcceptance)
    assert isinstance(second.command, RecordCancel)
    assert (first.tenant, first.stream_id) == ("acme", feed.account)
    assert first.command.at > message.received_at, "a report that waited is as new as any other command"
    assert sent[0].headers["command-id"].decode() == first.command_id == command_id(message)


async def test_a_repeat_has_the_command_id_of_the_first(feed: Feed, where: Settings) -> None:
    async with feed.broker.tools(where) as tools, at_work(interpret.interpret, tools):
        await feed.hears(said(feed.account, 1), said(feed.account, 2), said(feed.account, 1))
        sent = await feed.commands(3)
    ids = [each.headers["command-id"] for each in sent]
    assert ids[0] == ids[2] != ids[1]


async def test_poison_goes_to_the_dead_letters_and_the_feed_goes_on(feed: Feed, where: Settings) -> None:
    strange = said(feed.account, 2, "sang a song")
    async with feed.broker.tools(where) as tools, at_work(interpret.interpret, tools):
        await feed.hears(said(feed.account, 1), b"garbage", strange, said(feed.account, 3))
        sent = await feed.commands(2)
        dead = await feed.broker.read(f"{interpret.FEED}.dead", 2)
    assert [each.value for each in dead] == [b"garbage", feed.broker.codec.encode_observed(strange)]
    assert [each.headers["cause"] for each in dead] == [b"NO_FRAME", b"UNREADABLE"]
    assert b"type 'sang a song'" in dead[1].headers["detail"]
    assert len(sent) == 2


@pytest.mark.parametrize("point", ["taken", "send", "sent", "commit"])
async def test_a_kill_at_any_point_loses_no_command_and_makes_no_new_one(
    feed: Feed, where: Settings, point: str
) -> None:
    life = Life(point, after=3 if point.startswith("sen") else 1)
    messages = [said(feed.account, number) for number in range(20)]
    await feed.hears(*messages)
    async with feed.broker.tools(where, life) as tools:
        with contextlib.suppress(Exception):
            async with at_work(interpret.interpret, tools) as task:
                await dies(task, life)
    assert life.is_over
    async with feed.broker.tools(where) as tools, at_work(interpret.interpret, tools):
        await feed.hears(said(feed.account, 20))
        sent = await feed.commands(21)
        while command_id(said(feed.account, 20)).encode() != sent[-1].headers["command-id"]:
            sent = await feed.commands(len(sent) + 1)
    wanted = [command_id(each).encode() for each in [*messages, said(feed.account, 20)]]
    assert list(dict.fromkeys(each.headers["command-id"] for each in sent)) == wanted


async def test_a_restart_goes_on_where_the_last_run_stopped(feed: Feed, where: Settings) -> None:
    for number in range(3):
        async with feed.broker.tools(where) as tools, at_work(interpret.interpret, tools):
            await feed.hears(said(feed.account, number))
            sent = await feed.commands(number + 1)
    assert len(sent) == 3
