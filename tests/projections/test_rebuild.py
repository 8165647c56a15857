"""A read model built again beside the live one: equal, or the difference is told and the live one stays."""

import asyncio

import msgspec
import pytest

from infra.postgres import Database, DatabaseDown
from projections import generations, intake
from projections.accounts.ledger import ledger
from projections.orders import blotter as blotter_file
from projections.orders.blotter import blotter
from projections.read_model import ReadModel
from projections.rebuild import Outcome, Rebuild, RebuildFailed
from tests.kit.histories import choices_from, play
from tests.kit.listed import ListedReader
from tests.kit.tape import Tape
from tests.projections.hosting import MODELS, Host, eventually, folded, projector_of, stored, without_place

pytestmark = pytest.mark.postgres


async def rebuilt(db: Database, tape: Tape, model: ReadModel, *, is_accepted: bool = False) -> Outcome:
    return await Rebuild(db, ListedReader(tape), tape.codec, model, 4).run(is_accepted=is_accepted)


async def follow(projector: Host, reader: ListedReader) -> None:
    """What the projector's own loop does."""
    while True:
        if projector.is_assignment_due:
            await reader.assign(projector.starts())
            projector.is_assignment_due = False
        await projector.apply(await reader.take(40, 0))
        await asyncio.sleep(0)


async def watch(db: Database, model: ReadModel) -> None:
    """A reader whom no switch disturbs: queries always answer, and what they reflect never goes back."""
    places = model.places(4)
    seen = dict.fromkeys(places, -1)
    while True:
        for place in places:
            sequence = await generations.reflected(db, model.name, *place)
            assert sequence >= seen[place]
            seen[place] = sequence
        for table in model.tables:
            await db.rows(table.row, f"SELECT * FROM {table.name} LIMIT 10")


async def caught_up(db: Database, tape: Tape, name: str, topics: tuple[str, ...]) -> None:
    """The live read model reflects the whole tape."""
    last = {(each.topic, each.partition): each for each in tape.arrived if each.topic in topics}
    for place, record in last.items():
        sequence = tape.codec.decode_event(record.value).sequence

        async def is_there(place: tuple[str, int] = place, sequence: int = sequence) -> bool:
            return await generations.reflected(db, name, *place) >= sequence

        await eventually(is_there)


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
async def test_a_rebuild_equals_the_live_one_and_takes_its_place(db: Database, tape: Tape, model: ReadModel) -> None:
    play(tape, choices_from(seed=1, count=200))
    projector = await projector_of(db, tape.codec, [model])
    await projector.apply(tape.arrived)
    outcome = await rebuilt(db, tape, model)
    assert outcome.differences == []
    assert outcome.is_switched
    assert outcome.generation.endswith("_g2")
    assert without_place(await stored(db, model)) == without_place(folded(tape, model))
    assert [each.schema for each in await db.rows(generations.Generation, "SELECT * FROM projections.generations")] == [
        outcome.generation
    ]


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
async def test_a_rebuild_in_many_batches_equals_what_serves(
    db: Database, tape: Tape, model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BATCH_RECORDS_MAX", 7)
    play(tape, choices_from(seed=10, count=200))
    projector = await projector_of(db, tape.codec, [model])
    await projector.apply(tape.arrived)
    before = await stored(db, model)
    outcome = await rebuilt(db, tape, model)
    assert outcome.is_switched
    assert outcome.differences == []
    assert without_place(await stored(db, model)) == without_place(before) == without_place(folded(tape, model))


@pytest.mark.parametrize("model", [blotter, ledger], ids=["blotter", "ledger"])
async def test_events_go_on_during_a_rebuild_and_after_it(db: Database, tape: Tape, model: ReadModel) -> None:
    play(tape, choices_from(seed=2, count=300))
    projector = await projector_of(db, tape.codec, [model])
    following = asyncio.create_task(follow(projector, ListedReader(tape)))
    reading = asyncio.create_task(watch(db, model))
    rebuilding = asyncio.create_task(rebuilt(db, tape, model))
    before = len(tape.arrived)
    for seed in range(3, 200):
        play(tape, choices_from(seed=seed, count=10))
        await asyncio.sleep(0.005)
        if rebuilding.done():
            break
    outcome = await asyncio.wait_for(rebuilding, 60)
    assert len(tape.arrived) > before, "nothing went on meanwhile"
    play(tape, choices_from(seed=999, count=50))
    await caught_up(db, tape, model.name, model.events)
    following.cancel()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert outcome.is_switched
    assert outcome.differences == []
    assert projector.trouble() == []
    assert without_place(await stored(db, model)) == without_place(folded(tape, model))


async def test_a_row_that_was_tampered_with_is_shown_and_the_live_one_stays(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=4, count=100))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    generation = await generations.admit(db, blotter, 4)
    victim = await db.value("SELECT order_id FROM order_blotter WHERE filled > 0 LIMIT 1")
    await db.execute(f"UPDATE {generation.schema}.order_blotter SET filled = 1 WHERE order_id = $1", victim)
    outcome = await rebuilt(db, tape, blotter)
    assert not outcome.is_switched
    (difference,) = outcome.differences
    assert len(difference.only_live) == len(difference.only_rebuilt) == 1
    assert victim in difference.only_live[0]
    assert await db.value("SELECT filled FROM order_blotter WHERE order_id = $1", victim) == 1
    assert (await rebuilt(db, tape, blotter, is_accepted=True)).is_switched
    assert await stored(db, blotter) == folded(tape, blotter)


