"""One batch of an agent, without a broker: what is folded, what is written, and in which order."""

import asyncio
import hashlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from domain.executions.messages import VenueMessage
from domain.kernel.ids import AccountId, Micros
from domain.kernel.market import Phase
from domain.kernel.messages import Event
from domain.market_data.marks import Mark
from infra.avro.codec import Codec, Undecodable
from infra.faust import batch
from infra.faust.agent import Step
from infra.faust.batch import Batches, Host
from infra.faust.inbox import Inbox, Run
from infra.faust.values import Values
from infra.kafka.records import Arrived, Outgoing
from tests.infra.faust.bench import credit, recorded
from tests.infra.faust.counting import UNREADABLE, Count, agent_of

EVENTS, FEED, MARKS = "r.orders.events", "r.executions.messages", "r.market_data.marks"
CHANGELOG = "r.counting-changelog"


class Died(Exception):
    """Instead of the end of the process."""


class Table:
    """What the wrapper needs of a table, in memory."""

    changelog_topic_name = CHANGELOG

    def __init__(self, seen: list[str]) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.newest: dict[int, int] = {}
        self._seen = seen

    def on_recover(self, forget: Any) -> None:
        self.forget = forget

    def items_of(self, partition: int) -> list[tuple[bytes, bytes]]:
        return list(self.kept.items())

    def put(self, partition: int, records: Sequence[Outgoing], newest: int) -> None:
        self._seen.append("put")
        self.kept |= {record.key: record.value for record in records}
        self.newest[partition] = newest


