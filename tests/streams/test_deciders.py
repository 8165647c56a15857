"""The host of all deciders on the real broker: once, in order, whatever ends in between."""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.accounts.events import AccountOpened, AccountRefused, CashDeposited
from domain.kernel.ids import DepositId, Micros
from domain.kernel.messages import GENESIS, Command, Event, Issued, OwnershipTaken, Recorded
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.chain import Link, follow
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.records import Outgoing
from infra.kafka.writer import Fenced, TapeWriter, UnclearEnd
from streams import snapshots
from streams.partition import Deciding, Knowledge
from streams.replay import MemoryAhead
from tests.kit.deciding import ARMS, Installation

pytestmark = pytest.mark.kafka
DECIDING = Deciding("accounts", accounts, (OpenAccount, DepositCash))


def issued(command: Command, account: str = "a", command_id: str = "", at: int | None = None) -> Issued[Command]:
    stamped = type(command)(**{**_fields(command), "at": Micros(wall() if at is None else at), "actor": "sub:x"})
    return Issued(
        command=stamped,
        command_id=command_id or uuid.uuid4().hex,
        tenant="t",
        stream_id=account,
        causation_id="",
        correlation_id="",
    )


def _fields(command: Command) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def opened(account: str = "a") -> Issued[Command]:
    return issued(OpenAccount(owner="x", currency="USD"), account)


def deposit(number: int, account: str = "a", command_id: str = "") -> Issued[Command]:
    return issued(DepositCash(deposit_id=DepositId(f"d{number}"), amount=Money(100)), account, command_id)


def chain_holds(records: Iterable[tuple[bytes, Recorded[Event]]]) -> None:
    links: dict[str, Link] = {}
    for value, recorded in records:
        links["p"] = follow(links.get("p", Link()), recorded, value, place="test")
    assert links


@pytest.fixture(params=sorted(ARMS))
def arm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def installation(kafka: LocalKafka, codec: Codec) -> Installation:
    return Installation(kafka.bootstrap, codec, DECIDING)


async def test_each_command_becomes_one_event_in_order(installation: Installation, arm: str) -> None:
    await installation.command([opened(), *(deposit(n) for n in range(50))])
    async with installation.running(arm):
        events = await installation.events(51)
    assert isinstance(events[0].event, AccountOpened)
    deposits = [each.event for each in events[1:]]
    assert [each.deposit_id for each in deposits if isinstance(each, CashDeposited)] == [f"d{n}" for n in range(50)]
    assert [each.version for each in events] == list(range(1, 52))


async def test_the_first_record_of_a_reign_says_whose_it_is(installation: Installation, arm: str) -> None:
    async with installation.running(arm, name="first"):
        await installation.command([opened()])
        await installation.events(1)
    async with installation.running(arm, name="second"):
        await installation.command([deposit(1)])
        await installation.events(2)
    records = await installation.everything()
    reigns = [(each.term, each.event.owner) for _, each in records if isinstance(each.event, OwnershipTaken)]
    assert reigns == [(1, "first"), (2, "second")]
    assert records[0][1].previous == GENESIS
    chain_holds(records)


async def test_a_command_that_is_sent_twice_is_decided_once(installation: Installation) -> None:
    await installation.command([opened(), deposit(1, command_id="same"), deposit(1, command_id="same"), deposit(2)])
    async with installation.running():
        events = await installation.events(3)
    assert [type(each.event) for each in events] == [AccountOpened, CashDeposited, CashDeposited]


async def test_a_command_sent_again_after_a_take_over_is_still_known(installation: Installation) -> None:
    async with installation.running(name="first"):
        await installation.command([opened(), deposit(1, command_id="same")])
        await installation.events(2)
    async with installation.running(name="second"):
        await installation.command([deposit(1, command_id="same"), deposit(2)])
        events = await installation.events(3)
    assert [each.command_id for each in events].count("same") == 1