async def test_a_long_query_makes_the_rebuild_give_up_and_nobody_else(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=8, count=60))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    async with db.transaction() as analyst:
        await analyst.value("SELECT count(*) FROM order_blotter")
        with pytest.raises(DatabaseDown, match="lock timeout"):
            await rebuilt(db, tape, blotter)
        play(tape, choices_from(seed=9, count=60))
        await asyncio.wait_for(projector.apply(tape.arrived), 30)
    assert projector.trouble() == []
    assert await stored(db, blotter) == folded(tape, blotter)
    assert (await rebuilt(db, tape, blotter)).is_switched


async def test_another_version_is_built_to_the_end_of_the_tape_and_switched(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=5, count=100))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived[:50])
    ddl = blotter.ddl.replace("changed_at bigint NOT NULL,", "changed_at bigint NOT NULL, note text DEFAULT 'new',")
    newer = msgspec.structs.replace(blotter, version=2, ddl=ddl)
    assert (await rebuilt(db, tape, newer)).is_switched
    assert await db.value("SELECT DISTINCT note FROM order_blotter") == "new"
    assert await stored(db, newer) == folded(tape, newer)
    again = await projector_of(db, tape.codec, [newer])
    assert again.trouble() == []


async def test_a_rebuild_of_a_broken_tape_fails_and_leaves_the_live_one(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=6, count=100))
    projector = await projector_of(db, tape.codec, [blotter])
    await projector.apply(tape.arrived)
    before = await stored(db, blotter)
    del tape.arrived[[each.topic for each in tape.arrived].index("orders.events")]
    with pytest.raises(RebuildFailed, match=r"orders\.events\[\d\] offset"):
        await rebuilt(db, tape, blotter)
    assert await stored(db, blotter) == before


async def test_a_reader_is_told_a_position_that_the_rows_have(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=7, count=60))
    place = ("orders.events", tape.partition_of("account-0"))
    projector = await projector_of(db, tape.codec, [blotter])
    assert await generations.reflected(db, "blotter", *place) == -1
    sequences = []
    for record in tape.arrived:
        await projector.apply([record])
        if (record.topic, record.partition) == place:
            sequences.append(await generations.reflected(db, "blotter", *place))
    assert sequences == list(range(len(sequences)))
    await rebuilt(db, tape, blotter)
    assert await generations.reflected(db, "blotter", *place) == sequences[-1]
    rows = await blotter_file.by_account(db, tenant="acme", account_id="account-0", limit=1_000)
    assert {row.order_id for row in rows} == {
        row.order_id for row in folded(tape, blotter)["order_blotter"] if row.account_id == "account-0"
    }
