"""The journal: every event as it stands on the tape, in pages that neither miss nor repeat."""

import pytest

import contexts
from infra.postgres import Database
from projections.orders import journal as j
from projections.orders.journal import JournalRow, Span, journal
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import projector_of

pytestmark = pytest.mark.postgres
TOPICS = ("orders.events", "accounts.events", "risk.events")


def test_reads_every_context_that_decides() -> None:
    """Doors catch up from it, and receipts are found in it: what it does not read, nobody is ever told again."""
    assert set(journal.events) == {f"{each.context}.events" for each in contexts.deciders()}


def spans(positions: dict[tuple[str, int], int]) -> dict[tuple[str, int], Span]:
    return {place: Span(after) for place, after in positions.items()}


async def test_an_accounts_pages_hold_each_of_its_events_once_in_the_order_of_each_partition(
    db: Database, tape: Tape
) -> None:
    play(tape, choices_from(seed=15, count=300))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    account_id = ACCOUNTS[0]
    positions = {(topic, tape.partition_of(account_id)): -1 for topic in TOPICS}
    found: list[JournalRow] = []
    while page := await j.between(db, "acme", (account_id,), spans(positions), 7):
        assert len(page) <= 7
        found += page
        positions |= {(row.topic, row.partition): row.sequence for row in page}
    mine = [each for each in tape.arrived if each.key == account_id.encode()]
    assert {(row.topic, row.sequence) for row in found} == {
        (each.topic, tape.codec.decode_event(each.value).sequence) for each in mine
    }
    assert len(found) == len(mine)
    for topic in TOPICS:
        of_topic = [row.payload for row in found if row.topic == topic]
        assert of_topic == [each.value for each in mine if each.topic == topic]


async def test_a_page_begins_after_the_sequence_that_was_seen_and_shows_no_other_topic(
    db: Database, tape: Tape
) -> None:
    play(tape, choices_from(seed=16, count=100))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    place = ("orders.events", tape.partition_of(ACCOUNTS[0]))
    everything = await j.between(db, "acme", (ACCOUNTS[0],), {place: Span()}, 1_000)
    middle = everything[len(everything) // 2].sequence
    assert await j.between(db, "acme", (ACCOUNTS[0],), {place: Span(middle)}, 1_000) == [
        row for row in everything if row.sequence > middle
    ]
    assert {row.topic for row in everything} == {"orders.events"}
    assert await j.between(db, "rival", (ACCOUNTS[0],), {place: Span()}, 1_000) == []


async def test_a_tenants_pages_hold_the_events_of_all_its_streams_and_end_where_they_were_told_to(
    db: Database, tape: Tape
) -> None:
    play(tape, choices_from(seed=18, count=100))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    place = ("orders.events", tape.partition_of(ACCOUNTS[0]))
    everything = await j.between(db, "acme", None, {place: Span()}, 1_000)
    there = [each for each in tape.recorded() if each.tenant == "acme"]
    wanted = [
        each.value
        for each in tape.arrived
        if (each.topic, each.partition) == place and tape.codec.decode_event(each.value) in there
    ]
    assert [row.payload for row in everything] == wanted
    middle = everything[len(everything) // 2].sequence
    part = await j.between(db, "acme", None, {place: Span(everything[0].sequence, middle)}, 1_000)
    assert part == [row for row in everything[1:] if row.sequence <= middle]
    assert await j.between(db, "rival", None, {place: Span()}, 1_000) == []


async def test_several_streams_are_read_as_one(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=19, count=100))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    places = {("orders.events", number): Span() for number in range(tape.partitions)}
    two = await j.between(db, "acme", ACCOUNTS[:2], places, 1_000)
    each = [await j.between(db, "acme", (account_id,), places, 1_000) for account_id in ACCOUNTS[:2]]
    assert {row.event_id for row in two} == {row.event_id for rows in each for row in rows}
    assert [row.recorded_at for row in two] == sorted(row.recorded_at for row in two)


async def test_a_command_finds_its_event_with_its_digest_and_bytes(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=17, count=50))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    for recorded in tape.recorded()[:20]:
        (row,) = await j.by_commands(db, [recorded.command_id])
        assert (row.tenant, row.stream_id, row.version) == (recorded.tenant, recorded.stream_id, recorded.version)
        assert (row.digest, row.event_type) == (recorded.digest, type(recorded.event).__name__)
        assert tape.codec.decode_event(row.payload) == recorded
    assert await j.by_commands(db, ["nobody"]) == []
