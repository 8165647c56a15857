"""The bus on the real broker, and the one in memory that stands for it: one contract for both."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from deploy.local.kafka import LocalKafka, Profile
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.accounts.events import AccountOpened, AccountRefused, CashDeposited
from domain.kernel.ids import DepositId
from domain.kernel.messages import Command, Issued
from domain.kernel.money import Money
from infra import readback as readback_module
from infra.avro.codec import Codec
from infra.bus import Answer, Bus, CommandBus, DifferentRequest, Journal, OutcomeUnknown, Pending, Stopped
from infra.clock import wall
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.sender import Sender
from infra.readback import ReadBack
from streams.partition import Deciding
from tests.kit.deciding import Installation
from tests.kit.memory_bus import MemoryBus

pytestmark = pytest.mark.kafka
DECIDING = Deciding("accounts", accounts, (OpenAccount, DepositCash))


def issued(command: Command, *, account: str, command_id: str = "") -> Issued[Command]:
    return Issued(
        command=type(command)(
            **{name: getattr(command, name) for name in command.__struct_fields__} | {"at": wall(), "actor": "sub:x"}
        ),
        command_id=command_id or uuid.uuid4().hex,
        tenant="acme",
        stream_id=account,
        causation_id="",
        correlation_id="",
    )


def opened(account: str) -> Issued[Command]:
    return issued(OpenAccount(owner="ann", currency="USD"), account=account)


def deposit(account: str, cents: int = 100, command_id: str = "") -> Issued[Command]:
    return issued(
        DepositCash(deposit_id=DepositId(command_id or "d"), amount=Money(cents)),
        account=account,
        command_id=command_id,
    )


class Opened:
    """A bus of either kind, and the name under which its context goes."""

    def __init__(self, bus: CommandBus, context: str) -> None:
        self.bus = bus
        self.context = context

    async def send(self, command: Issued[Command], wait_ms: int = 15_000) -> Answer:
        """The decision."""
        return await self.bus.send(self.context, command, wait_ms)


@contextlib.asynccontextmanager
async def real(
    bootstrap: str, codec: Codec, context: str, journal: Journal | None = None
) -> AsyncIterator[tuple[Bus, ReadBack]]:
    readers = [Reader(bootstrap, "bus-events"), Reader(bootstrap, "bus-ends")]
    sender = Sender(bootstrap, "bus")
    readback = ReadBack(readers[0], readers[1], codec, (f"{context}.events",))
    bus = Bus(sender, codec, journal)
    readback.listen(bus.seen)
    async with asyncio.timeout(30):
        while True:
            try:
                await readback.begin()
                break
            except ReadFailed:  # The topics were declared a moment ago.
                await asyncio.sleep(0.1)
    running = asyncio.create_task(readback.run())
    try:
        yield bus, readback
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for reader in readers:
            await reader.close()
        await sender.close()


@pytest.fixture
def installation(kafka: LocalKafka, codec: Codec) -> Installation:
    return Installation(kafka.bootstrap, codec, DECIDING, partitions=2)


@pytest.fixture(params=["memory", "broker"])
async def doors(request: pytest.FixtureRequest, codec: Codec) -> AsyncIterator[Opened]:
    if request.param == "memory":
        yield Opened(MemoryBus(codec), "accounts")
        return
    installation: Installation = request.getfixturevalue("installation")
    async with (
        installation.running(),
        real(installation.bootstrap, codec, installation.context) as (bus, _),
    ):
        yield Opened(bus, installation.context)


async def test_answers_with_the_event_of_the_command(doors: Opened) -> None:
    command = opened("a")
    answer = await doors.send(command)
    assert isinstance(answer.recorded.event, AccountOpened)
    assert answer.recorded.command_id == command.command_id
    assert answer.topic == f"{doors.context}.events"


async def test_answers_a_refusal_like_a_fact(doors: Opened) -> None:
    answer = await doors.send(deposit("a"))
    assert isinstance(answer.recorded.event, AccountRefused)


async def test_answers_a_repeat_with_the_first_answer(doors: Opened) -> None:
    await doors.send(opened("a"))
    first = await doors.send(deposit("a", command_id="c1"))
    again = await doors.send(deposit("a", command_id="c1"))
    assert isinstance(first.recorded.event, CashDeposited)
    assert again == first
    assert await doors.bus.find("c1") == first


async def test_refuses_another_command_under_the_same_id(doors: Opened) -> None:
    await doors.send(opened("a"))
    await doors.send(deposit("a", command_id="c1"))
    with pytest.raises(DifferentRequest):
        await doors.send(deposit("a", cents=200, command_id="c1"))


async def test_finds_nothing_that_was_never_sent(doors: Opened) -> None:
    assert await doors.bus.find("never") is None


async def test_decides_once_for_many_who_send_the_same_at_once(installation: Installation, codec: Codec) -> None:
    async with installation.running(), real(installation.bootstrap, codec, installation.context) as (bus, _):
        doors = Opened(bus, installation.context)
        await doors.send(opened("a"))
        same = [doors.send(deposit("a", command_id="c1")) for _ in range(20)]
        other = doors.send(deposit("a", cents=5, command_id="c1"))
        answers = await asyncio.gather(*same, other, return_exceptions=True)
        assert isinstance(answers.pop(), DifferentRequest)
        assert len({each.recorded.event_id for each in answers if isinstance(each, Answer)}) == 1
        commands = await Reader(installation.bootstrap, "count").ends(f"{installation.context}.commands")
        assert sum(commands.values()) == 2


async def test_is_pending_when_nobody_decides_and_finds_the_decision_later(
    installation: Installation, codec: Codec
) -> None:
    async with real(installation.bootstrap, codec, installation.context) as (bus, _):
        doors = Opened(bus, installation.context)
        command = opened("a")
        with pytest.raises(Pending):
            await doors.send(command, wait_ms=300)
        async with installation.running():
            answer = await doors.send(command)
        assert isinstance(answer.recorded.event, AccountOpened)


async def test_knows_the_newest_answers_after_a_start(installation: Installation, codec: Codec) -> None:
    async with installation.running():
        async with real(installation.bootstrap, codec, installation.context) as (bus, _):
            first = await Opened(bus, installation.context).send(opened("a"))
        async with real(installation.bootstrap, codec, installation.context) as (bus, readback):
            assert await bus.find(first.recorded.command_id) == first
            assert readback.sequence(first.topic, first.partition) == first.recorded.sequence


async def test_knows_the_last_sequence_although_only_markers_stand_at_the_end(
    installation: Installation, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation.running():
        async with real(installation.bootstrap, codec, installation.context) as (bus, _):
            first = await Opened(bus, installation.context).send(opened("a"))
        monkeypatch.setattr(readback_module, "WARM_OFFSETS", 1)
        async with real(installation.bootstrap, codec, installation.context) as (_, readback):
            assert readback.sequence(first.topic, first.partition) == first.recorded.sequence


async def test_asks_the_journal_before_it_sends(installation: Installation, codec: Codec) -> None:
    async with installation.running(), real(installation.bootstrap, codec, installation.context) as (bus, _):
        command = opened("a")
        first = await Opened(bus, installation.context).send(command)

    async def journal(command_id: str) -> Answer | None:
        return first if command_id == command.command_id else None

    elsewhere = Installation(installation.bootstrap, codec, DECIDING, partitions=2)
    async with real(installation.bootstrap, codec, elsewhere.context, journal) as (bus, _):
        assert await Opened(bus, elsewhere.context).send(command) == first


async def test_sends_what_is_new_when_the_journal_cannot_be_asked(installation: Installation, codec: Codec) -> None:
    async def journal(_: str) -> Answer | None:
        raise OSError("away")

    async with installation.running(), real(installation.bootstrap, codec, installation.context, journal) as (bus, _):
        answer = await Opened(bus, installation.context).send(opened("a"))
        assert isinstance(answer.recorded.event, AccountOpened)


async def test_says_that_the_outcome_is_unknown_when_the_broker_is_away(
    tmp_path_factory: pytest.TempPathFactory, codec: Codec
) -> None:
    broker = LocalKafka(tmp_path_factory.mktemp("bus-kafka"), profile=Profile.TEST)
    broker.start()
    try:
        installation = Installation(broker.bootstrap, codec, DECIDING, partitions=2)
        async with real(broker.bootstrap, codec, installation.context) as (bus, readback):
            doors = Opened(bus, installation.context)
            assert readback.ready()[0]
            await asyncio.to_thread(broker.stop)
            command = opened("a")
            with pytest.raises(OutcomeUnknown):
                await doors.send(command)
            await asyncio.to_thread(broker.start)
            async with installation.running():
                answer = await doors.send(command, wait_ms=30_000)
            assert isinstance(answer.recorded.event, AccountOpened)
    finally:
        await asyncio.to_thread(broker.stop)


async def test_stops_loudly_at_a_broken_chain(installation: Installation, codec: Codec) -> None:
    async with installation.running(), real(installation.bootstrap, codec, installation.context) as (bus, readback):
        doors = Opened(bus, installation.context)
        answer = await doors.send(opened("a"))
        stray = codec.encode_event(answer.recorded)  # Its sequence is used: a fork.
        sender = Sender(installation.bootstrap, "stray")
        await sender.send(answer.topic, b"a", stray, {}, answer.partition)
        await sender.close()
        async with asyncio.timeout(10):
            while readback.ready()[0]:
                await asyncio.sleep(0.02)
        assert f"{answer.topic}[{answer.partition}]" in readback.ready()[1]
        bus.stop(readback.ready()[1])
        with pytest.raises(Stopped):
            await doors.send(deposit("a"))


async def test_is_not_ready_when_the_brokers_tell_no_ends(
    installation: Installation, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback_module, "LAG_AGE_MAX_S", 0.0)
    async with real(installation.bootstrap, codec, installation.context) as (_, readback):
        is_ready, why = readback.ready()
        assert not is_ready
        assert "not told the ends" in why
