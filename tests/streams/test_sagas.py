"""The host of all sagas on the real broker: the same steps for an event, whatever ends between them."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.events import CashDeposited
from domain.kernel.ids import DepositId, derived
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.kafka.chain import link_from
from infra.kafka.groups import Groups
from infra.kafka.records import Arrived
from infra.kafka.topics import TopicSpec, declare
from infra.settings import Settings
from streams.following import Follower
from streams.sagas import Saga, Sagas, Step
from tests.kit.hosting import PATIENCE_S, Broker, Killed, Life, dies
from tests.kit.tape import Tape

pytestmark = pytest.mark.kafka
ACCOUNT = "ann"
EVENTS = 12
"""The opening and eleven deposits."""


class Bank:
    """One partition of events of the test's own, a saga that doubles every deposit, and the topic of its commands."""

    def __init__(self, broker: Broker, run: str) -> None:
        self.broker = broker
        self.run = run
        self.source, self.target = f"{run}-in", f"{run}-out"
        self.saga = Saga(f"{run}.double", (self.source,), self._on_event)
        self.tape = Tape(broker.codec, partitions=1)
        self.trouble: Callable[[], str] = str
        self.ready: Callable[[], tuple[bool, str]] = lambda: (False, "")
        self._written = 0
        topics = (f"{self.source}.events", f"{self.target}.commands")
        declare(broker.bootstrap, [TopicSpec(name=topic, partitions=1) for topic in topics])

    def decide(self, count: int = EVENTS) -> list[Arrived]:
        """So many more events, not written yet."""
        for _ in range(count):
            number = len(self.tape.recorded())
            deposit = DepositCash(deposit_id=DepositId(f"d{number}"), amount=Money(number))
            self.tape.decide("accounts", ACCOUNT, deposit if number else OpenAccount(owner="ann", currency="USD"))
        fresh, self._written = self.tape.arrived[self._written :], len(self.tape.arrived)
        return fresh

    async def write(self, records: Sequence[Arrived]) -> None:
        await self.broker.write(f"{self.source}.events", records)

    async def sent(self, count: int) -> list[Arrived]:
        """The commands that were sent, once there are so many."""
        return await self.broker.read(f"{self.target}.commands", count, [0])

    @contextlib.asynccontextmanager
    async def host(self, life: Life | None = None) -> AsyncIterator["asyncio.Task[None]"]:
        """The host at work; `trouble` says what it is not ready for."""
        async with self.broker.tools(Settings(), life) as tools:
            follower = Follower(self.run, [f"{self.source}.events"], tools.readers("sagas"), tools.groups, tools.codec)
            stop = asyncio.Event()
            sagas = Sagas([self.saga], follower, tools.sender, tools.codec)
            self.trouble = follower.trouble
            self.ready = sagas.ready
            task = asyncio.create_task(sagas.run(stop))
            try:
                yield task
                stop.set()
                await asyncio.wait_for(task, PATIENCE_S)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def note(self) -> tuple[int, str]:
        """The place that is remembered, and the note beside it."""
        groups = Groups(self.broker.bootstrap)
        found = await groups.committed(self.run, [(f"{self.source}.events", 0)])
        await groups.close()
        return found[f"{self.source}.events", 0]

    def ids(self, events: Sequence[Recorded[Any]]) -> list[str]:
        """The ids of the steps of these events, as anyone can compute them."""
        deposits = [each for each in events if isinstance(each.event, CashDeposited)]
        return [derived("saga", self.saga.name, each.event_id, index) for each in deposits for index in (0, 1)]

    def _on_event(self, recorded: Recorded[Event]) -> Iterator[Step]:
        if isinstance(recorded.event, CashDeposited):
            for half in ("a", "b"):
                twice = DepositCash(
                    deposit_id=DepositId(recorded.event.deposit_id + half), amount=recorded.event.amount
                )
                yield Step(self.target, twice, stream_id="joint" if half == "b" else "")


@pytest.fixture
def bank(kafka: LocalKafka, codec: Codec) -> Bank:
    return Bank(Broker(kafka.bootstrap, codec), f"bank-{uuid.uuid4().hex[:8]}")


def ids_of(sent: Sequence[Arrived]) -> list[str]:
    return [each.headers["command-id"].decode() for each in sent]


