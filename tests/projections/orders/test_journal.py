"""The journal: every event as it stands on the tape, in pages that neither miss nor repeat."""

import pytest

from infra.postgres import Database
from projections.orders import journal as j
from projections.orders.journal import JournalRow, journal
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import projector_of

pytestmark = pytest.mark.postgres
TOPICS = ("orders.events", "accounts.events", "risk.events")


async def test_an_accounts_pages_hold_each_of_its_events_once_in_the_order_of_each_partition(
    db: Database, tape: Tape
) -> None:
    play(tape, choices_from(seed=15, count=300))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    account_id = ACCOUNTS[0]
    positions = {(topic, tape.partition_of(account_id)): -1 for topic in TOPICS}
    found: list[JournalRow] = []
    while page := await j.after(db, "acme", account_id, positions, 7):
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
    everything = await j.after(db, "acme", ACCOUNTS[0], {place: -1}, 1_000)
    middle = everything[len(everything) // 2].sequence
    assert await j.after(db, "acme", ACCOUNTS[0], {place: middle}, 1_000) == [
        row for row in everything if row.sequence > middle
    ]
    assert {row.topic for row in everything} == {"orders.events"}
    assert await j.after(db, "rival", ACCOUNTS[0], {place: -1}, 1_000) == []


async def test_a_command_finds_its_event_with_its_digest_and_bytes(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=17, count=50))
    await (await projector_of(db, tape.codec, [journal])).apply(tape.arrived)
    for recorded in tape.recorded()[:20]:
        (row,) = await j.by_command(db, recorded.command_id)
        assert (row.tenant, row.stream_id, row.version) == (recorded.tenant, recorded.stream_id, recorded.version)
        assert (row.digest, row.event_type) == (recorded.digest, type(recorded.event).__name__)
        assert tape.codec.decode_event(row.payload) == recorded
    assert await j.by_command(db, "nobody") == []