async def test_state_survives_a_take_over_through_a_snapshot(installation: Installation) -> None:
    async with installation.running():
        await installation.command([opened(), deposit(1)])
        await installation.events(2)
    async with installation.running():
        # A repeat under another command id is refused by the aggregate itself, which only a restored state can do.
        await installation.command([deposit(1, command_id="another")])
        events = await installation.events(3)
    assert isinstance(events[-1].event, AccountRefused)


@pytest.mark.parametrize("lie", ["ahead of the tape", "of another tape", "read from too late"])
async def test_a_snapshot_that_does_not_stand_for_the_tape_is_left_aside(installation: Installation, lie: str) -> None:
    """A stale owner's snapshot once named a place beyond what it knew: its successor skipped events, and forked."""
    async with installation.running():
        await installation.command([opened(), *(deposit(n) for n in range(4))])
        await installation.events(5)
    knowledge, offset = await _kept(installation)
    link = knowledge.link
    if lie == "ahead of the tape":
        link = msgspec.structs.replace(link, sequence=link.sequence + 3)
    elif lie == "of another tape":
        link = msgspec.structs.replace(link, hash=bytes(32))
    else:
        link, offset = msgspec.structs.replace(link, sequence=link.sequence - 2), offset + 50
    writer = Protocol2Writer(installation.bootstrap, f"{installation.context}.snapshots", 0)
    await writer.take_over()
    await snapshots.write(
        writer, msgspec.structs.replace(knowledge, link=link), ["a"], DECIDING.decider.initial, offset
    )
    await writer.close()
    async with installation.running():
        await installation.command([deposit(9)])
        events = await installation.events(6)
    assert [each.version for each in events] == [1, 2, 3, 4, 5, 6]
    chain_holds(await installation.everything())


async def _kept(installation: Installation) -> tuple[Knowledge, int]:
    reader = Reader(installation.bootstrap, "kept")
    try:
        kept = await snapshots.read(reader, f"{installation.context}.snapshots", 0, DECIDING.decider.initial)
    finally:
        await reader.close()
    assert kept is not None
    return kept


async def test_owners_are_numbered_on_across_snapshots(installation: Installation) -> None:
    for reign in range(3):
        async with installation.running(name=f"owner-{reign}"):
            await installation.command([opened() if not reign else deposit(reign)])
            await installation.events(reign + 1)
    reigns = [each for _, each in await installation.everything() if isinstance(each.event, OwnershipTaken)]
    assert [each.version for each in reigns] == [1, 2, 3]


async def test_poison_goes_to_the_dead_letters_and_the_partition_goes_on(installation: Installation) -> None:
    await installation.command([opened()])
    for poison in (b"", b"\x00", b"garbage of some length", b"\x00\x00\x00\xff\xff1", b"\x00\x00\x00\x00\x02short"):
        await installation.raw(poison)
    await installation.command([deposit(1)])
    async with installation.running():
        events = await installation.events(2)
        dead = await installation.dead(5)
    assert isinstance(events[-1].event, CashDeposited)
    causes = [letter["cause"] for letter in dead]
    assert causes == [b"TRUNCATED", b"TRUNCATED", b"NO_FRAME", b"UNKNOWN_SCHEMA", b"GARBAGE"]
    assert dead[0]["source"] == f"{installation.context}.commands|0|1".encode()


async def test_a_command_of_another_tenant_never_reaches_the_stream(installation: Installation) -> None:
    foreign = msgspec.structs.replace(deposit(1), tenant="another")
    await installation.command([opened(), foreign, deposit(2)])
    async with installation.running():
        events = await installation.events(2)
        dead = await installation.dead(1)
    assert [each.tenant for each in events] == ["t", "t"]
    assert dead[0]["cause"] == b"WRONG_TENANT"


async def test_the_second_owner_fences_the_first(installation: Installation, arm: str) -> None:
    with pytest.raises(BaseException) as fenced:  # noqa: PT011  what the first owner dies of is looked at below
        async with installation.running(arm, name="first"):
            await installation.command([opened()])
            await installation.events(1)
            async with installation.running(arm, name="second"):
                await installation.command([deposit(1)])
                await installation.events(2)
                await installation.command([deposit(2)])
                await installation.events(3)
    assert "later owner" in str(fenced.value)
    chain_holds(await installation.everything())


