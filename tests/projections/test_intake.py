"""Reading a batch ahead: records come in order, from where they were asked, and nobody is told of them before."""

import asyncio
from collections.abc import Sequence

import pytest

from infra.kafka.reader import ReadFailed
from infra.kafka.records import Arrived
from projections import intake
from projections.intake import Intake
from projections.projector import on_tape
from projections.read_model import OnTape
from tests.kit.histories import choices_from, play
from tests.kit.listed import ListedReader
from tests.kit.tape import OFFSETS_PER_RECORD, Tape

SIZE = 7
PLACES = [("orders.events", number) for number in range(4)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BATCH_RECORDS_MAX", SIZE)
    monkeypatch.setattr(intake, "DECODED_AT_ONCE_MAX", 3)


@pytest.fixture
def tape(tape: Tape) -> Tape:
    play(tape, choices_from(seed=21, count=100))
    return tape


def of_orders(tape: Tape) -> list[Arrived]:
    return [each for each in tape.arrived if each.topic == "orders.events"]


async def intake_of(tape: Tape, reader: ListedReader | None = None) -> Intake:
    def decode(arrived: Sequence[Arrived]) -> list[OnTape]:
        return [on_tape(tape.codec, {}, each) for each in arrived]

    found = Intake(reader or ListedReader(tape), decode, 0)
    await found.assign(dict.fromkeys(PLACES, 0))
    return found


def values(records: Sequence[OnTape | Arrived]) -> list[bytes]:
    return [each.value for each in records]


async def test_everything_is_handed_out_once_in_its_order_and_no_position_runs_ahead_of_it(tape: Tape) -> None:
    reading = await intake_of(tape)
    found: list[OnTape] = []
    while records := (await reading.next()).records:
        found += records
        await asyncio.sleep(0.01)  # Time for the next one to be read.
        given = {(each.topic, each.partition): each.offset + OFFSETS_PER_RECORD for each in found}
        assert {place: reading.position[place] for place in given} == given
    assert values(found) == values(of_orders(tape))


async def test_what_was_read_ahead_is_dropped_when_others_are_to_be_read(tape: Tape) -> None:
    reading = await intake_of(tape)
    first = (await reading.next()).records
    await asyncio.sleep(0.01)
    await reading.assign(dict.fromkeys(PLACES, 0))
    assert reading.position == {}
    assert values((await reading.next()).records) == values(first)


async def test_nothing_is_read_ahead_after_a_batch_that_was_not_full(tape: Tape) -> None:
    last = of_orders(tape)[-1]
    reading = await intake_of(tape)
    await reading.assign({(last.topic, last.partition): last.offset})
    before = asyncio.all_tasks()
    batch = await reading.next()
    assert (batch.taken, batch.is_full) == (1, False)
    assert asyncio.all_tasks() == before


async def test_a_source_that_fails_ahead_is_told_when_its_records_are_due(tape: Tape) -> None:
    takes = iter([True, False])

    class Failing(ListedReader):
        async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
            if not next(takes):
                raise ReadFailed("gone")
            return await super().take(limit, wait_ms)

    reading = await intake_of(tape, Failing(tape))
    assert len((await reading.next()).records) == SIZE
    await asyncio.sleep(0.01)
    with pytest.raises(ReadFailed, match="gone"):
        await reading.next()


async def test_nothing_is_under_way_when_it_has_stopped(tape: Tape) -> None:
    before = asyncio.all_tasks()
    reading = await intake_of(tape)
    await reading.next()
    assert asyncio.all_tasks() > before
    await reading.stop()
    assert asyncio.all_tasks() == before
