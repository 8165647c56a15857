"""The host of all read models, on a real database: split, repeated, killed, restarted, broken."""

import asyncio
import itertools

import msgspec
import pytest

from deploy.local.postgres import LocalPostgres
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.money import Price
from domain.market_data.marks import Mark, MarkPrice
from infra.kafka.records import Arrived
from infra.postgres import Database
from projections import generations
from projections.accounts.ledger import ledger
from projections.market_data.last_trades import last_trades
from projections.orders.blotter import blotter
from projections.orders.journal import journal
from projections.read_model import ReadModel
from tests.kit import orders as o
from tests.kit.histories import choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import MODELS, cut, eventually, folded, projector_of, stored, without_place

pytestmark = pytest.mark.postgres

DIE_AT_COMMIT = """
CREATE SEQUENCE deaths;
CREATE FUNCTION die_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('deaths') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER die_at_commit AFTER INSERT ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die_once();
"""


def mark(sequence: int, price: int, observed_at: int | None = None) -> Mark:
    return Mark(
        sequence=sequence,
        market_time=o.MONDAY_NOON,
        session_date="2012-03-05",
        phase=Phase.OPEN,
        observed_at=Micros(o.NOW + sequence if observed_at is None else observed_at),
        is_complete=False,
        prices={"AAPL": MarkPrice(bid=Price(price - 1), ask=Price(price + 1), last=Price(price))},
    )


@pytest.mark.parametrize("is_more", [False, True], ids=["one by one", "one ahead"])
@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_every_table_is_the_fold_of_the_tape_however_it_is_cut(
    db: Database, tape: Tape, size: int, is_more: bool
) -> None:
    play(tape, choices_from(seed=size, count=60 if size == 1 else 400))
    tape.observe("market_data.marks", mark(0, 100))
    projector = await projector_of(db, tape.codec)
    for batch in cut(tape.arrived, size):
        await projector.apply(batch, is_more=is_more)
    await projector.apply([])
    assert projector.trouble() == []
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)


async def test_the_same_records_twice_change_nothing(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=2, count=200))
    projector = await projector_of(db, tape.codec)
    await projector.apply(tape.arrived)
    before = [await stored(db, model) for model in MODELS]
    await projector.apply(tape.arrived)
    again = await projector_of(db, tape.codec)
    await again.apply(tape.arrived)
    assert [await stored(db, model) for model in MODELS] == before


async def test_a_second_projector_adds_nothing_to_what_the_first_wrote(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=3, count=200))
    one, two = await projector_of(db, tape.codec), await projector_of(db, tape.codec)
    for start in range(0, len(tape.arrived), 50):
        batch = tape.arrived[start : start + 50]
        await asyncio.gather(one.apply(batch), two.apply(batch))
        # A projector that lost the race begins again from the positions of the winner, as its reader would.
        await asyncio.gather(one.apply(tape.arrived[: start + 50]), two.apply(tape.arrived[: start + 50]))
    assert one.trouble() == two.trouble() == []
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)


async def test_two_projectors_at_different_topics_lose_nothing_of_a_row_that_both_feed(
    db: Database, tape: Tape
) -> None:
    play(tape, choices_from(seed=12, count=200))
    one, two = await projector_of(db, tape.codec, [ledger]), await projector_of(db, tape.codec, [ledger])
    of_orders = [each for each in tape.arrived if each.topic == "orders.events"]
    of_accounts = [each for each in tape.arrived if each.topic == "accounts.events"]
    for upto in range(10, max(len(of_orders), len(of_accounts)) + 10, 10):
        # A projector that lost the race begins again from the positions of the winner, as its reader would.
        for _ in range(2):
            await asyncio.gather(one.apply(of_orders[:upto]), two.apply(of_accounts[:upto]))
    assert one.trouble() == two.trouble() == []
    assert without_place(await stored(db, ledger)) == without_place(folded(tape, ledger))


