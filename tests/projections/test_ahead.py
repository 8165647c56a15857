"""The host one batch ahead: while one is written the next is folded, and whatever fails, each event counts once."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from domain.kernel.messages import Recorded
from infra.postgres import Database, text_array
from projections import generations, projection, stored_table
from projections.accounts.ledger import ledger
from projections.orders import blotter as blotter_file
from projections.orders.blotter import blotter
from projections.projection import advance
from projections.read_model import Key
from tests.kit import orders as o
from tests.kit.histories import choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import table_of
from tests.projections.hosting import MODELS, cut, folded, projector_of, stored

pytestmark = pytest.mark.postgres


async def test_a_fold_that_fails_leaves_the_batch_that_was_under_way_whole(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=8, count=50))
    poison = tape.codec.decode_event(tape.arrived[-1].value).event_id
    table = blotter.tables[0]

    def failing(recorded: Recorded[Any]) -> Iterable[Key]:
        if recorded.event_id == poison:
            raise ZeroDivisionError
        return blotter_file.keys_of(recorded)

    poisoned = msgspec.structs.replace(table, keys_of=failing)
    projector = await projector_of(db, tape.codec, [msgspec.structs.replace(blotter, tables=(poisoned,))])
    await projector.apply(tape.arrived[:-1], is_more=True)
    await projector.apply(tape.arrived[-1:], is_more=True)
    assert projector.trouble() == ["blotter: ZeroDivisionError(). Mend the fold, then start the projector again"]
    del tape.arrived[-1]
    assert await stored(db, blotter) == folded(tape, blotter)


async def test_records_that_come_again_while_they_are_written_are_written_once(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=13, count=200))
    projector = await projector_of(db, tape.codec)
    for batch in cut(tape.arrived, 50):
        await projector.apply(batch, is_more=True)
        await projector.apply(tape.arrived[: 1 + tape.arrived.index(batch[-1])], is_more=True)
    await projector.apply([])
    assert projector.trouble() == []
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)


DIE_AT_COMMITS = """
CREATE SEQUENCE commits;
CREATE FUNCTION die_at_commits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('commits') BETWEEN 2 AND 5 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER die_at_commits AFTER UPDATE ON projections.positions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die_at_commits();
"""


async def test_however_often_a_commit_fails_no_more_than_one_batch_is_taken_at_a_time(
    db: Database, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tape, choices_from(seed=18, count=200))
    projector = await projector_of(db, tape.codec, [blotter])
    await db.execute(DIE_AT_COMMITS)
    lengths: list[int] = []

    def counted(positions: Any, stopped: Any, records: Any) -> Any:
        lengths.append(len(records))
        return advance(positions, stopped, records)

    monkeypatch.setattr(projection, "advance", counted)
    for batch in cut(tape.arrived, 100):
        await projector.apply(batch, is_more=True)
    await projector.apply([])
    assert await db.value("SELECT last_value FROM commits") > 5, "nobody was killed"
    assert max(lengths) <= 100
    assert await stored(db, blotter) == folded(tape, blotter)


async def test_what_was_folded_before_another_projector_wrote_is_folded_again(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=14, count=200))
    one, two = await projector_of(db, tape.codec, [ledger]), await projector_of(db, tape.codec, [ledger])
    half = len(tape.arrived) // 2
    await one.apply(tape.arrived[:half])  # The rows that this one has written, it does not ask for again.
    await two.apply(tape.arrived[:half])
    await two.apply(tape.arrived[: half + 50])
    await one.apply(tape.arrived[half:])
    assert one.is_assignment_due
    await one.apply(tape.arrived)
    assert one.trouble() == two.trouble() == []
    assert await stored(db, ledger) == folded(tape, ledger)


async def test_rows_that_stay_in_memory_are_those_of_the_database_however_few_stay(
    db: Database, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_table, "ROWS_KEPT_MAX", 3)
    play(tape, choices_from(seed=15, count=200))
    projector = await projector_of(db, tape.codec)
    for batch in cut(tape.arrived, 10):
        await projector.apply(batch, is_more=True)
    await projector.apply([])
    assert projector.trouble() == []
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)


async def test_rows_are_found_by_the_index_of_their_key(db: Database, tape: Tape) -> None:
    """Without statistics PostgreSQL takes any index that begins like the key, and reads all orders of an account."""
    projector = await projector_of(db, tape.codec, [blotter])
    play(tape, choices_from(seed=16, count=5))
    for number in range(1_100):
        tape.decide("orders", "account-0", o.place(f"order-{number}", quantity=1))
    await projector.apply(tape.arrived)
    generation = await generations.admit(db, blotter, 4)
    table = table_of(blotter, "order_blotter")
    sql = f"EXPLAIN {stored_table.found_by(generation.schema, table)}"
    async with db.session() as session:
        plan = await session._connection.fetch(sql, *map(text_array, (["acme"], ["account-0"], ["order-7"])))
    assert any("order_blotter_pkey" in line[0] for line in plan), plan


async def test_nothing_is_under_way_when_it_has_stopped(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=17, count=100))
    projector = await projector_of(db, tape.codec)
    before = asyncio.all_tasks()
    await projector.apply(tape.arrived[:100], is_more=True)
    assert asyncio.all_tasks() > before
    await projector.stop()
    assert asyncio.all_tasks() == before
    again = await projector_of(db, tape.codec)
    await again.apply(tape.arrived)
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)
