"""Snapshots on the real broker: the newest counts, another shape or garbage is ignored, a torn one folds right."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.accounts.state import Account
from domain.kernel.ids import DepositId, Micros
from domain.kernel.messages import Command, Issued
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.topics import TopicSpec, declare
from infra.kafka.writer import BATCH_RECORDS_MAX
from streams import snapshots
from streams.partition import Deciding, Knowledge, OwnedPartition
from streams.replay import Replay

pytestmark = pytest.mark.kafka
DECIDING = Deciding("accounts", accounts, (OpenAccount, DepositCash))
NOW = Micros(1_700_000_000_000_000)


class OtherAccount(msgspec.Struct, frozen=True):
    """A state of another shape."""

    owner: str = ""


class Owner:
    """Decides in memory and writes snapshots to a topic of the test's own."""

    def __init__(self, bootstrap: str, codec: Codec) -> None:
        self.bootstrap = bootstrap
        self.codec = codec
        self.topic = f"snapshots-{uuid.uuid4().hex[:8]}"
        self.partition = OwnedPartition(DECIDING, 0, codec, lambda: NOW)
        self.tape: list[Arrived] = []
        self._commands = 0
        self._changed: set[str] = set()
        declare(bootstrap, [TopicSpec(name=self.topic, partitions=1, cleanup="compact")])

    @property
    def knowledge(self) -> Knowledge:
        return self.partition.knowledge

    def decide(self, account: str, command: Command) -> None:
        self._commands += 1
        issued = Issued(
            command=msgspec.structs.replace(command, at=Micros(NOW + self._commands), actor="sub:x"),
            command_id=f"c{self._commands}",
            tenant="acme",
            stream_id=account,
            causation_id="",
            correlation_id="",
        )
        value = self.codec.encode_command(issued)
        batch = self.partition.decide([Arrived("accounts.commands", 0, self._commands, account.encode(), value, {})])
        for record in batch.records:
            self.tape.append(Arrived("accounts.events", 0, len(self.tape), record.key, record.value, record.headers))
        self.partition.keep(batch)
        self._changed.add(account)

    def trade(self, *names: str) -> None:
        """Open these accounts, or bring more cash into those that are open."""
        for name in names:
            is_open = name in self.knowledge.streams
            deposit = DepositCash(deposit_id=DepositId(f"d{self._commands}"), amount=Money(100))
            self.decide(name, deposit if is_open else OpenAccount(owner=name, currency="USD"))

    async def write(self, initial: msgspec.Struct | None = None) -> None:
        """A snapshot of what has changed since the one before."""
        async with self.writer() as writer:
            state = initial or accounts.initial
            await snapshots.write(writer, self.knowledge, self._changed, state, len(self.tape))
        self._changed.clear()

    def writer(self) -> "Writing":
        return Writing(self.bootstrap, self.topic)

    async def read(self, initial: msgspec.Struct = accounts.initial) -> tuple[Knowledge, int] | None:
        """As an owner reads it: after a take-over, which waits for the end of whatever was under way."""
        reader = Reader(self.bootstrap, "snapshots")
        try:
            async with self.writer():
                return await snapshots.read(reader, self.topic, 0, initial)
        finally:
            await reader.close()

    def folded_from(self, kept: tuple[Knowledge, int]) -> Knowledge:
        """What an owner knows that starts from this snapshot and reads the rest of the tape."""
        other = OwnedPartition(DECIDING, 0, self.codec, lambda: NOW)
        other.knowledge, offset = kept
        replay = Replay(other)
        replay.read(self.tape[offset:])
        replay.settle()
        return other.knowledge


class Writing:
    """A writer of the snapshots' partition that owns it while it is open."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._writer = Protocol2Writer(bootstrap, topic, 0)

    async def __aenter__(self) -> Protocol2Writer:
        await self._writer.take_over()
        return self._writer

    async def __aexit__(self, *_: object) -> None:
        await self._writer.close()


@pytest.fixture
def owner(kafka: LocalKafka, codec: Codec) -> Owner:
    return Owner(kafka.bootstrap, codec)


async def test_there_is_none_at_first(owner: Owner) -> None:
    assert await owner.read() is None


async def test_what_was_written_is_what_is_read(owner: Owner) -> None:
    owner.trade("ann", "bob", "ann")
    await owner.write()
    kept = await owner.read()
    assert kept == (owner.knowledge, len(owner.tape))


async def test_the_newest_state_of_each_account_counts(owner: Owner) -> None:
    owner.trade("ann", "bob")
    await owner.write()
    owner.trade("ann", "ann")
    await owner.write()
    kept = await owner.read()
    assert kept == (owner.knowledge, len(owner.tape))
    assert {name: stream.version for name, stream in owner.knowledge.streams.items()} == {"ann": 3, "bob": 1}


async def test_a_state_of_another_shape_is_ignored(owner: Owner) -> None:
    owner.trade("ann")
    await owner.write()
    assert await owner.read(OtherAccount()) is None


async def test_one_account_of_an_older_shape_makes_the_whole_one_ignored(owner: Owner) -> None:
    owner.trade("ann")
    await owner.write(OtherAccount())
    owner.trade("bob")
    await owner.write()
    assert await owner.read() is None, "a snapshot without ann would forget her"


@pytest.mark.parametrize("key", [snapshots.MARKER_KEY, b"ann"])
@pytest.mark.parametrize("value", [b"", b"garbage", msgspec.msgpack.encode(["shape"]), msgspec.msgpack.encode({})])
async def test_one_that_cannot_be_read_is_ignored(owner: Owner, key: bytes, value: bytes) -> None:
    owner.trade("ann")
    await owner.write()
    async with owner.writer() as writer:
        await writer.append([Outgoing(key, value)])
    assert await owner.read() is None


async def test_a_torn_one_holds_states_that_are_newer_than_its_marker_and_folds_right(owner: Owner) -> None:
    owner.trade("ann", "bob")
    await owner.write()
    owner.trade("ann", "bob", "cid", "ann")
    # The owner dies after the first of two batches: ann and bob are new, cid and the marker are missing.
    shape = snapshots.shape_of(accounts.initial)
    states: Sequence[str] = ("ann", "bob")
    records = [Outgoing(name.encode(), snapshots._encoded(owner.knowledge.streams[name], shape)) for name in states]
    async with owner.writer() as writer:
        await writer.append(records)
    owner.trade("bob", "cid")
    kept = await owner.read()
    assert kept is not None
    assert kept[0].link.sequence == 1, "the marker is the old one"
    assert kept[0].streams["ann"].version == 3, "the state is not"
    assert owner.folded_from(kept) == owner.knowledge


async def test_more_accounts_than_a_batch_takes_are_written_in_several(owner: Owner) -> None:
    owner.trade(*(f"account{number}" for number in range(BATCH_RECORDS_MAX + 10)))
    await owner.write()
    kept = await owner.read()
    assert kept == (owner.knowledge, len(owner.tape))


async def test_what_an_account_has_decided_is_known_after_a_snapshot(owner: Owner) -> None:
    owner.trade("ann", "ann", "ann")
    await owner.write()
    kept: Any = await owner.read()
    (streams,) = kept[0].streams.values()
    assert isinstance(streams.state, Account)
    assert sorted(streams.known.values()) == [NOW + 1, NOW + 2, NOW + 3]
