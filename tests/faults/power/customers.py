"""Customers of the accounts context on a real broker: commands in, events read back, all that was told written down.

    python -m tests.faults.power.customers FOLDER --kafka HOST:PORT --seed N [--without-flush]

The product's own hosts decide, its own reader reads back. FOLDER gets histories/customers.ndjson in the checker's
format, and beside it, before anybody counts on it, where each command and each event was said to stand.
"""

import argparse
import asyncio
import contextlib
import hashlib
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

import contexts
from domain.accounts.commands import DepositCash, OpenAccount
from domain.kernel.ids import DepositId
from domain.kernel.messages import Command, Issued, OwnershipTaken
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender, murmur2_partition
from infra.kafka.topics import declare
from infra.readback import ReadBack, Seen
from infra.settings import PARTITIONS
from streams.deciders import Deciders, Owner
from tests.faults.checker.evidence import Entry
from tests.faults.histories import Log

CONTEXT = "accounts"
COMMANDS, EVENTS = f"{CONTEXT}.commands", f"{CONTEXT}.events"
TENANT = "acme"
CUSTOMERS = 12
PAUSE_SECONDS_MAX = 0.08
"""Longest pause of a customer between two commands: a cut finds several on their way at any moment."""
STOP_SECONDS_MAX = 20.0
ANSWER_SECONDS_MAX = 30.0
"""Longest way of a command to its event, also on a broker that has just recovered on a busy machine."""
HISTORY, ASKED, PLACES = "histories/customers.ndjson", "asked.ndjson", "places.ndjson"


class Place(msgspec.Struct, frozen=True):
    """A record that somebody was told of: a command that was acknowledged, or an event that was read back."""

    partition: int
    offset: int
    digest: str
    """SHA-256 of its value."""


def digest(value: bytes) -> str:
    """As records are compared."""
    return hashlib.sha256(value).hexdigest()


class Customers:
    """Each has an account and waits for one answer after the other."""

    def __init__(self, bootstrap: str, codec: Codec, folder: Path, name: str) -> None:
        self._bootstrap = bootstrap
        self._codec = codec
        self._name = name
        self._history = Log(folder / HISTORY)
        self._asked = Log(folder / ASKED)
        self._places = Log(folder / PLACES)
        self._waiting: dict[str, asyncio.Future[Seen]] = {}

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Hosts decide and events are read back for as long as this lasts."""
        async with deciding(self._bootstrap, self._codec, self._name):
            self._sender = Sender(self._bootstrap, f"{self._name}-sender")
            reader, ends = Reader(self._bootstrap, f"{self._name}-back"), Reader(self._bootstrap, f"{self._name}-ends")
            back = ReadBack(reader, ends, self._codec, [EVENTS])
            back.listen(self._heard)
            await back.begin()
            reading = asyncio.create_task(back.run())
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await self._sender.close()
                for each in (reader, ends):
                    await each.close()
                for log in (self._history, self._asked, self._places):
                    log.close()

    async def trade(self, account: str, chance: random.Random, stop: asyncio.Event, orders_max: int) -> None:
        """Open an account, then pay in until told to stop or often enough."""
        for number in range(orders_max):
            if stop.is_set():
                return
            if number:
                deposit_id = DepositId(f"{account}-{number}")
                await self._ask(account, number, DepositCash(deposit_id=deposit_id, amount=Money(100), at=wall()))
            else:
                await self._ask(account, number, OpenAccount(owner=account, currency="USD", at=wall()))
            await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))

    async def _ask(self, account: str, number: int, command: Command) -> None:
        """One command, until its event was read back."""
        issued = Issued(
            command=command,
            command_id=f"{account}.{number}",
            tenant=TENANT,
            stream_id=account,
            causation_id="",
            correlation_id="",
        )
        entry = Entry(
            kind="invoke",
            mono_ns=time.monotonic_ns(),
            op=number,
            client=account,
            tenant=TENANT,
            account=account,
            asked="deposit" if number else "open",
            command=issued.command_id,
        )
        value, headers = self._codec.encode_command(issued), {"command-id": issued.command_id.encode()}
        answer = self._waiting[issued.command_id] = asyncio.get_running_loop().create_future()
        self._history.write(entry)
        offset = await self._sender.send(COMMANDS, account.encode(), value, headers)
        number = murmur2_partition(account.encode(), PARTITIONS)
        self._asked.write(Place(number, offset, digest(value)))
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            seen = await answer
        stands: dict[str, Any] = {"partition": seen.partition, "sequence": seen.recorded.sequence, "topic": EVENTS}
        told = msgspec.structs.replace(entry, kind="ok", mono_ns=time.monotonic_ns(), status=201, **stands)
        self._history.write(told)

    def _heard(self, seen: Seen) -> None:
        self._places.write(Place(seen.partition, seen.offset, digest(seen.value)))
        answer = self._waiting.pop(seen.recorded.command_id, None)
        if answer is not None and not answer.done() and not isinstance(seen.recorded.event, OwnershipTaken):
            answer.set_result(seen)


@contextlib.asynccontextmanager
async def deciding(bootstrap: str, codec: Codec, name: str) -> AsyncIterator[None]:
    """The product's host of this context on all partitions; takes them over first."""
    (wanted,) = [each for each in contexts.deciders() if each.context == CONTEXT]
    owners = [
        Owner(wanted, number, codec, wall, lambda topic, partition: Protocol2Writer(bootstrap, topic, partition))
        for number in range(PARTITIONS)
    ]
    reader, sender = Reader(bootstrap, f"{name}-commands"), Sender(bootstrap, f"{name}-dead")
    stop = asyncio.Event()
    host = Deciders(owners, reader, DeadLetters(sender))
    running = asyncio.create_task(host.run(name, lambda title: Reader(bootstrap, title), stop))
    try:
        yield
        stop.set()
        await asyncio.wait_for(running, STOP_SECONDS_MAX)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for owner in owners:
            await owner.close()
        await reader.close()
        await sender.close()


def declared(bootstrap: str, *, is_flushed: bool) -> None:
    """The topics of this context as the product declares them, less the flush if that is what is tried."""
    ours = [spec for spec in contexts.topics() if spec.name.startswith(f"{CONTEXT}.")]
    declare(bootstrap, [spec if is_flushed else msgspec.structs.replace(spec, flush_each=False) for spec in ours])


async def trade(bootstrap: str, folder: Path, name: str, seed: int, *, customers: int, orders_max: int) -> None:
    """So many customers of their own names until each has asked often enough, or SIGTERM."""
    made, stop = Customers(bootstrap, Codec(contexts.messages()), folder, name), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with made.served(), asyncio.TaskGroup() as trading:
        for number in range(customers):
            chance = random.Random(f"{seed}/{number}")
            trading.create_task(made.trade(f"{name}-{number}", chance, stop, orders_max))


ENDLESS = 1_000_000
"""Commands of a customer that nobody will live to see."""


def main() -> None:
    """Read the arguments and trade until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power.customers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--without-flush", action="store_true")
    given = parser.parse_args()
    declared(given.kafka, is_flushed=not given.without_flush)
    asyncio.run(trade(given.kafka, given.folder, "before", given.seed, customers=CUSTOMERS, orders_max=ENDLESS))


if __name__ == "__main__":
    main()