class Treacherous(Protocol2Writer):
    """A writer whose ends can be made to lie: said to be clear and never sent, or sent and said to be unclear."""

    lies: ClassVar[list[str]] = []

    async def append(self, records: Sequence[Outgoing]) -> None:
        await self.send(records)
        await self.end()

    async def send(self, records: Sequence[Outgoing]) -> None:
        self._is_swallowed = bool(self.lies) and self.lies[0] == "swallow" and self.topic.endswith(".events")
        if self._is_swallowed:
            self.lies.pop(0)
            return
        await super().send(records)

    async def end(self) -> None:
        if self._is_swallowed:
            return
        await super().end()
        if self.lies and self.lies[0] == "unclear" and self.topic.endswith(".events"):
            self.lies.pop(0)
            self._state = type(self._state)["STRANGER"]
            raise UnclearEnd("the answer was lost")


@pytest.fixture
def treacherous(installation: Installation) -> Iterator[Callable[[str, int], TapeWriter]]:
    Treacherous.lies.clear()
    yield lambda topic, partition: Treacherous(installation.bootstrap, topic, partition)
    Treacherous.lies.clear()


async def test_an_end_that_was_unclear_and_stands_is_not_decided_again(
    installation: Installation, treacherous: Callable[[str, int], TapeWriter]
) -> None:
    async with installation.running(writer=treacherous):
        await installation.command([opened()])
        await installation.events(1)
        Treacherous.lies.append("unclear")
        await installation.command([deposit(n) for n in range(5)])
        events = await installation.events(6)
    assert [each.version for each in events] == [1, 2, 3, 4, 5, 6]
    records = await installation.everything()
    assert {each.term for _, each in records} == {1}
    chain_holds(records)


async def test_an_owner_whose_memory_is_ahead_of_the_tape_ends_itself(
    installation: Installation, treacherous: Callable[[str, int], TapeWriter]
) -> None:
    with pytest.raises(MemoryAhead, match="start again"):
        async with installation.running(writer=treacherous) as deciders:
            await installation.command([opened()])
            await installation.events(1)
            Treacherous.lies.append("swallow")
            await installation.command([deposit(1)])
            owner = deciders.owners()[0]
            async with asyncio.timeout(10):
                while owner.partition.knowledge.link.sequence < 2:
                    await asyncio.sleep(0.01)
            await owner.recover()
    async with installation.running():
        events = await installation.events(2)
    assert [type(each.event) for each in events] == [AccountOpened, CashDeposited]
    chain_holds(await installation.everything())


async def test_a_zombie_that_fences_its_successor_finds_the_newer_term_and_ends_itself(
    installation: Installation, treacherous: Callable[[str, int], TapeWriter]
) -> None:
    with pytest.raises(Fenced, match="term 2 reigns"):
        async with installation.running(writer=treacherous, name="zombie") as zombie:
            await installation.command([opened()])
            await installation.events(1)
            async with installation.running(name="successor"):
                pass
            owner = zombie.owners()[0]
            await owner.recover()
    chain_holds(await installation.everything())


async def test_an_owner_does_not_take_its_rivals_term_for_its_own(installation: Installation) -> None:
    """Both counted the same term; one found the other's first record in the place of its own, and reigned under it."""
    rivals = ["rival"]

    class Preempted(Protocol2Writer):
        async def append(self, records: Sequence[Outgoing]) -> None:
            if self.topic.endswith(".events") and rivals:
                async with installation.running(name=rivals.pop()):
                    pass
                self._state = type(self._state)["STRANGER"]
                raise UnclearEnd("nothing was heard of it")
            await super().append(records)

    with pytest.raises(Fenced, match="term 1 is a rival's"):
        async with installation.running(
            writer=lambda topic, partition: Preempted(installation.bootstrap, topic, partition), name="late"
        ):
            pass
    owners = [each.event.owner for _, each in await installation.everything() if isinstance(each.event, OwnershipTaken)]
    assert owners == ["rival"]
