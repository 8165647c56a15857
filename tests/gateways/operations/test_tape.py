"""What an operator sees of the tape: one record with its neighbour, the last of each partition, how many of each."""

import asyncio

import msgspec
import pytest

from gateways.operations import status, tape
from gateways.operations.tape import PositionRefused
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.records import Arrived
from tests.kit.deciding import Installation
from tests.kit.hosting import Broker
from tests.streams.test_deciders import deposit, opened

pytestmark = pytest.mark.kafka


@pytest.fixture
async def decided(installation: Installation) -> Installation:
    """An account that was opened and two deposits, each in a transaction of its own."""
    async with installation.running():
        for count, command in enumerate((opened(), deposit(1), deposit(2)), start=1):
            await installation.command([command])
            await installation.events(count)
    return installation


async def records(installation: Installation) -> list[Arrived]:
    broker = Broker(installation.bootstrap, installation.codec)
    return await broker.all_of(f"{installation.context}.events")


async def test_a_good_record_is_shown_with_its_envelope(decided: Installation, reader: Reader) -> None:
    last = (await records(decided))[-1]
    seen = await tape.inspect(reader, decided.codec, (last.topic, 0, last.offset))
    assert (seen.position, seen.type, seen.key) == (f"{last.topic}:0:{last.offset}", "CashDeposited", "a")
    assert (seen.meta["sequence"], seen.meta["term"], seen.payload["deposit_id"]) == (3, 1, "d2")
    assert seen.headers["ce_type"] == "CashDeposited"
    assert len(seen.headers["digest"]) >= 32
    assert seen.problem == ""
    assert msgspec.json.encode(seen), "everything of it can be shown to programs"


async def test_the_first_record_needs_no_neighbour(decided: Installation, reader: Reader) -> None:
    seen = await tape.inspect(reader, decided.codec, (f"{decided.context}.events", 0, 0))
    assert (seen.type, seen.problem) == ("OwnershipTaken", "")


async def test_the_end_of_a_transaction_is_no_record(decided: Installation, reader: Reader) -> None:
    found = await records(decided)
    for marker in (found[1].offset + 1, found[-1].offset + 1):
        with pytest.raises(PositionRefused, match=f":{marker} holds no record but the end of a transaction"):
            await tape.inspect(reader, decided.codec, (found[0].topic, 0, marker))


async def test_a_place_past_the_end_is_refused_with_the_end(decided: Installation, reader: Reader) -> None:
    topic = f"{decided.context}.events"
    end = (await reader.ends(topic))[0]
    with pytest.raises(PositionRefused, match=f"past the end of the tape, which is {end}"):
        await tape.inspect(reader, decided.codec, (topic, 0, end))


async def test_a_partition_and_a_topic_that_are_not_there_are_named(decided: Installation, reader: Reader) -> None:
    with pytest.raises(PositionRefused, match="has no partition 7; it has 0 to 0"):
        await tape.inspect(reader, decided.codec, (f"{decided.context}.events", 7, 0))
    with pytest.raises(ReadFailed, match=r"nowhere.events"):
        await tape.inspect(reader, decided.codec, ("nowhere.events", 0, 0))


async def test_a_break_is_shown_beside_the_record(decided: Installation, reader: Reader) -> None:
    found = await records(decided)
    forged = f"{decided.context}.events"
    broker = Broker(decided.bootstrap, decided.codec)
    last = decided.codec.decode_event(found[-1].value)
    value = decided.codec.encode_event(msgspec.structs.replace(last, sequence=4, previous=b"x" * 32))
    await broker.write(forged, [Arrived(forged, 0, 0, b"a", value, {}), Arrived(forged, 0, 0, b"a", b"garbage", {})])
    await broker.write(forged, [Arrived(forged, 0, 0, b"a", value, {})])
    forgery, garbage, after = (await records(decided))[-3:]
    seen = await tape.inspect(reader, decided.codec, (forged, 0, forgery.offset))
    assert f"{forged}[0]@{forgery.offset}: previous is not the hash of sequence 3" in seen.problem
    seen = await tape.inspect(reader, decided.codec, (forged, 0, garbage.offset))
    assert (seen.type, seen.problem.partition(":")[0]) == ("", "NO_FRAME")
    seen = await tape.inspect(reader, decided.codec, (forged, 0, after.offset))
    assert "the record before it cannot be read" in seen.problem


@pytest.mark.parametrize("text", ["", "orders.events", "orders.events:1", "orders.events:x:1", "a:1:-1", ":1:1"])
def test_what_is_no_position_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(PositionRefused, match=r"such as orders\.events:2:1234"):
        tape.position(text)


async def test_the_last_record_of_each_partition_is_found_behind_the_marker(
    decided: Installation, reader: Reader
) -> None:
    found = await tape.last(reader, f"{decided.context}.events")
    assert decided.codec.decode_event(found[0].value).sequence == 3
    assert await tape.last(reader, f"{decided.context}.commands.dead") == {}


async def test_a_topic_is_counted_by_type(decided: Installation, reader: Reader) -> None:
    await decided.raw(b"garbage")
    events = await tape.count(reader, decided.codec, f"{decided.context}.events")
    commands = await tape.count(reader, decided.codec, f"{decided.context}.commands")
    assert events == {"AccountOpened": 1, "CashDeposited": 2, "OwnershipTaken": 1}
    assert commands == {"": 1, "DepositCash": 2, "OpenAccount": 1}


async def test_a_tail_shows_what_comes_from_now_on(decided: Installation, reader: Reader) -> None:
    following = tape.tail(reader, decided.codec, [f"{decided.context}.commands"], stop_after=2)
    seen = asyncio.ensure_future(anext(following))
    number = 100
    while not seen.done():  # It looks for the end first: whatever came before that is not shown.
        await decided.command([deposit(number)])
        number += 1
    assert seen.result().payload["deposit_id"].startswith("d1")
    await decided.command([deposit(number)])
    assert [each.type async for each in following] == ["DepositCash"]


async def test_the_status_counts_the_commands_that_wait(decided: Installation, reader: Reader) -> None:
    (idle,) = await status.partitions(reader, decided.codec, [decided.context])
    assert (idle.term, idle.sequence, idle.commands_waiting) == (1, 3, 0)
    await decided.command([deposit(3), deposit(4)])
    (busy,) = await status.partitions(reader, decided.codec, [decided.context])
    (done,) = await status.partitions(reader, decided.codec, [decided.context], behind=0)
    assert done.commands_waiting == 0, "the deciders went past what no event names: poison, or a repeat"
    assert (busy.sequence, busy.commands_waiting) == (3, 2)
    assert busy.recorded_at > 0


async def test_the_status_of_a_partition_nobody_has_owned(installation: Installation, reader: Reader) -> None:
    await installation.command([opened()])
    (found,) = await status.partitions(reader, installation.codec, [installation.context])
    assert (found.term, found.sequence, found.commands_waiting) == (0, -1, 1)