async def test_each_event_makes_its_steps_once_and_in_order(bank: Bank) -> None:
    async with bank.host():
        await bank.write(bank.decide())
        sent = await bank.sent(22)
    assert ids_of(sent) == bank.ids(bank.tape.recorded())
    first, second = (bank.broker.codec.decode_command(each.value) for each in sent[:2])
    assert (first.stream_id, second.stream_id) == (ACCOUNT, "joint")
    assert [each.key.decode() for each in sent[:2]] == [ACCOUNT, "joint"]
    assert (first.command.actor, first.tenant) == (f"saga:{bank.saga.name}", "acme")
    assert first.command.at == bank.tape.recorded()[1].recorded_at
    assert sent[0].headers["digest"] == bank.broker.codec.digest(first)


async def test_a_trace_goes_on_from_the_event_to_its_steps(bank: Bank) -> None:
    opened, deposited = bank.decide(2)[-2:]
    trace = {"traceparent": b"00-0123-4567-01"}
    async with bank.host():
        await bank.write([*bank.tape.arrived[:-2], opened, msgspec.structs.replace(deposited, headers=trace)])
        sent = await bank.sent(2)
    assert [each.headers["traceparent"] for each in sent] == [trace["traceparent"]] * 2


@pytest.mark.parametrize(("point", "after"), [("taken", 1), ("send", 1), ("send", 9), ("sent", 9), ("commit", 1)])
async def test_a_kill_between_sends_and_commit_sends_the_same_steps_again(bank: Bank, point: str, after: int) -> None:
    life = Life(point, after)
    await bank.write(bank.decide())
    with contextlib.suppress(Killed):
        async with bank.host(life) as task:
            await dies(task, life)
    assert life.is_over
    before = len(await bank.broker.all_of(f"{bank.target}.commands"))
    async with bank.host():
        sent = await bank.sent(before + 22)
    wanted = bank.ids(bank.tape.recorded())
    assert set(ids_of(sent)) == set(wanted)
    assert list(dict.fromkeys(ids_of(sent[before:]))) == wanted, "the whole batch is sent again, in order"


async def test_the_note_beside_the_place_is_the_link_of_the_chain(bank: Bank) -> None:
    records = bank.decide()
    await bank.write(records)
    async with bank.host():
        await bank.sent(22)
    offset, note = await bank.note()
    link = link_from(note)
    assert offset == len(records)
    assert (link.sequence, link.hash) == (len(records) - 1, hashlib.sha256(records[-1].value).digest())


async def test_a_restart_sends_nothing_twice_and_goes_on_checking(bank: Bank) -> None:
    for run in (1, 2, 3):
        async with bank.host():
            await bank.write(bank.decide(4))
            sent = await bank.sent(2 * (4 * run - 1))
    assert ids_of(sent) == bank.ids(bank.tape.recorded())


async def stops_at(bank: Bank, records: Sequence[Arrived]) -> str:
    """Why the host calls itself not ready when it reads these."""
    await bank.write(records)
    async with bank.host() as task:
        async with asyncio.timeout(PATIENCE_S):
            while not bank.trouble():
                await asyncio.sleep(0.02)
        is_ready, why = bank.ready()
        assert not is_ready
        assert not task.done(), "other partitions go on"
    return why


async def test_a_gap_stops_loudly_and_names_the_tape_position(bank: Bank) -> None:
    records = bank.decide()
    why = await stops_at(bank, [*records[:6], *records[7:]])
    assert why.startswith(f"{bank.source}.events[0]@6: sequence 7 follows 5")
    sent = await bank.broker.all_of(f"{bank.target}.commands")
    assert ids_of(sent) == bank.ids(bank.tape.recorded()[:5]), "what stands before the gap is done"
    assert (await bank.note())[0] == 6, "a restart begins at the gap"


async def test_a_forged_record_stops_loudly_also_after_a_restart(bank: Bank) -> None:
    records = bank.decide()
    await bank.write(records[:6])
    async with bank.host():
        await bank.sent(8)
    forged = bank.broker.codec.decode_event(records[6].value)
    value = bank.broker.codec.encode_event(msgspec.structs.replace(forged, previous=b"x" * 32))
    why = await stops_at(bank, [msgspec.structs.replace(records[6], value=value)])
    assert "[0]@6: previous is not the hash of sequence 5" in why
    assert await stops_at(bank, []) == why


async def test_an_unknown_schema_stops_and_names_the_tape_position(bank: Bank) -> None:
    records = bank.decide(3)
    unknown = b"\x00" + (9_999).to_bytes(4, "big") + b"later"
    why = await stops_at(bank, [*records, msgspec.structs.replace(records[-1], value=unknown)])
    assert f"{bank.source}.events[0]@{len(records)} stops this partition" in why
    assert "deploy readers first" in why
