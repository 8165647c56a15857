"""The end of a history: whether all accepted work is done, and whether everything agrees with the auditor's books."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.simulation.books import SCALE, Account

if TYPE_CHECKING:
    from tests.simulation.history import History

MARKED_S = 0.1
"""An end is clear a moment before its marker is written."""


def unfinished(history: "History") -> list[str]:
    """What still waits: nothing, once all is through."""
    auditor = history.auditor
    found = [f"command {command_id} of {context} is not decided" for context, command_id in auditor.undecided]
    if found:
        return found
    for account_id, account in auditor.books.accounts.items():
        found += [f"{account_id}: {what}" for what in _waiting(account)]
    found += _venue(history)
    found += _projector(history)
    return found


async def faults(history: "History") -> list[str]:
    """What does not agree at the end."""
    auditor = history.auditor
    found = list(_order(history))
    found += [
        f"{asked.command_id} was answered and is lost"
        for asked in auditor.history
        if asked.place is not None and (asked.context, asked.command_id) not in auditor.events
    ]
    if auditor.dead:
        found.append(f"commands set aside: {dict(list(auditor.dead.items())[:5])}")
    found += auditor.false_snapshots()
    found += history.system.rows.breaks
    found += list(_read_models(history))
    found += await _owners(history)
    found += history.loop.complaints
    return found


def _waiting(account: Account) -> Iterator[str]:
    """What sagas and the venue still owe this account."""
    if account.is_opened and not (account.is_trading and account.limit is not None):
        yield "its book is not open yet"
    yield from (f"deposit {name} is not in the book" for name in account.deposits if name not in account.credited)
    yield from (f"withdrawal {name} is pending" for name in account.pending)
    yield from (f"withdrawal {name} is paid and not spent" for name in account.paid if name not in account.spent)
    yield from (f"withdrawal {name} is refused and still held" for name in account.turned_down if name in account.held)


def _venue(history: "History") -> Iterator[str]:
    """Executions and open orders are the same here and there."""
    known = {name for account in history.auditor.books.accounts.values() for name in account.executions}
    yield from (f"execution {name} is not in a book" for name in history.venue.executions if name not in known)
    there = history.venue.open_orders()
    here = {name: o for account in history.auditor.books.accounts.values() for name, o in account.orders.items()}
    for name, order in here.items():
        if name not in there:
            yield f"order {name} works here, not at the venue"
        elif order.wanted is not None:
            yield f"order {name} waits for its new terms"
        elif order.unfilled != there[name].leaves * SCALE:
            yield f"order {name} has {order.unfilled} left, at the venue {there[name].leaves}"
    ended = {name: how for account in history.auditor.books.accounts.values() for name, how in account.ended.items()}
    for name in there:
        if name not in here and ended.get(name) != "DayEnded":
            yield f"order {name} works at the venue, here it is {ended.get(name, 'unknown')}"


def _projector(history: "History") -> Iterator[str]:
    for model, held in history.system.rows.positions.items():
        for place, position in held.items():
            if position.link.sequence + 1 < len(history.auditor.chains[place].values):
                yield f"{model} is at {position.link.sequence} of {place}"


def _order(history: "History") -> Iterator[str]:
    """Of one account's commands of one context, what was answered before another was asked stands before it."""
    by_account: dict[tuple[str, str], list[Any]] = {}
    for asked in history.auditor.history:
        if asked.place is not None:
            by_account.setdefault((asked.account, asked.context), []).append(asked)
    for entries in by_account.values():
        by_sequence = sorted(entries, key=lambda each: each.place[2])
        latest_asked = -1
        for entry in by_sequence:
            if entry.told_us < latest_asked:
                yield f"{entry.command_id} was answered before another was asked that stands before it"
            latest_asked = max(latest_asked, entry.asked_us)


def _read_models(history: "History") -> Iterator[str]:
    """Rows say what the books say."""
    tables, books = history.system.rows.tables, history.auditor.books.accounts
    by_account = {key[1]: row for key, row in tables["ledger_balances"].items()}
    for account_id, account in books.items():
        row = by_account.get(account_id)
        expected = (account.cash - sum(account.held.values()), sum(account.held.values()), 0)
        if row is not None and (row.cash, row.reserved, row.clearing) != expected:
            yield f"{account_id}: the ledger has {(row.cash, row.reserved, row.clearing)}, the books {expected}"
        if row is None and account.deposits:
            yield f"{account_id}: the ledger has no row"
        held = {row.symbol: row.quantity for row in tables["positions"].values() if row.account_id == account_id}
        if {s: q for s, q in held.items() if q} != {s: q for s, q in account.shares.items() if q}:
            yield f"{account_id}: positions {held}, the books {dict(account.shares)}"
        orders = {row.order_id: row for row in tables["order_blotter"].values() if row.account_id == account_id}
        if {name for name, row in orders.items() if row.is_open} != set(account.orders):
            yield f"{account_id}: the blotter has other open orders than the books"
        for name, order in account.orders.items():
            row = orders.get(name)
            if row is not None and (row.unfilled, row.reserved) != (order.unfilled, order.reserved):
                yield f"{account_id}: the blotter has {name} with {row.unfilled} left and {row.reserved} reserved"
    journal = len(tables["journal"])
    if journal != len(history.auditor.events):
        yield f"the journal has {journal} rows of {len(history.auditor.events)} events"


async def _owners(history: "History") -> list[str]:
    """A new owner, from the newest snapshot and the events behind it, knows what the books know."""
    found: list[str] = []
    system, options = history.system, history.options
    process = system.supervisor
    for number in range(options.partitions):
        for owner in system.owners((("orders", number), ("accounts", number)), process):
            await owner.take_over("judge", system.reader)
            await asyncio.sleep(MARKED_S)
            chain = history.auditor.chains[owner.partition.topic, number]
            knowledge = owner.partition.knowledge
            if (knowledge.link.sequence, knowledge.link.hash) != (len(chain.values) - 1, chain.values[-1]):
                found.append(f"{owner.partition.topic}[{number}]: a new owner stands at {knowledge.link.sequence}")
            for name, stream in knowledge.streams.items():
                if not name.startswith("owner/"):
                    account = history.auditor.books.accounts[name]
                    found += [f"{name}: {what}" for what in _state(owner.partition.context, stream.state, account)]
            await owner.close()
    return found


def _state(context: str, state: Any, account: Account) -> Iterator[str]:
    if context == "accounts":
        if dict(state.pending) != account.pending or dict(state.deposits) != account.deposits:
            yield f"the account has {state}"
        return
    shares = {symbol: quantity for symbol, quantity in account.shares.items() if quantity}
    if (state.cash, state.reserved) != (account.cash, account.reserved):
        yield f"the book has {state.cash} and {state.reserved}, the books {account.cash} and {account.reserved}"
    if dict(state.holdings) != shares or set(state.working) != set(account.orders):
        yield f"the book holds {dict(state.holdings)}, the books {shares}"
    if set(state.executions) != set(account.executions) or set(state.halts) != account.halts:
        yield "the book knows other executions or halts than the books"
