"""The journal projection -> answers and events as the tape has them: what a door reads of the past."""

import asyncio

from infra.avro.codec import Codec
from infra.bus import Answer
from infra.kafka.records import Partition
from infra.kafka.sender import murmur2_partition
from infra.postgres import Database
from infra.settings import PARTITIONS
from projections.orders import journal


class Lookups:
    """Finds decisions by their commands: whoever asks while a query is under way shares the next one.

    Every POST asks here before it sends anything. At a thousand a second one query serves several of them, and an idle
    gateway still asks at once.
    """

    def __init__(self, database: Database, codec: Codec) -> None:
        self._database = database
        self._codec = codec
        self._wanted: dict[str, asyncio.Future[Answer | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, command_id: str) -> Answer | None:
        """The decision on a command, None when there is none yet. Raises DatabaseDown."""
        found = self._wanted.get(command_id)
        if found is None:
            found = self._wanted[command_id] = asyncio.get_running_loop().create_future()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(found)

    async def _ask(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            try:
                rows = await journal.by_commands(self._database, wanted)
                first = {row.command_id: row for row in reversed(rows)}
                for command_id, found in wanted.items():
                    found.set_result(self._answer(first.get(command_id)))
            except Exception as failure:  # noqa: BLE001  (it is raised where the answer is awaited)
                for found in wanted.values():
                    if not found.done():
                        found.set_exception(failure)
                        found.exception()  # Its asker may have given up waiting.

    def _answer(self, row: journal.JournalRow | None) -> Answer | None:
        if row is None:
            return None
        return Answer(topic=row.topic, partition=row.partition, recorded=self._codec.decode_event(row.payload))


async def is_known(database: Database, tenant: str, account_id: str) -> bool:
    """The tenant has an account of this id."""
    everything = dict.fromkeys(partitions_of(account_id, ("accounts.events",)), journal.Span())
    return bool(await journal.between(database, tenant, (account_id,), everything, 1))


def partitions_of(account_id: str, topics: tuple[str, ...]) -> list[Partition]:
    """Where an account's events stand: its partition has the same number in every topic."""
    number = murmur2_partition(account_id.encode(), PARTITIONS)
    return [(topic, number) for topic in topics]
