"""The host of all effects: ready when all talk, loud when one of them ends."""

import asyncio

import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import OpenAccount
from domain.kernel.ids import Micros
from domain.kernel.messages import Issued
from infra.avro.codec import Codec
from infra.catalogue import deciding
from infra.kafka.topics import declare
from infra.settings import Settings
from streams.effects import Effect, Effects, Tools
from tests.kit.hosting import PATIENCE_S, Broker

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(kafka: LocalKafka, codec: Codec) -> Broker:
    return Broker(kafka.bootstrap, codec)


async def talks(_: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    is_ready.set()
    await stop.wait()


async def is_deaf(_: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    await stop.wait()


async def ends(_: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    is_ready.set()


async def fails(_: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    raise ConnectionError("the outside is gone")


async def test_is_ready_when_every_effect_talks_and_names_those_that_do_not(broker: Broker) -> None:
    async with broker.tools(Settings()) as tools:
        host, stop = Effects([Effect("good", talks), Effect("deaf", is_deaf)], tools), asyncio.Event()
        running = asyncio.create_task(host.run(stop))
        async with asyncio.timeout(PATIENCE_S):
            while host.ready()[1] != "waiting for deaf":
                await asyncio.sleep(0.01)
        assert not host.ready()[0]
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


async def test_an_effect_that_ends_by_itself_ends_the_process_and_is_named(broker: Broker) -> None:
    async with broker.tools(Settings()) as tools:
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(
                Effects([Effect("good", talks), Effect("brief", ends)], tools).run(asyncio.Event()), PATIENCE_S
            )
    assert ended.group_contains(RuntimeError, match="effect brief ended by itself; start the process again")


async def test_an_effect_that_fails_takes_the_others_with_it(broker: Broker) -> None:
    async with broker.tools(Settings()) as tools:
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(
                Effects([Effect("good", talks), Effect("bad", fails)], tools).run(asyncio.Event()), PATIENCE_S
            )
    assert ended.group_contains(ConnectionError, match="the outside is gone")


async def test_what_a_tool_sends_is_acknowledged_with_its_id_and_digest(broker: Broker) -> None:
    declare(broker.bootstrap, {spec.name: spec for spec in deciding("accounts")}.values())
    issued = Issued(
        command=OpenAccount(at=Micros(1), actor="effect:test", owner="ann", currency="USD"),
        command_id="told-once",
        tenant="acme",
        stream_id="effects-ann",
        causation_id="",
        correlation_id="",
    )
    async with broker.tools(Settings()) as tools:
        await tools.send("accounts", issued)
    arrived = next(each for each in await broker.all_of("accounts.commands") if each.key == b"effects-ann")
    assert broker.codec.decode_command(arrived.value) == issued
    assert arrived.headers == {"command-id": b"told-once", "digest": broker.codec.digest(issued)}
