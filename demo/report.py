"""The end of a demo: figures from the tape itself, books balanced against the venue's own records, one order proved.

Books are folded from the tape by the real decider and set beside what the venue says of its executions; cash is added
up a second time from those executions alone. Whatever does not agree is named, and the demo fails.
"""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import aiohttp
import msgspec

from demo.bills import Bills
from demo.breaks import Breaks
from domain.accounts import events as a
from domain.executions.messages import venue_account
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import MINOR_UNITS, money_text, quantity_text
from domain.orders import events as o
from domain.orders.decide import orders
from domain.orders.state import Book, evolve
from gateways import cursor
from infra.avro.codec import Codec
from infra.kafka.chain import Link
from infra.kafka.chain import follow as chain
from infra.kafka.reader import Reader
from infra.kafka.records import Partition

READ_MAX = 5_000
"""Records read together at the end."""
LAST_DATE = "2012-06-30"
"""A market date on which the last price list of a demo is in force."""
STATEMENT_SECONDS_MAX = 60
"""Longest wait for one statement of the venue, while the demo is still busy."""
PROOF_SECONDS_MAX = 60
"""Longest wait for a proof: it scans the tape of one demo for its order."""


class Figures(msgspec.Struct, kw_only=True):
    """What the tape holds, and whatever does not agree with it."""

    events_by_type: dict[str, int]
    accounts: int
    fills: int
    traded: str
    acknowledged: int
    owed: str
    invoices: int
    credit_notes: int
    breaks: int
    statements_matched: int
    faults: list[str]


class Ending:
    """Everything that is on the tape at the end, read once."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.books: dict[str, Book] = defaultdict(lambda: orders.initial)
        self.tenants: dict[str, str] = {}
        self.deposited: Counter[str] = Counter()
        self.withdrawn: Counter[str] = Counter()
        self.executions: dict[str, set[str]] = defaultdict(set)
        self.places: dict[Partition, dict[int, str]] = defaultdict(dict)
        self.order_ids: list[str] = []
        self.fills: dict[str, list[str]] = defaultdict(list)
        self.bills = Bills()
        self.breaks = Breaks()
        self.traded = 0

    async def read(self, reader: Reader, codec: Codec, contexts: Sequence[str]) -> None:
        """Read every events topic from its beginning to where it ends now; chains are checked on the way."""
        ends: dict[Partition, int] = {}
        for context in contexts:
            ends |= {(f"{context}.events", n): end for n, end in (await reader.ends(f"{context}.events")).items()}
        await reader.assign(dict.fromkeys(ends, 0))
        links: dict[Partition, Link] = {}
        while any(reader.position().get(place, 0) < end for place, end in ends.items()):
            for arrived in await reader.take(READ_MAX, 100):
                place = (arrived.topic, arrived.partition)
                recorded = codec.decode_event(arrived.value)
                links[place] = chain(links.get(place, Link()), recorded, arrived.value, place=str(place))
                self.take(place, recorded)

    def take(self, place: Partition, recorded: Recorded[Event]) -> None:
        """Add up one event."""
        account, event = recorded.stream_id, recorded.event
        self.events[f"{place[0].partition('.')[0]}.{type(event).__name__}"] += 1
        self.places[place][recorded.sequence] = account
        self.bills.take(recorded, LAST_DATE)
        self.breaks.take(recorded)
        if place[0] == "orders.events" and not account.startswith("owner/"):
            self.books[account] = evolve(self.books[account], event)  # type: ignore[arg-type]  # events of orders
            self.tenants[account] = recorded.tenant
        match event:
            case a.CashDeposited():
                self.deposited[account] += event.amount
            case a.CashWithdrawn():
                self.withdrawn[account] += event.amount
            case o.OrderFilled():
                self.executions[account].add(event.execution_id)
                self.fills[account].append(recorded.event_id)
                self.traded += event.amount
                self.order_ids.append(event.order_id)
            case _:
                pass


async def settled(ending: Ending, venue_url: str, acknowledged: Sequence[tuple[str, str, str]]) -> Figures:
    """Set the books beside the venue's records, and the acknowledged commands beside the tape."""
    faults: list[str] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=STATEMENT_SECONDS_MAX)) as session:
        for account in sorted(ending.books):
            name = venue_account(ending.tenants[account], account)
            async with session.get(f"{venue_url}/statement", params={"account": name}) as answer:
                faults += _differences(account, ending, await answer.json())
    faults += list(_missing(ending, acknowledged))
    return Figures(
        events_by_type=dict(sorted(ending.events.items())),
        accounts=len(ending.books),
        fills=sum(len(executions) for executions in ending.executions.values()),
        traded=money_text(ending.traded),
        acknowledged=len(acknowledged),
        owed=money_text(ending.bills.owed),
        invoices=ending.bills.invoices,
        credit_notes=ending.bills.notes,
        breaks=len(ending.breaks.known),
        statements_matched=ending.breaks.statements,
        faults=faults,
    )


def prove(order_id: str, folder: Path, root: Path) -> tuple[bool, str]:
    """Prove one order and verify the proof with the file that imports nothing of ours; says what the verifier said."""
    proof = folder / "proof.json"
    made = subprocess.run(
        [sys.executable, "main.py", "audit", "prove", order_id, "--out", str(proof)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=PROOF_SECONDS_MAX,
        check=False,
    )
    if made.returncode != 0:
        return False, f"no proof: {made.stderr.strip() or made.stdout.strip()}"
    vkey = msgspec.json.decode(proof.read_bytes())["vkey"]
    checked = subprocess.run(
        [sys.executable, "gateways/audit/verify.py", str(proof), "--key", vkey],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=PROOF_SECONDS_MAX,
        check=False,
    )
    return checked.returncode == 0, checked.stdout.strip() or checked.stderr.strip()


def _differences(account: str, ending: Ending, statement: dict[str, object]) -> list[str]:
    """What the venue has otherwise than the book."""
    book, found = ending.books[account], []
    held = {symbol: quantity_text(quantity) for symbol, quantity in book.holdings.items()}
    if held != statement["holdings"]:
        found.append(f"{account}: holds {held}, the venue says {statement['holdings']}")
    executions = statement["executions"]
    assert isinstance(executions, list)
    told = [str(each["execution_id"]) for each in executions]
    if set(told) != ending.executions[account] or len(told) != len(set(told)):
        missing, extra = set(told) - ending.executions[account], ending.executions[account] - set(told)
        found.append(f"{account}: executions missing here {sorted(missing)}, unknown there {sorted(extra)}")
    cash = ending.deposited[account] - ending.withdrawn[account]
    for each in executions:
        cash -= (1 if each["side"] == "BUY" else -1) * _cents(each["quantity"], each["price"])
    if cash != book.cash:
        found.append(
            f"{account}: has {money_text(book.cash)}, deposits and the venue's executions make {money_text(cash)}"
        )
    return found + ending.bills.differences(account, executions, ending.fills[account])


def _missing(ending: Ending, acknowledged: Sequence[tuple[str, str, str]]) -> list[str]:
    """Commands that were answered with a tape position at which the tape has no event of that account."""
    found = []
    for account, route, position in acknowledged:
        for place, sequence in cursor.decode(position).items():
            if ending.places[place].get(sequence) != account:
                found.append(f"{account}: {route} was acknowledged at {place} sequence {sequence}, which is not there")
    return found


def _cents(quantity: str, price: str) -> int:
    product = Decimal(quantity) * Decimal(price) * MINOR_UNITS
    return int(product.to_integral_value(rounding=ROUND_HALF_EVEN))
