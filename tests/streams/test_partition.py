"""One owned partition in memory: what is decided, what is set aside, where a batch is cut; its time never falls."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.accounts.events import AccountRefused, CashDeposited
from domain.kernel.ids import DepositId, Micros
from domain.kernel.messages import Command, Issued, Recorded
from domain.kernel.money import Money
from domain.onboarding.commands import RequestKycCheck
from domain.onboarding.decide import onboarding
from domain.orders.commands import OpenTrading
from infra.avro.codec import Codec
from infra.kafka.chain import ChainBroken
from infra.kafka.records import Arrived
from infra.kafka.writer import BATCH_BYTES_MAX, size_of
from infra.settings import BATCH_COMMANDS_MAX, COMMAND_BYTES_MAX, EVENTS_BYTES_MAX, KNOWN_COMMANDS_MAX
from streams import partition, replay
from streams.partition import Batch, Deciding, OwnedPartition
from streams.replay import MemoryAhead, Replay
from tests.kit import kyc

DECIDING = Deciding("accounts", accounts, (OpenAccount, DepositCash))
START = 1_700_000_000_000_000


class Clock:
    """Shows what the test sets; a host's clock may fall."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> Micros:
        return Micros(self.now)


class Owner:
    """An owner with commands to decide; every batch it keeps is on its tape."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.clock = Clock()
        self.partition = OwnedPartition(DECIDING, 0, codec, self.clock)
        self.tape: list[Arrived] = []
        self._offset = 0
        self.keep(self.partition.ownership("me", 1))

    def arrived(self, command: Command, command_id: str, *, key: bytes = b"ann", at: int = START) -> Arrived:
        stamped = msgspec.structs.replace(command, at=Micros(at), actor="sub:ann")
        issued = Issued(
            command=stamped,
            command_id=command_id,
            tenant="acme",
            stream_id="ann",
            causation_id="",
            correlation_id="",
        )
        self._offset += 1
        return Arrived("accounts.commands", 0, self._offset, key, self.codec.encode_command(issued), {})

    def deposit(self, number: int, *, command_id: str = "", at: int = START) -> Arrived:
        command = DepositCash(deposit_id=DepositId(f"d{number}"), amount=Money(100))
        return self.arrived(command, command_id or f"c{number}", at=at)

    def keep(self, batch: Batch) -> Batch:
        for record in batch.records:
            self.tape.append(Arrived("accounts.events", 0, len(self.tape), record.key, record.value, record.headers))
        self.partition.keep(batch)
        return batch

    def decides(self, *commands: Arrived) -> Batch:
        return self.keep(self.partition.decide(commands))

    def recorded(self) -> list[Recorded[Any]]:
        return [self.codec.decode_event(each.value) for each in self.tape]


@pytest.fixture
def owner(codec: Codec) -> Owner:
    made = Owner(codec)
    made.decides(made.arrived(OpenAccount(owner="ann", currency="USD"), "open"))
    return made


def test_deciding_changes_nothing_until_it_is_kept(owner: Owner) -> None:
    before = owner.partition.knowledge
    batch = owner.partition.decide([owner.deposit(1)])
    assert owner.partition.knowledge is before
    assert batch.records == owner.partition.decide([msgspec.structs.replace(owner.deposit(1), offset=2)]).records


def test_a_command_is_known_within_its_batch_and_after_it(owner: Owner) -> None:
    batch = owner.decides(owner.deposit(1, command_id="same"), owner.deposit(1, command_id="same"))
    assert (len(batch.records), batch.taken, batch.dead) == (1, 2, ())
    batch = owner.decides(owner.deposit(1, command_id="same"))
    assert (batch.records, batch.taken, batch.dead) == ((), 1, ())


def test_each_event_names_its_command_and_the_record_before_it(owner: Owner) -> None:
    owner.decides(owner.deposit(1), owner.deposit(2))
    events = owner.recorded()
    assert [each.sequence for each in events] == [0, 1, 2, 3]
    assert [each.command_position for each in events[1:]] == [1, 2, 3]
    hashes = [hashlib.sha256(each.value).digest() for each in owner.tape]
    assert [each.previous for each in events[1:]] == hashes[:-1]


def causes(batch: Batch) -> list[str]:
    return [dead.cause for dead in batch.dead]


def test_a_command_under_another_key_than_its_stream_is_set_aside(owner: Owner) -> None:
    batch = owner.decides(owner.arrived(OpenAccount(owner="x", currency="USD"), "c", key=b"bob"), owner.deposit(1))
    assert causes(batch) == ["WRONG_KEY"]
    assert "b'bob'" in batch.dead[0].detail
    assert [type(event) for event in batch.events] == [CashDeposited]


def test_a_command_of_another_context_is_set_aside(owner: Owner) -> None:
    batch = owner.decides(owner.arrived(OpenTrading(currency="USD"), "c"), owner.deposit(1))
    assert causes(batch) == ["WRONG_TYPE"]
    assert batch.dead[0].detail == "WRONG_TYPE: OpenTrading is no command of accounts"
    assert (len(batch.records), batch.taken) == (1, 2)


def test_a_command_older_than_the_ids_that_are_remembered_is_stale(owner: Owner) -> None:
    for number in range(KNOWN_COMMANDS_MAX + 5):
        owner.decides(owner.deposit(number, at=START + number))
    batch = owner.decides(owner.deposit(1, at=START + 1))
    assert causes(batch) == ["STALE"]
    assert "c1 is older than the ids remembered" in batch.dead[0].detail
    batch = owner.decides(owner.deposit(KNOWN_COMMANDS_MAX, at=START + KNOWN_COMMANDS_MAX))
    assert (batch.records, batch.dead) == ((), ()), "an id that is remembered is known, however old"
    batch = owner.decides(owner.deposit(9_999, at=START + 9_999))
    assert len(batch.records) == 1


def test_a_full_batch_is_cut_at_its_number_of_commands(owner: Owner) -> None:
    commands = [owner.deposit(number) for number in range(BATCH_COMMANDS_MAX + 7)]
    batch = owner.decides(*commands)
    assert (len(batch.records), batch.taken) == (BATCH_COMMANDS_MAX, BATCH_COMMANDS_MAX)
    assert len(owner.decides(*commands[batch.taken :]).records) == 7


def test_known_and_poison_commands_take_no_place_in_a_batch(owner: Owner) -> None:
    known = [owner.deposit(1, command_id="open")] * 10
    poison = [Arrived("accounts.commands", 0, 9, b"ann", b"", {})] * 10
    batch = owner.decides(*known, *poison, *[owner.deposit(number) for number in range(BATCH_COMMANDS_MAX)])
    assert (len(batch.records), batch.taken, len(batch.dead)) == (BATCH_COMMANDS_MAX, BATCH_COMMANDS_MAX + 20, 10)


def test_a_batch_is_cut_at_its_bytes_and_always_fits_a_record_batch(owner: Owner) -> None:
    long = "x" * (COMMAND_BYTES_MAX - 10_000)
    commands = [
        owner.arrived(DepositCash(deposit_id=DepositId(f"{number}{long}"), amount=Money(1)), f"c{number}")
        for number in range(12)
    ]
    taken, sizes = 0, []
    while taken < len(commands):
        batch = owner.decides(*commands[taken:])
        taken += batch.taken
        sizes.append(sum(map(size_of, batch.records)))
    assert len(sizes) == 3
    assert max(sizes) < EVENTS_BYTES_MAX + COMMAND_BYTES_MAX < BATCH_BYTES_MAX


def test_recorded_at_never_falls_when_the_clock_does(owner: Owner) -> None:
    for now in (START + 50, START + 10, START - 10**12, START + 60):
        owner.clock.now = now
        owner.decides(owner.deposit(now))
    owner.clock.now = START
    owner.keep(owner.partition.ownership("me again", 2))
    times = [each.recorded_at for each in owner.recorded()]
    assert times == sorted(times)
    assert times[-3:] == [START + 50, START + 60, START + 60]


def replayed(partition: OwnedPartition, tape: Sequence[Arrived]) -> set[str]:
    replay = Replay(partition)
    replay.read(tape)
    return replay.settle()


def test_folding_the_tape_gives_what_deciding_left(owner: Owner, codec: Codec) -> None:
    owner.decides(owner.deposit(1), owner.deposit(1, command_id="again"), owner.deposit(2))
    other = OwnedPartition(DECIDING, 0, codec, Clock())
    assert replayed(other, owner.tape) == {each.stream_id for each in owner.recorded()}
    assert other.knowledge == owner.partition.knowledge
    assert not replayed(other, owner.tape), "what is known adds nothing"
    assert other.knowledge == owner.partition.knowledge
    assert isinstance(owner.recorded()[-2].event, AccountRefused)


def test_replaying_more_commands_than_are_remembered_gives_what_deciding_left(
    owner: Owner, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (partition, replay):
        monkeypatch.setattr(module, "KNOWN_COMMANDS_MAX", 4)
    for number in range(11):
        owner.decides(owner.deposit(number))
    midway = OwnedPartition(DECIDING, 0, codec, Clock())
    for cut in (0, 3, 6, len(owner.tape)):
        replayed(midway, owner.tape[:cut])
    assert midway.knowledge == owner.partition.knowledge
    assert max(len(stream.known) for stream in midway.knowledge.streams.values()) == 4


def test_a_hole_in_what_is_read_is_told_although_memory_bridges_it(owner: Owner) -> None:
    owner.decides(owner.deposit(1), owner.deposit(2))
    with pytest.raises(MemoryAhead, match=r"sequence 3 follows 1 on the tape"):
        replayed(owner.partition, [*owner.tape[:2], *owner.tape[3:]])


Change = Callable[[Recorded[Any]], Recorded[Any]]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda each: msgspec.structs.replace(each, sequence=each.sequence + 1), "sequence 3 follows 1"),
        (lambda each: msgspec.structs.replace(each, previous=bytes(32)), "previous is not the hash of sequence 1"),
        (lambda each: msgspec.structs.replace(each, term=0), "term 0 follows 1"),
    ],
)
def test_a_break_in_what_is_read_back_stops_and_names_the_place(
    owner: Owner, codec: Codec, change: Change, what: str
) -> None:
    owner.decides(owner.deposit(1))
    wrong: Sequence[Arrived] = [
        *owner.tape[:2],
        msgspec.structs.replace(owner.tape[2], value=codec.encode_event(change(owner.recorded()[2]))),
    ]
    other = OwnedPartition(DECIDING, 0, codec, Clock())
    with pytest.raises(ChainBroken, match=rf"accounts\.events\[0\]@2: {what}"):
        replayed(other, wrong)


def test_a_command_from_which_follows_what_no_event_can_hold_is_set_aside_and_the_next_one_decided(
    codec: Codec,
) -> None:
    """A check's end is reckoned from the time of its command: beyond 64 bits it ended the process, again and again."""
    deciding = Deciding("onboarding", onboarding, (RequestKycCheck,))
    owned = OwnedPartition(deciding, 0, codec, Clock())
    arrived = []
    for offset, at in enumerate((2**63 - 1, START)):
        issued = Issued(
            command=kyc.request(at=at),
            command_id=f"c{offset}",
            tenant="acme",
            stream_id="ann",
            causation_id="",
            correlation_id="",
        )
        arrived.append(Arrived("onboarding.commands", 0, offset, b"ann", codec.encode_command(issued), {}))
    batch = owned.decide(arrived)
    assert [(dead.cause, dead.arrived.offset) for dead in batch.dead] == [("OVERFLOW", 0)]
    assert [type(event).__name__ for event in batch.events] == ["KycCheckRequested"]
