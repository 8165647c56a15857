"""The judge of a whole stack: the tape, the venue's records, the histories of customers and the read models, compared.

Books are folded from the tape by the real decider and set beside what the venue says of its executions; cash is added
up a second time from those executions alone. Whatever does not agree is a fault, in words.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import aiohttp
import msgspec

import contexts
from domain.accounts import events as a
from domain.executions.messages import venue_account
from domain.kernel.messages import OwnershipTaken, Recorded
from domain.kernel.money import MINOR_UNITS, money_text, quantity_text
from domain.orders import events as o
from domain.orders.decide import orders
from domain.orders.state import Book
from gateways import cursor
from infra.avro.codec import Codec
from infra.kafka.chain import ChainBroken, Link, follow
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Partition
from infra.postgres import Database
from projections import read_model
from projections.accounts import ledger
from projections.projector import on_tape
from projections.read_model import Appended, OnTape, ReadModel
from tests.kit.trading import TENANT, History
from tests.projections.hosting import Rows, stored, without_place

DECIDING = tuple(deciding.context for deciding in contexts.deciders())
MODELS = tuple(m for each in contexts.CONTEXTS for m in each.projections if not m.feeds)
READ_MAX = 5_000
SETTLED_WITHIN_SECONDS = 45.0
"""How long sagas, the venue and projections may take to be through after the last fault."""
LOOK_AGAIN_SECONDS = 0.5


class Tape:
    """Every event that stood on the tape at one moment, in the order of each partition."""

    def __init__(self) -> None:
        self.records: list[OnTape] = []
        self.links: dict[Partition, Link] = {}
        self.faults: list[str] = []
        self.dead = 0

    @classmethod
    async def read(cls, bootstrap: str, codec: Codec) -> "Tape":
        """All events topics from their beginnings to where they end now; chains are checked on the way."""
        tape, reader = cls(), Reader(bootstrap, "judge")
        ends: dict[Partition, int] = {}
        for context in DECIDING:
            ends |= {(f"{context}.events", n): end for n, end in (await reader.ends(f"{context}.events")).items()}
            tape.dead += sum((await reader.ends(f"{context}.commands.dead")).values())
        await reader.assign(dict.fromkeys(ends, BEGINNING))
        while any(reader.position().get(place, 0) < end for place, end in ends.items()):
            for arrived in await reader.take(READ_MAX, 100):
                tape._take(on_tape(codec, {}, arrived))
        await reader.close()
        return tape

    def _take(self, record: OnTape) -> None:
        place = (record.topic, record.partition)
        try:
            link = follow(self.links.get(place, Link()), record.message, record.value, place=f"{place}@{record.offset}")
        except ChainBroken as broken:
            self.faults.append(str(broken))
            link = Link(record.sequence, bytes(32), record.message.term)
        self.links[place] = link
        self.records.append(record)

    def events(self, context: str, account_id: str = "") -> list[Recorded[Any]]:
        """The events of a context, of one account or all, less those of owners."""
        return [
            record.message
            for record in self.records
            if record.topic == f"{context}.events"
            and not isinstance(record.message.event, OwnershipTaken)
            and account_id in ("", record.message.stream_id)
        ]

    def kinds(self, context: str, account_id: str) -> list[str]:
        """The names of an account's events, in order."""
        return [type(recorded.event).__name__ for recorded in self.events(context, account_id)]

    def books(self) -> dict[str, Book]:
        """Every account's book by the real decider."""
        events: dict[str, list[Any]] = defaultdict(list)
        for recorded in self.events("orders"):
            events[recorded.stream_id].append(recorded.event)
        return {account_id: orders.fold(each) for account_id, each in events.items()}

    def tenant_of(self, account_id: str) -> str:
        """Whose account it is, by its first event."""
        return next(recorded.tenant for recorded in self.events("orders") if recorded.stream_id == account_id)

    def terms(self, context: str) -> dict[int, int]:
        """The newest term of each partition."""
        return {number: link.term for (topic, number), link in self.links.items() if topic == f"{context}.events"}


class Judge:
    """Where everything that must agree is found."""

    def __init__(self, bootstrap: str, venue_url: str, dsn: str, codec: Codec) -> None:
        self._bootstrap = bootstrap
        self._venue_url = venue_url
        self._dsn = dsn
        self._codec = codec

    async def tape(self) -> Tape:
        """The tape as it is now."""
        return await Tape.read(self._bootstrap, self._codec)

    async def statement(self, account_id: str, tenant: str = TENANT) -> dict[str, Any]:
        """What the venue says the account holds, has paid and has executed."""
        account = venue_account(tenant, account_id)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._venue_url}/statement", params={"account": account}) as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return found

    async def until(self, holds: Callable[[Tape], bool], within_s: float = SETTLED_WITHIN_SECONDS) -> Tape:
        """The tape, once this holds of it."""
        async with asyncio.timeout(within_s):
            while not holds(tape := await self.tape()):
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            return tape

    async def balanced(self, history: History, within_s: float = SETTLED_WITHIN_SECONDS) -> Tape:
        """Return once everything agrees; fails with all that does not agree when that takes too long."""
        until = time.monotonic() + within_s
        while True:
            tape = await self.tape()
            faults = await self.faults(tape, history)
            if not faults:
                return tape
            if time.monotonic() > until:
                raise AssertionError(f"{len(faults)} faults after {within_s:.0f} s:\n" + "\n".join(faults[:40]))
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def faults(self, tape: Tape, history: History) -> list[str]:
        """Everything that does not agree with this tape."""
        found = [*tape.faults, *_repeated(tape), *_acknowledged(tape, history)]
        if tape.dead:
            found.append(f"{tape.dead} commands are dead letters")
        books = sorted(tape.books().items())
        for account_id, book in books:
            found += _differences(account_id, tape, book, await self.statement(account_id, tape.tenant_of(account_id)))
        async with _database(self._dsn) as database:
            for model in MODELS:
                found += _unlike(model, tape, await stored(database, model))
            for account_id, book in books:
                found += await _ledger(database, account_id, book, tape.tenant_of(account_id))
        return found


