"""Rows of a read model a second, exactly once, from the tape; beside it COPY of the very same rows."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import msgspec

import contexts
from domain.orders.decide import orders
from infra.catalogue import deciding
from infra.kafka.reader import Reader
from infra.postgres import Database
from infra.settings import POLL_WAIT_MS
from projections import generations, read_model
from projections.intake import BATCH_RECORDS_MAX, Intake
from projections.orders.blotter import blotter
from projections.orders.journal import journal
from projections.projector import Projector
from projections.read_model import ReadModel
from streams.partition import Deciding
from tests.bench import trading
from tests.bench.figures import Arm, Figure, Measured, Reach
from tests.bench.stage import Stage, run

WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'"


def arms_of(model: ReadModel) -> Callable[[Stage], contextlib.AbstractContextManager[dict[str, Arm]]]:
    """One tape for all rounds, a new database for each."""

    @contextlib.contextmanager
    def arms(stage: Stage) -> Iterator[dict[str, Arm]]:
        events = fill_orders(stage, stage.sizes.events)
        dsn = [""]

        def ours() -> Measured:
            dsn[0] = stage.database()
            return run(lambda: _projected(stage, model, dsn[0], events))

        def copy() -> Measured:
            return run(lambda: _copied(model, dsn[0]))

        yield {"tapeline": ours, "COPY of the same rows": copy}

    return arms


def fill_orders(stage: Stage, orders_placed: int) -> int:
    """A tape of orders.events in four partitions; gives how many events there are, less those of owners."""
    codec = stage.codec
    of_orders = next(each.commands for each in contexts.CONTEXTS if each.name == "orders")
    stage.declare(deciding("orders"))
    commands = trading.records(codec, trading.day(trading.accounts(orders_placed), orders_placed))
    return run(
        lambda: trading.fill_decided(stage.kafka.bootstrap, codec, Deciding("orders", orders, of_orders), commands)
    )


async def _projected(stage: Stage, model: ReadModel, dsn: str, events: int) -> Measured:
    """The projector's own turn, by hand, until the last event is in the database."""
    db, reader = Database(dsn, name="bench"), Reader(stage.kafka.bootstrap, "bench", with_headers=False)
    try:
        await generations.prepare(db)
        projector = Projector(db, stage.codec, [msgspec.structs.replace(model, events=("orders.events",))], 4)
        await projector.admit()
        ends = await reader.ends("orders.events")
        intake = Intake(reader, projector.decoded, POLL_WAIT_MS)
        await intake.assign(projector.starts())
        wal, began, cpu = await db.value(WAL), time.perf_counter(), time.process_time()
        while any(intake.position.get(("orders.events", number), 0) < end for number, end in ends.items()):
            await projector.take((await intake.next()).records, is_more=True)
        await projector.take([])
        seconds = time.perf_counter() - began
        rows = await db.value(f"SELECT count(*) FROM {model.tables[0].name}")
        assert not projector.trouble()
        return {
            "rows_per_s": rows / seconds,
            "events_per_s": events / seconds,
            "cpu_us": (time.process_time() - cpu) / events * 1e6,
            "wal_bytes_a_row": float(await db.value(WAL) - wal) / rows,
        }
    finally:
        await reader.close()
        await db.close()


async def _copied(model: ReadModel, dsn: str) -> Measured:
    """One COPY of all rows into the same table, empty, with its key and indexes: what the machine allows."""
    table = model.tables[0]
    connection: Any = await asyncpg.connect(dsn)
    try:
        schema = await connection.fetchval("SELECT schema FROM projections.generations")
        names = read_model.columns(table)
        rows = await connection.fetch(f"SELECT {', '.join(names)} FROM {schema}.{table.name}")
        await connection.execute(f"CREATE SCHEMA copied; SET search_path TO copied; {model.ddl}")
        records = [tuple(row) for row in rows]
        before = await connection.fetchval(WAL)
        began, cpu = time.perf_counter(), time.process_time()
        await connection.copy_records_to_table(table.name, records=records, columns=names, schema_name="copied")
        seconds = time.perf_counter() - began
        return {
            "rows_per_s": len(records) / seconds,
            "events_per_s": len(records) / seconds,
            "cpu_us": (time.process_time() - cpu) / len(records) * 1e6,
            "wal_bytes_a_row": float(await connection.fetchval(WAL) - before) / len(records),
        }
    finally:
        await connection.close()


def _figure(model: ReadModel, name: str, what: str) -> Figure:
    return Figure(
        name=name,
        title=f"Rows of {what} a second, exactly once",
        conditions=f"batches of {BATCH_RECORDS_MAX:,} from the tape, rows and positions in one transaction",
        arms=arms_of(model),
        reaches=(Reach(what="share of COPY >= 0.30", of="rows_per_s", at_least=0.30, peer="COPY of the same rows"),),
    )


blotter_rows = _figure(blotter, "rows_blotter", "the blotter, one of each order,")
journal_rows = _figure(journal, "rows_journal", "the journal, one of each event,")