@pytest.mark.parametrize("is_more", [False, True], ids=["one by one", "one ahead"])
@pytest.mark.parametrize("model", [journal, blotter, ledger], ids=["journal", "blotter", "ledger"])
async def test_a_connection_killed_at_its_commit_leaves_rows_and_positions_in_step(
    db: Database, tape: Tape, model: ReadModel, is_more: bool
) -> None:
    play(tape, choices_from(seed=4, count=100))
    projector = await projector_of(db, tape.codec, [model])
    generation = await generations.admit(db, model, 4)
    await db.execute(DIE_AT_COMMIT.format(table=f"{generation.schema}.{model.tables[0].name}"))
    for batch in cut(tape.arrived, 1 + len(tape.arrived) // 4):
        await projector.apply(batch, is_more=is_more)
    await projector.apply([])
    assert await db.value("SELECT last_value FROM deaths") > 1, "nobody was killed"
    assert projector.trouble() == []
    assert await stored(db, model) == folded(tape, model)
    positions = await generations.positions(db, generation)
    last = {(each.topic, each.partition): each.offset + 1 for each in tape.arrived if each.topic in model.events}
    assert {place: each.next_offset for place, each in positions.items() if each.sequence >= 0} == last


async def test_it_waits_for_a_database_that_is_away_and_catches_up(
    postgres: LocalPostgres, db: Database, tape: Tape
) -> None:
    if postgres.is_external:
        pytest.skip("the server is not ours to kill")
    play(tape, choices_from(seed=5, count=300))
    projector = await projector_of(db, tape.codec)
    await projector.apply(tape.arrived[:50])
    await projector.apply(tape.arrived[50:100], is_more=True)
    postgres.kill()
    work = asyncio.create_task(projector.apply(tape.arrived[100:]))
    await eventually(lambda: bool(projector.trouble()))
    assert projector.ready()[0] is False
    postgres.start()  # On this thread: the server ends with the thread that started it.
    await asyncio.wait_for(work, 90)
    assert projector.trouble() == []
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)


@pytest.mark.parametrize("size", [10, 1_000])
@pytest.mark.parametrize("fault", ["gap", "fork", "rewritten"])
async def test_a_broken_chain_stops_its_partition_and_no_other(db: Database, tape: Tape, fault: str, size: int) -> None:
    play(tape, choices_from(seed=6, count=200))
    place = ("orders.events", tape.partition_of("account-0"))
    victims = [each for each in tape.arrived if (each.topic, each.partition) == place]
    victim = victims[len(victims) // 2]
    arrived = broken(tape, victim, fault)
    projector = await projector_of(db, tape.codec)
    for batch in cut(arrived, size):
        await projector.apply(batch, is_more=True)
    await projector.apply([])
    at = victims.index(victim)
    seen_at = victims[at if fault == "fork" else at + 1]
    (why,) = projector.trouble()
    assert f"{place[0]}[{place[1]}] offset {seen_at.offset}: " in why, "what breaks is named once, where it broke"
    assert projector.ready()[0] is False
    assert place not in projector.starts()
    reflected = await generations.reflected(db, "blotter", *place)
    assert reflected == (at if fault == "rewritten" else at - 1)
    others = {(each.topic, each.partition): each for each in tape.arrived if each.topic == place[0]}
    for other, last in others.items():
        if other != place:
            sequence = tape.codec.decode_event(last.value).sequence
            assert await generations.reflected(db, "blotter", *other) == sequence


def broken(tape: Tape, victim: Arrived, fault: str) -> list[Arrived]:
    """The same tape with one record missing, one that follows another past, or one whose bytes were changed."""
    if fault == "gap":
        return [each for each in tape.arrived if each is not victim]
    recorded = tape.codec.decode_event(victim.value)
    if fault == "fork":
        changed = msgspec.structs.replace(recorded, previous=bytes([1]) * 32)
    else:
        changed = msgspec.structs.replace(recorded, actor="sub:mallory")
    value = tape.codec.encode_event(changed)
    return [msgspec.structs.replace(each, value=value) if each is victim else each for each in tape.arrived]


async def test_an_unknown_schema_stops_its_partition_and_says_what_to_deploy(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=7, count=20))
    stranger = msgspec.structs.replace(tape.arrived[-1], value=b"\x00\x00\x0f\xff\xff")
    projector = await projector_of(db, tape.codec)
    await projector.apply([*tape.arrived[:-1], stranger])
    assert len(projector.trouble()) == 1
    assert "UNKNOWN_SCHEMA" in projector.trouble()[0]
    assert "Deploy" in projector.trouble()[0]