@contextlib.asynccontextmanager
async def _database(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn, name="judge")
    try:
        yield database
    finally:
        await database.close()


def _repeated(tape: Tape) -> Iterator[str]:
    """One event a command, one fill an execution, no gap in any stream."""
    commands: Counter[str] = Counter()
    executions: Counter[str] = Counter()
    versions: Counter[tuple[str, str]] = Counter()
    for record in tape.records:
        recorded: Recorded[Any] = record.message
        commands[recorded.command_id] += 1
        stream = (record.topic, f"{record.partition}/{recorded.stream_id}")
        versions[stream] += 1
        if recorded.version != versions[stream]:
            yield f"{stream} has version {recorded.version} as its {versions[stream]}th event"
        if isinstance(recorded.event, o.OrderFilled):
            executions[recorded.event.execution_id] += 1
    for what, counted in (("command", commands), ("execution", executions)):
        yield from (f"{what} {name} stands {count} times on the tape" for name, count in counted.items() if count > 1)


def _acknowledged(tape: Tape, history: History) -> Iterator[str]:
    """What a customer was told stands where it was told to stand."""
    places = {
        record.message.command_id: (record.topic, record.partition, record.sequence, record.message.stream_id)
        for record in tape.records
    }
    for entry in history.told("ok", "fail"):
        if not entry.position:
            continue
        ((topic, partition), sequence) = next(iter(cursor.decode(entry.position).items()))
        if places.get(entry.command_id) != (topic, partition, sequence, entry.account_id):
            yield (
                f"{entry.route} of {entry.account_id} was answered {entry.status} at {topic}[{partition}] {sequence}, "
                f"its command {entry.command_id} stands at {places.get(entry.command_id)}"
            )


def _differences(account_id: str, tape: Tape, book: Book, statement: dict[str, Any]) -> Iterator[str]:
    """What the venue has otherwise than the book, and cash by way of the venue's executions alone."""
    held = {symbol: quantity_text(quantity) for symbol, quantity in book.holdings.items()}
    if held != statement["holdings"]:
        yield f"{account_id}: holds {held}, the venue says {statement['holdings']}"
    told = [each["execution_id"] for each in statement["executions"]]
    if sorted(told) != sorted(book.executions):
        missing, extra = set(told) - set(book.executions), set(book.executions) - set(told)
        yield f"{account_id}: executions missing here {sorted(missing)}, unknown there {sorted(extra)}"
    cash = 0
    for recorded in tape.events("accounts", account_id):
        match recorded.event:
            case a.CashDeposited() as event:
                cash += event.amount
            case a.CashWithdrawn() as event:
                cash -= event.amount
    for each in statement["executions"]:
        cash -= (1 if each["side"] == "BUY" else -1) * _cents(each["quantity"], each["price"])
    if cash != book.cash:
        yield f"{account_id}: has {money_text(book.cash)}, deposits and executions make {money_text(cash)}"
    if book.reserved != sum(order.reserved for order in book.working.values()) + sum(book.withdrawals.values()):
        yield f"{account_id}: {money_text(book.reserved)} is reserved for nothing that is known"


def _unlike(model: ReadModel, tape: Tape, rows: Rows) -> Iterator[str]:
    """Read models are the fold of the tape, row by row and bit by bit."""
    records = [record for record in tape.records if record.topic in model.events]
    folded: Rows = {
        table.name: set(
            read_model.append_batch(table, records)
            if isinstance(table, Appended)
            else read_model.fold_batch(table, {}, records).values()
        )
        for table in model.tables
    }
    if len(model.events) > 1:
        folded, rows = without_place(folded), without_place(rows)
    for name, expected in folded.items():
        if expected != rows[name]:
            yield f"{name}: {len(expected - rows[name])} rows differ from the fold of the tape, or are not there yet"


async def _ledger(database: Database, account_id: str, book: Book, tenant: str) -> list[str]:
    found = [
        f"{account_id}: the ledger's lines of {each.symbol or 'cash'} sum to {each.amount}"
        for each in await ledger.sums(database, tenant=tenant, account_id=account_id)
        if each.amount
    ]
    cash = await ledger.balances(database, tenant=tenant, account_id=account_id)
    pending = sum(book.withdrawals.values())
    if (cash.cash + cash.reserved, cash.reserved, cash.clearing) != (book.cash, pending, 0):
        found.append(f"{account_id}: the ledger has {msgspec.to_builtins(cash)}, the book {book.cash} and {pending}")
    return found


def _cents(quantity: str, price: str) -> int:
    product = Decimal(quantity) * Decimal(price) * MINOR_UNITS
    return int(product.to_integral_value(rounding=ROUND_HALF_EVEN))
