"""A whole installation in one thread whose parts are hurt: what is done to it, how often, by one seed."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import contexts
from deploy.local.kafka import LocalKafka
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Outgoing
from infra.kafka.sender import Sender
from infra.kafka.writer import TapeWriter
from infra.postgres import Database, DatabaseDown
from infra.settings import PARTITIONS
from projections import projector
from projections.accounts.account_list import account_list
from projections.accounts.ledger import ledger
from projections.orders.journal import journal
from projections.partners.subscriptions import subscriptions
from streams.deciders import Deciders, Owner
from tests.kit.live import Live
from tests.kit.writers import Around

DEATH, CUT, HANG_UP = "decider killed before its end", "database connections killed", "stream cut"
CONTEXTS = ("orders", "accounts", "risk", "partners")
"""What is decided here: less than a whole installation, so that a decider is soon back."""
MODELS = (journal, ledger, account_list, subscriptions)
DEATHS_PER_APPEND = 0.02
DEAD_S = 0.3
"""How long a dead decider's transaction stands open: readers that may not see it have time to."""
KILL_EVERY_S = 0.5
BROKEN_MAX = 20
"""How often a host may end of what nobody did to it before it is left where it is."""
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


class Died(Exception):
    """What stands for kill -9."""


class Trouble:
    """What happens, and what has happened."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.is_on = False
        self.done: Counter[str] = Counter()

    def strikes(self, what: str, probability: float) -> bool:
        """Whether it happens now."""
        happens = self.is_on and self.chance.random() < probability
        self.done[what] += happens
        return happens


class Dying(Around):
    """A real writer whose process dies, now and then, when its records are written and their end is not."""

    def __init__(self, inner: TapeWriter, trouble: Trouble) -> None:
        super().__init__(inner)
        self._trouble = trouble

    async def append(self, records: Sequence[Outgoing]) -> None:
        await self.send(records)
        if self._trouble.strikes(DEATH, DEATHS_PER_APPEND):
            raise Died
        await self.end()


class Troubled(Live):
    """The installation, with deciders that die and are started again."""

    def __init__(self, kafka: LocalKafka, dsn: str, state_dir: Path, codec: Codec, trouble: Trouble) -> None:
        super().__init__(kafka, dsn, state_dir, codec)
        self.trouble = trouble
        self.broken: list[str] = []
        """What hosts ended of that nobody did to them."""

    def leave(self) -> None:
        """Stop everything; what ended by itself is known then."""
        for name in list(reversed(self._parts)):
            try:
                self.stop_part(name)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is evidence)
                self.broken.append(f"{name}: {error!r}")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _deciders(self, stop: asyncio.Event) -> None:
        while not stop.is_set() and len(self.broken) < BROKEN_MAX:
            try:
                await self._reign(stop)
            except Died:
                await asyncio.sleep(DEAD_S)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is evidence)
                self.broken.append(f"deciders: {error!r}")
                await asyncio.sleep(DEAD_S)

    async def _reign(self, stop: asyncio.Event) -> None:
        sender, reader = Sender(self.kafka.bootstrap, "deciders"), self._reader("deciders")
        owners = [
            Owner(deciding, number, self.codec, wall, self._mortal)
            for deciding in contexts.deciders()
            if deciding.context in CONTEXTS
            for number in range(PARTITIONS)
        ]
        try:
            await Deciders(owners, reader, DeadLetters(sender)).run("deciders", self._reader, stop)
        finally:
            for owner in owners:
                await owner.close()
            await reader.close()
            await sender.close()

    async def _projector(self, stop: asyncio.Event) -> None:
        running = asyncio.create_task(projector.run(self.settings, self.codec, MODELS))
        await stop.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def _mortal(self, topic: str, partition: int) -> TapeWriter:
        writer = Protocol2Writer(self.kafka.bootstrap, topic, partition)
        return Dying(writer, self.trouble) if topic.endswith(".events") else writer


async def kill_connections(dsn: str, trouble: Trouble) -> None:
    """All of them, again and again, until cancelled."""
    database = Database(dsn, name="trouble")
    try:
        while True:
            await asyncio.sleep(trouble.chance.expovariate(1 / KILL_EVERY_S))
            if trouble.is_on:
                with contextlib.suppress(DatabaseDown):
                    trouble.done[CUT] += await database.value(TERMINATE)
    finally:
        await database.close()