async def test_a_fold_that_fails_stops_its_read_model_and_no_other(db: Database, tape: Tape) -> None:
    def failing(row: object, recorded: object) -> None:
        raise ZeroDivisionError

    table = msgspec.structs.replace(blotter.tables[0], fold=failing)
    projector = await projector_of(db, tape.codec, [msgspec.structs.replace(blotter, tables=(table,)), journal])
    play(tape, choices_from(seed=8, count=50))
    await projector.apply(tape.arrived)
    assert projector.trouble() == ["blotter: ZeroDivisionError(). Mend the fold, then start the projector again"]
    assert await stored(db, journal) == folded(tape, journal)
    assert await stored(db, blotter) == {"order_blotter": set()}


async def test_a_read_model_of_another_version_is_refused_with_the_command_that_helps(db: Database, tape: Tape) -> None:
    await projector_of(db, tape.codec, [blotter])
    newer = msgspec.structs.replace(blotter, version=2)
    projector = await projector_of(db, tape.codec, [newer, journal])
    play(tape, choices_from(seed=9, count=50))
    await projector.apply(tape.arrived)
    assert len(projector.trouble()) == 1
    assert "tapeline projections rebuild blotter" in projector.trouble()[0]
    assert await stored(db, journal) == folded(tape, journal)


async def test_reading_starts_where_the_oldest_read_model_is(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=10, count=50))
    first = await projector_of(db, tape.codec, [journal])
    await first.apply(tape.arrived)
    both = await projector_of(db, tape.codec, [journal, blotter])
    starts = both.starts()
    assert all(offset < 0 for (topic, _), offset in starts.items() if topic == "orders.events")
    assert any(offset > 0 for (topic, _), offset in starts.items() if topic == "accounts.events")
    await both.apply(tape.arrived)
    assert both.trouble() == []
    assert await stored(db, blotter) == folded(tape, blotter)


async def test_lag_counts_what_was_not_taken_and_no_markers(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=11, count=50))
    projector = await projector_of(db, tape.codec, [blotter])
    ends = {(each.topic, each.partition): each.offset + 2 for each in tape.arrived}
    await projector.apply(tape.arrived)
    assert projector.lag(ends, ends) == {"blotter": {"orders.events": 0}}
    assert projector.lag({**ends, ("orders.events", 0): ends["orders.events", 0] + 6}, ends) == {
        "blotter": {"orders.events": 6}
    }


async def test_the_last_trade_is_the_latest_whatever_order_marks_come_in(db: Database, tape: Tape) -> None:
    projector = await projector_of(db, tape.codec, [last_trades])
    for each in (mark(5, 105), mark(4, 104), mark(5, 105), mark(0, 99, observed_at=o.NOW + 60)):
        tape.observe("market_data.marks", each)
    tape.observe("market_data.marks", mark(9, 900), partition=1)
    await projector.apply(tape.arrived)
    (row,) = (await stored(db, last_trades))["last_trades"]
    assert (row.last, row.sequence, row.partition) == (99, 0, 0), "a feed that began again is followed"


async def test_rows_and_tables_have_the_same_columns(db: Database, tape: Tape) -> None:
    await projector_of(db, tape.codec)
    for table in itertools.chain.from_iterable(each.tables for each in MODELS):
        sql = "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = $1"
        assert set(await db.value(sql + " AND table_schema = 'public'", table.name)) == set(table.row.__struct_fields__)
