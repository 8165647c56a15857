"""Event topics -> rows, by the real folds and the real check of the chain, over a database that is a dictionary.

Rows and positions change together, at one instant, as they do in Postgres; a process that dies before it has done
nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from infra.avro.codec import Codec
from infra.bus import Answer
from infra.kafka.chain import ChainBroken, Link, follow
from infra.kafka.reader import Reader
from infra.kafka.records import Partition
from projections import read_model
from projections.accounts.account_list import account_list
from projections.accounts.ledger import ledger
from projections.onboarding.checks import kyc_checks
from projections.orders.blotter import blotter
from projections.orders.journal import JournalRow, journal
from projections.orders.positions import positions
from projections.projector import on_tape
from projections.read_model import Appended, OnTape, ReadModel
from projections.risk.board import board
from tests.simulation.network import Network

MODELS = (blotter, positions, ledger, journal, account_list, kyc_checks, board)
BATCH_MAX = 1_000
POLL_MS = 400


class Position(msgspec.Struct, frozen=True):
    """How far one read model has come in one partition."""

    next_offset: int = 0
    link: Link = Link()


class Rows:
    """What survives the projector."""

    def __init__(self, topics: list[str], partitions: int) -> None:
        self.topics = topics
        self.partitions = partitions
        self.tables: dict[str, dict[Any, Any]] = {}
        self.positions: dict[str, dict[Partition, Position]] = {}
        self.answers: dict[str, JournalRow] = {}
        self.breaks: list[str] = []
        for model in MODELS:
            self.tables |= {table.name: {} for table in model.tables}
            self.positions[model.name] = {
                (topic, number): Position() for topic in model.events if topic in topics for number in range(partitions)
            }

    def next_offsets(self) -> dict[Partition, int]:
        """Where a reader of everything begins."""
        starts: dict[Partition, int] = {}
        for held in self.positions.values():
            for place, position in held.items():
                starts[place] = min(position.next_offset, starts.get(place, position.next_offset))
        return starts

    def apply(self, model: ReadModel, records: list[OnTape]) -> None:
        """One transaction."""
        held = self.positions[model.name]
        new = [record for record in records if self._is_next(held, record)]
        for table in model.tables:
            rows = self.tables[table.name]
            if isinstance(table, Appended):
                for row in read_model.append_batch(table, new):
                    rows[len(rows)] = row
                    if isinstance(row, JournalRow):
                        self.answers.setdefault(row.command_id, row)
            else:
                rows |= read_model.fold_batch(table, rows, new)

    def _is_next(self, held: dict[Partition, Position], record: OnTape) -> bool:
        place = (record.topic, record.partition)
        if record.offset < held[place].next_offset:
            return False
        try:
            link = follow(held[place].link, record.message, record.value, place=str(place))
        except ChainBroken as broken:
            self.breaks.append(str(broken))
            return False
        held[place] = Position(record.offset + 1, link)
        return True

    def finder(self, network: Network, codec: Codec) -> Callable[[str], Any]:
        """The journal as a gateway asks it."""

        async def find(command_id: str) -> Answer | None:
            await asyncio.sleep(network.delay_us() / 1_000_000)
            row = self.answers.get(command_id)
            if row is None:
                return None
            return Answer(topic=row.topic, partition=row.partition, recorded=codec.decode_event(row.payload))

        return find


async def project(rows: Rows, reader: Reader, codec: Codec, network: Network) -> None:
    """Keep the rows, for ever."""
    await reader.assign(rows.next_offsets())
    while True:
        arrived = await reader.take(BATCH_MAX, POLL_MS)
        records = [on_tape(codec, {}, each) for each in arrived]
        for group in (MODELS[:3], MODELS[3:]):
            if records:
                await asyncio.sleep(network.delay_us() / 1_000_000)
            for model in group:
                rows.apply(model, [record for record in records if record.topic in model.events])
