"""Read models under test: a host over a database, and the same rows by the pure folds alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec

from infra.avro.codec import Codec
from infra.kafka.records import Arrived
from infra.postgres import Database
from projections import generations, read_model
from projections.accounts.account_list import account_list
from projections.accounts.ledger import ledger
from projections.market_data.last_trades import last_trades
from projections.onboarding.checks import kyc_checks
from projections.orders.blotter import blotter
from projections.orders.journal import journal
from projections.orders.positions import positions
from projections.partners.subscriptions import subscriptions
from projections.projector import Projector, on_tape
from projections.read_model import Appended, OnTape, ReadModel
from projections.reconciliation.breaks import breaks
from projections.risk.board import board
from tests.kit.tape import Tape

MODELS = (blotter, positions, journal, ledger, account_list, board, last_trades, subscriptions, kyc_checks, breaks)
Rows = dict[str, set[Any]]


class Host(Projector):
    """The projector without its reader."""

    async def apply(self, arrived: Sequence[Arrived], *, is_more: bool = False) -> None:
        """What its loop does with a batch."""
        await self.take(self.decoded(arrived), is_more=is_more)


async def projector_of(db: Database, codec: Codec, models: Sequence[ReadModel] = MODELS) -> Host:
    """A host that is ready for records."""
    await generations.prepare(db)
    projector = Host(db, codec, models, partitions=4)
    await projector.admit()
    return projector


def cut(arrived: Sequence[Arrived], size: int) -> list[Sequence[Arrived]]:
    """The records in batches."""
    return [arrived[start : start + size] for start in range(0, len(arrived), size)]


def on_the_tape(tape: Tape, model: ReadModel, arrived: Iterable[Arrived] | None = None) -> list[OnTape]:
    """The records that a read model sees."""
    feeds = {feed.topic: feed.message for feed in model.feeds}
    places = set(model.places(tape.partitions))
    return [
        on_tape(tape.codec, feeds, each)
        for each in (tape.arrived if arrived is None else arrived)
        if (each.topic, each.partition) in places
    ]


def folded(tape: Tape, model: ReadModel) -> Rows:
    """What the tables hold, by the pure functions, one record at a time."""
    records = on_the_tape(tape, model)
    rows: Rows = {}
    for table in model.tables:
        if isinstance(table, Appended):
            rows[table.name] = set(read_model.append_batch(table, records))
            continue
        kept: dict[Any, Any] = {}
        for record in records:
            kept |= read_model.fold_batch(table, kept, [record])
        rows[table.name] = set(kept.values())
    return rows


async def stored(db: Database, model: ReadModel) -> Rows:
    """What the tables hold, in the database."""
    return {table.name: set(await db.rows(table.row, f"SELECT * FROM {table.name}")) for table in model.tables}


def without_place(rows: Rows) -> Rows:
    """Rows less their stamps: of a row that two topics feed, the last stamp depends on who was read last."""
    return {
        name: {msgspec.structs.replace(row, topic="", partition=-1, sequence=-1) for row in found}
        for name, found in rows.items()
    }


async def eventually(holds: Callable[[], bool | Awaitable[bool]], within_s: float = 60.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
