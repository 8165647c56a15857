"""`python -m tests.bench.library decide|replay DSN ...`: eventsourcing on PostgreSQL, used as its book says.

An aggregate with decorated commands, an application, its PostgreSQL recorder. Aggregates are kept in memory between
commands, as our owner keeps them, which saves the library a repository's read for each.
"""

import json
import sys
import time
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent

EVENTS_PER_ACCOUNT = 1_000
FILL_BATCH = 1_000


class TooExpensive(Exception):
    """The purse is too small for this order."""


class Account(Aggregate):
    """One account's book, with as much in it as an order needs."""

    @event("Opened")
    def __init__(self, currency: str, cash: int) -> None:
        self.currency = currency
        self.cash = cash
        self.reserved = 0
        self.working: dict[str, tuple[str, str, int, int]] = {}

    def buy(self, order_id: str, symbol: str, quantity: int, limit: int) -> None:
        """Place an order that can be paid for."""
        if order_id in self.working or self.cash - self.reserved < quantity * limit:
            raise TooExpensive(order_id)
        self._placed(order_id=order_id, symbol=symbol, side="BUY", quantity=quantity, limit=limit)

    @event("Placed")
    def _placed(self, order_id: str, symbol: str, side: str, quantity: int, limit: int) -> None:
        self.reserved += quantity * limit
        self.working[order_id] = (symbol, side, quantity, limit)


class Brokerage(Application[UUID]):
    """All accounts of one process."""


def application(dsn: str) -> Brokerage:
    """The application on this database."""
    parts = urlsplit(dsn)
    return Brokerage(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts.path.lstrip("/"),
            "POSTGRES_HOST": str(parts.hostname),
            "POSTGRES_PORT": str(parts.port),
            "POSTGRES_USER": parts.username or "postgres",
            "POSTGRES_PASSWORD": parts.password or "none",
        }
    )


def opened(app: Brokerage, count: int) -> list[Account]:
    """So many accounts with plenty of cash."""
    accounts = [Account(currency="USD", cash=10**12) for _ in range(count)]
    app.save(*accounts)
    return accounts


def decide(dsn: str, seconds: float) -> dict[str, float]:
    """One decision, one save, each durable before the next; then a thousand decisions a save."""
    app = application(dsn)
    accounts = opened(app, 200)
    found: dict[str, float] = {}
    for name, batch in (("decisions_per_s", 1), ("batched_per_s", 1_000)):
        began, cpu, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            touched: dict[UUID, Account] = {}
            for number in range(batch):
                account = accounts[(count + number) % len(accounts)]
                account.buy(str(uuid4()), "AAPL", 1, 100)
                touched[account.id] = account
            app.save(*touched.values())
            count += batch
        found[name] = count / (time.perf_counter() - began)
        if batch == 1:
            found["cpu_us"] = (time.process_time() - cpu) / count * 1e6
    app.close()
    return found


def replay(dsn: str, events: int) -> dict[str, float]:
    """Accounts of a thousand events each, written in bulk, then read back by the repository."""
    app = application(dsn)
    accounts: list[UUID] = []
    for _ in range(max(1, events // EVENTS_PER_ACCOUNT)):
        account = Account(currency="USD", cash=10**12)
        for _ in range(EVENTS_PER_ACCOUNT - 1):
            account.buy(str(uuid4()), "AAPL", 1, 100)
        stored: list[StoredEvent] = [app.mapper.to_stored_event(each) for each in account.collect_events()]
        app.recorder.insert_events(stored)
        accounts.append(account.id)
    began, cpu = time.perf_counter(), time.process_time()
    total = 0
    for each in accounts:
        total += len(app.repository.get(each).working) + 1
    seconds = time.perf_counter() - began
    assert total == len(accounts) * EVENTS_PER_ACCOUNT
    app.close()
    return {"events_per_s": total / seconds, "cpu_us": (time.process_time() - cpu) / total * 1e6}


def main(verb: str, dsn: str, size: str) -> None:
    """Print one JSON object."""
    found = decide(dsn, float(Decimal(size))) if verb == "decide" else replay(dsn, int(size))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