class Worker:
    """An agent that counts, with its table, its topics and the steps it took."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.seen: list[str] = []
        self.written: list[tuple[str, Outgoing]] = []
        self.letters: list[tuple[int, str]] = []
        self.broken: set[str] = set()
        self.table = Table(self.seen)
        self.batches = self.begin()
        self._sequence = 0
        self._previous = bytes(32)

    def begin(self) -> Batches[Count]:
        """A process that knows nothing but its table."""
        host = Host(
            codec=self.codec,
            write=self._write,
            dead=SimpleNamespace(bury=self._bury, used=lambda: None),  # type: ignore[arg-type]
            pulse=SimpleNamespace(check=lambda: None),  # type: ignore[arg-type]
            reached=lambda step: self.seen.append(f"reached {step}"),
        )
        table: Any = self.table
        self.batches = Batches(agent_of("r"), table, host)
        return self.batches

    async def _write(self, topic: str, partition: int, records: Sequence[Outgoing]) -> int:
        self.seen.append(f"write {topic}")
        await asyncio.sleep(0)
        if topic in self.broken:
            raise ConnectionError(topic)
        self.written += [(topic, record) for record in records]
        self.seen.append(f"acknowledged {topic}")
        return len(self.written) - 1

    async def _bury(self, arrived: Arrived, cause: str, detail: str) -> None:
        self.letters.append((arrived.offset, cause))

    def event(self, offset: int, key: bytes, event: Event) -> ConsumerRecord[bytes, bytes]:
        value = self.codec.encode_event(recorded(event, key.decode(), EVENTS, 0, self._sequence, self._previous))
        self._sequence += 1
        self._previous = hashlib.sha256(value).digest()
        return record(EVENTS, offset, key, value)

    def mark(self, offset: int) -> ConsumerRecord[bytes, bytes]:
        mark = Mark(
            sequence=offset,
            market_time=Micros(0),
            session_date="2012-03-05",
            phase=Phase.OPEN,
            observed_at=Micros(0),
            is_complete=False,
            prices={},
        )
        return record(MARKS, offset, b"", self.codec.encode_observed(mark))

    def heard(self, offset: int, key: bytes, body: bytes) -> ConsumerRecord[bytes, bytes]:
        message = VenueMessage(
            source_id=f"s-{offset}",
            venue="v",
            tenant="t",
            account_id=AccountId(key.decode()),
            sequence=offset,
            body=body,
            received_at=Micros(0),
        )
        return record(FEED, offset, key, self.codec.encode_observed(message))

    def state(self, key: bytes) -> tuple[dict[str, int], Count]:
        return Values(Count).decode(self.table.kept[key])

    def changes(self, key: bytes) -> int:
        return sum(topic == CHANGELOG and each.key == key for topic, each in self.written)


def record(topic: str, offset: int, key: bytes, value: bytes) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(topic, 0, offset, 0, 0, key or None, value, None, len(key), len(value), ())


def run(*records: ConsumerRecord[bytes, bytes]) -> Run:
    return Run(TP(records[0].topic, 0), list(records), 1)


@pytest.fixture
def worker(codec: Codec) -> Worker:
    return Worker(codec)


async def test_a_key_that_changed_often_in_a_batch_is_written_once_with_all_of_it(worker: Worker) -> None:
    await worker.batches.take([run(*(worker.event(offset, b"A", credit(offset)) for offset in range(1, 6)))])
    seen, state = worker.state(b"A")
    assert (state.total, state.events["CashCredited"], seen) == (15, 5, {EVENTS: 5})
    assert worker.changes(b"A") == 1
    assert sum(topic == "r.commands" for topic, _ in worker.written) == 5


async def test_a_record_that_comes_twice_in_a_batch_counts_once(worker: Worker) -> None:
    first, second = worker.event(1, b"A", credit(1)), worker.event(2, b"A", credit(2))
    await worker.batches.take([run(first, second), run(first, second)])
    assert worker.state(b"A")[1].total == 3
    assert sum(topic == "r.commands" for topic, _ in worker.written) == 2


async def test_a_record_that_was_kept_by_a_process_before_is_refused_and_written_once_more(worker: Worker) -> None:
    again = worker.event(1, b"A", credit(1))
    await worker.batches.take([run(again)])
    worker.begin()
    await worker.batches.take([run(again)])
    assert worker.state(b"A")[1].total == 1
    assert worker.changes(b"A") == 2
    assert sum(topic == "r.commands" for topic, _ in worker.written) == 1


async def test_poison_inside_a_batch_is_buried_and_what_is_around_it_counts(worker: Worker) -> None:
    records = [
        worker.event(1, b"A", credit(1)),
        record(EVENTS, 2, b"A", b"poison"),
        worker.event(3, b"", credit(0)),
        worker.event(4, b"A", credit(4)),
    ]
    await worker.batches.take([run(*records), run(worker.heard(0, b"A", UNREADABLE), worker.heard(1, b"A", b"said"))])
    assert worker.letters == [(2, "NO_FRAME"), (3, "NO_KEY"), (0, "UNREADABLE")]
    seen, state = worker.state(b"A")
    assert (state.total, state.heard, seen) == (5, 1, {EVENTS: 4, FEED: 1})


async def test_an_unknown_schema_inside_a_batch_stops_it_before_anything_is_written(worker: Worker) -> None:
    newer = record(EVENTS, 2, b"A", bytes([0]) + (2**31).to_bytes(4, "big"))
    with pytest.raises(Undecodable, match="UNKNOWN_SCHEMA"):
        await worker.batches.take([run(worker.event(1, b"A", credit(1)), newer)])
    assert (worker.written, worker.letters, worker.table.kept) == ([], [], {})


async def test_topics_are_applied_in_the_order_in_which_their_runs_came(worker: Worker) -> None:
    before, after = worker.event(1, b"A", credit(1)), worker.event(2, b"B", credit(1))
    await worker.batches.take([run(worker.mark(0)), run(before), run(worker.mark(1)), run(after)])
    assert worker.state(b"A")[1].marks == 1, "the account was there for the second mark"
    assert worker.state(b"B")[1].marks == 0
    assert worker.state(b"B")[0] == {EVENTS: 2, MARKS: 1}, "no mark so far may come to it again"


async def test_commands_come_before_the_changelog_and_the_changelog_before_the_table(worker: Worker) -> None:
    await worker.batches.take([run(worker.event(1, b"A", credit(1)))])
    assert worker.seen == [
        "write r.commands",
        "acknowledged r.commands",
        f"reached {Step.COMMANDS}",
        f"write {CHANGELOG}",
        f"acknowledged {CHANGELOG}",
        f"reached {Step.CHANGELOG}",
        "put",
        f"reached {Step.PUT}",
    ]
    assert worker.table.newest == {0: len(worker.written) - 1}


@pytest.mark.parametrize("topic", ["r.commands", CHANGELOG])
async def test_what_is_not_acknowledged_is_neither_put_nor_done(
    worker: Worker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(agent: str, failure: BaseException) -> None:
        raise Died(agent) from failure

    monkeypatch.setattr(batch, "die", die)
    worker.broken = {topic}
    inbox, begun = Inbox(10), run(worker.event(1, b"A", credit(1)))
    inbox.put(begun)
    with pytest.raises(Died):
        await asyncio.wait_for(worker.batches.follow(inbox), 1)
    assert begun.waiting == 1
    assert worker.table.kept == {}


async def test_a_batch_of_nothing_but_poison_writes_nothing(worker: Worker) -> None:
    await worker.batches.take([run(record(EVENTS, 0, b"A", b"poison"))])
    assert worker.letters == [(0, "NO_FRAME")]
    assert worker.written == []
