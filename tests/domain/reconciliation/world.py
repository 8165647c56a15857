"""An account whose two sides tell of its executions in any order: the agent, its decider, what they made of it."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from domain.kernel.ids import AccountId, ExecutionId, Micros, OrderId, Symbol
from domain.kernel.messages import GENESIS, Event, Heard, Issued, Recorded
from domain.kernel.money import SCALE, Money, Price, Quantity, price_text, quantity_text
from domain.market_data.marks import Board
from domain.orders.commands import Side
from domain.orders.events import OrderFilled
from domain.reconciliation import reconcile
from domain.reconciliation.decide import reconciliation
from domain.reconciliation.events import BreakClosed, BreakOpened, StatementMatched
from domain.reconciliation.matching import Matching
from domain.reconciliation.records import VenueRecord
from domain.reconciliation.state import Breaks
from infra.faust.values import Values

SECOND_US = 1_000_000
OPENED_AT = Micros(1_330_966_800_000_000)
VALUES = Values(Matching)


class Execution(msgspec.Struct, frozen=True):
    """What truly happened; `time_ns` is the venue's time."""

    number: int
    symbol: str = "AAPL"
    side: Side = Side.BUY
    shares: int = 10
    dollars: int = 100

    @property
    def id(self) -> ExecutionId:
        """The venue's id of it."""
        return ExecutionId(f"x{self.number}")

    @property
    def time_ns(self) -> int:
        """In the order of their numbers."""
        return 1_000 * (self.number + 1)

    @property
    def signed(self) -> int:
        """What it adds to the holdings."""
        return self.shares * SCALE * (1 if self.side is Side.BUY else -1)


class World:
    """One account. Wall time passes with every step, market time with marks only."""

    def __init__(self) -> None:
        self.state = Matching()
        self.breaks: Breaks = reconciliation.initial
        self.events: list[Event] = []
        self.commands: list[Issued[Any]] = []
        self.board = Board()
        self._answers: deque[Recorded[Any]] = deque()
        self._wall = 1_700_000_000_000_000
        self._sequence = 0
        self._offset = 0

    def ours(self, execution: Execution, *, dollars: int = 0) -> "World":
        """Our book has filled it."""
        event = OrderFilled(
            order_id=OrderId(f"o{execution.number}"),
            execution_id=execution.id,
            symbol=Symbol(execution.symbol),
            side=execution.side,
            quantity=Quantity(execution.shares * SCALE),
            price=Price((dollars or execution.dollars) * SCALE),
            amount=Money(0),
            unfilled=Quantity(0),
            released=Money(0),
            late=False,
            venue_time_ns=execution.time_ns,
        )
        return self._step(reconcile.on_event(self.state, self._recorded(event), self.board))

    def copied(self, execution: Execution) -> "World":
        """The venue's copy of it came."""
        body = {
            "type": "copy",
            "client_order_id": f"o{execution.number}-1",
            "execution_id": execution.id,
            "symbol": execution.symbol,
            "side": execution.side.value,
            "quantity": quantity_text(execution.shares * SCALE),
            "price": price_text(execution.dollars * SCALE),
            "time_ns": str(execution.time_ns),
        }
        return self.heard(f"copy-{execution.id}", msgspec.json.encode(body))

    def stated(self, executions: Iterable[Execution], *, name: str = "s1", as_of: int = 10**6) -> "World":
        """The venue's statement over these executions came."""
        holdings: dict[str, int] = {}
        counted = [each for each in executions if each.time_ns <= as_of]
        for each in counted:
            holdings[each.symbol] = holdings.get(each.symbol, 0) + each.signed
        body = {
            "type": "statement",
            "date": "2012-03-05",
            "as_of_ns": str(as_of),
            "holdings": {symbol: quantity_text(held) for symbol, held in holdings.items() if held},
            "executions": len(counted),
        }
        return self.heard(f"statement-{name}", msgspec.json.encode(body))

    def heard(self, source_id: str, body: bytes, tenant: str = "acme") -> "World":
        """A record of the venue came."""
        record = VenueRecord(
            source_id=source_id,
            venue="paper",
            tenant=tenant,
            account_id=AccountId("A1"),
            sequence=1,
            body=body,
            received_at=self._now(),
        )
        heard = Heard(message=record, topic="reconciliation.messages", offset=self._offset)
        self._offset += 1
        return self._step(reconcile.on_feed(self.state, heard, self.board))

    def mark(self, seconds: float = 1.0) -> "World":
        """The market's clock goes on by so much, or back."""
        before = self.board.market_time or OPENED_AT
        self.board = msgspec.structs.replace(
            self.board,
            sequence=self.board.sequence + 1,
            market_time=Micros(before + round(seconds * SECOND_US)),
            observed_at=self._now(),
        )
        return self._step(reconcile.on_mark(self.state, self.board))

    def patience(self) -> "World":
        """So much market time passes that whatever does not agree is a break; all answers come."""
        self.answered()
        for _ in range(3):
            self.mark(6.0)
            self.answered()
        return self

    def answered(self) -> "World":
        """What the decider made of the commands comes back to the agent."""
        while self._answers:
            self._step(reconcile.on_event(self.state, self._answers.popleft(), self.board))
        return self

    def lost(self) -> "World":
        """No answer ever comes of what was asked so far, and so much wall time passes that one is missed."""
        self._answers.clear()
        self._wall += reconcile.ANSWER_US_MAX
        return self

    def decided(self, issued: Issued[Any]) -> Event:
        """The decider's word on a command, which is on its way to the agent."""
        event = reconciliation.decide(self.breaks, issued.command)
        self.breaks = reconciliation.evolve(self.breaks, event)
        self.events.append(event)
        self._answers.append(self._recorded(event))
        return event

    @property
    def open(self) -> list[BreakOpened]:
        """The breaks that are open."""
        return [event for event in self.all(BreakOpened) if self.breaks.is_open[event.break_id]]

    @property
    def closed(self) -> list[BreakClosed]:
        """The breaks that were closed."""
        return self.all(BreakClosed)

    @property
    def matched(self) -> list[StatementMatched]:
        """The statements that agreed."""
        return self.all(StatementMatched)

    def all(self, kind: type[Any]) -> list[Any]:
        """Every decision of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def _step(self, step: tuple[Matching, Sequence[Issued[Any]]]) -> "World":
        self.state, commands = step
        assert VALUES.decode(VALUES.encode({}, self.state))[1] == self.state, "a state survives its table"
        for issued in commands:
            self.commands.append(issued)
            self.decided(issued)
        return self

    def _recorded(self, event: Event) -> Recorded[Any]:
        self._sequence += 1
        return Recorded(
            event=event,
            event_id=f"e{self._sequence}",
            tenant="acme",
            stream_id="A1",
            version=self._sequence,
            sequence=self._sequence,
            previous=GENESIS,
            term=1,
            command_position=0,
            command_id="",
            digest=bytes(32),
            causation_id="",
            correlation_id="c",
            actor="",
            at=Micros(0),
            recorded_at=self._now(),
        )

    def _now(self) -> Micros:
        self._wall += 1_000
        return Micros(self._wall)
