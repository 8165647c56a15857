"""One account's fills, marks, price lists and bill, by hand: what the agent asks reaches the bill, or is lost."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from domain.billing import charges, terms
from domain.billing import events as b
from domain.billing.charges import Charges
from domain.billing.commands import BillingCommand
from domain.billing.decide import billing
from domain.billing.rates import PriceRow
from domain.billing.recompute import Account
from domain.billing.state import Bill
from domain.billing.terms import Terms
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.messages import Event, Issued, Recorded
from domain.kernel.stream import Familiarity, Stream, advanced
from domain.market_data import marks
from domain.market_data.marks import Board, Mark
from tests.kit import orders as o
from tests.kit.sagas import recorded

E = TypeVar("E", bound=Event)
SECOND = 1_000_000
KNOWN_MAX = 1_024


class World:
    """The agent and the bill of one account. Commands wait in `sent` until `deliver`; time passes with each mark."""

    def __init__(self) -> None:
        self.state, self.terms, self.board = Charges(), Terms(), Board()
        self.bill: Stream[Bill] = Stream(billing.initial)
        self.events: list[b.BillingEvent] = []
        self.sent: list[Issued[BillingCommand]] = []
        self.now = Micros(1_700_000_000_000_000)
        self.fills: list[str] = []
        self.orders: list[Recorded[Any]] = []
        self.billing: list[Recorded[Any]] = []
        self._versions = 0

    def mark(self, session_date: str, after_s: int = 1) -> None:
        """The market says its date."""
        self.now = Micros(self.now + after_s * SECOND)
        seen = Mark(
            sequence=0,
            market_time=self.now,
            session_date=session_date,
            phase=Phase.OPEN,
            observed_at=self.now,
            is_complete=False,
            prices={},
        )
        self.terms = terms.follow(terms.follow(self.terms, seen), seen)
        self.board = marks.follow(self.board, seen)
        self._keep(charges.on_mark(self.state, self.board, self.terms))

    def publish(self, *rows: PriceRow, tenant: str = "acme") -> None:
        """A price list reaches the agent, twice; the next mark makes it look."""
        self._versions += 1
        copied = b.PriceList(sequence=self._versions, tenant=tenant, list_version=self._versions, rows=rows)
        self.terms = terms.follow(terms.follow(self.terms, copied), copied)

    def fill(self, shares: int = 100, price: int = 50) -> str:
        """The account's order is filled; gives the event's id."""
        number = len(self.fills)
        event = self._recorded(o.filled(shares, execution=f"x-{number}", price=price), sequence=number)
        self.fills.append(event.event_id)
        self.orders.append(event)
        self._keep(charges.on_event(self.state, event, self.board, self.terms))
        return event.event_id

    def deliver(self, *, lost: Sequence[int] = (), times: int = 1) -> None:
        """What was sent reaches the bill, less what is lost on the way, each so many times; the agent reads on."""
        while self.sent:
            sent, self.sent = self.sent, []
            told = []
            for index, issued in enumerate(sent):
                for _ in range(0 if index in lost else times):
                    told += self.decide(issued)
            for event in told:
                self._keep(charges.on_event(self.state, event, self.board, self.terms))

    def decide(self, issued: Issued[BillingCommand]) -> list[Recorded[Any]]:
        """As the host does: a known command adds nothing, one that is too old to tell goes to the dead letters."""
        if self.bill.familiarity(issued.command_id, issued.command.at) is not Familiarity.NEW:
            return []
        event = billing.decide(self.bill.state, issued.command)
        state = billing.evolve(self.bill.state, event)
        self.bill = advanced(self.bill, state, "acme", issued.command_id, issued.command.at, KNOWN_MAX)
        self.events.append(event)
        self.billing.append(self._recorded(event, sequence=len(self.events), actor=issued.command.actor))
        return self.billing[-1:]

    def on_tape(self) -> Account:
        """What anybody can read of this account."""
        lists = {each.list_version: each.rows for each in self.terms.lists_of("acme")}
        return Account(
            orders=tuple(self.orders),
            billing=tuple(self.billing),
            lists=lists,
            terms=self.terms,
            board=self.board,
        )

    def of(self, kind: type[E]) -> list[E]:
        """What the bill said, of this kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def charged(self) -> list[str]:
        """The fills that were charged, in order."""
        return [event.fill.event_id for event in self.events if isinstance(event, b.CommissionAccrued)]

    def _keep(self, step: charges.Step) -> None:
        self.state, commands = step
        self.sent += commands

    def _recorded(self, event: Event, *, sequence: int, actor: str = "venue") -> Recorded[Any]:
        made = recorded(event, actor=actor, sequence=sequence)
        return msgspec.structs.replace(made, at=self.now, recorded_at=self.now)
