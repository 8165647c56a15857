"""Which day orders are open, and when their day is ended."""

from typing import Any

from domain.kernel.ids import ExecutionId, Micros, OrderId, Symbol, derived
from domain.kernel.market import Market, Phase
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Price, Quantity
from domain.market_data.marks import Board
from domain.orders import events as e
from domain.orders.commands import EndDay, Kind, Side, TimeInForce
from domain.orders.open_days import OpenDay, on_event, on_mark

MONDAY = "2012-03-05"


def board(at: int, phase: Phase = Phase.OPEN, date: str = MONDAY) -> Board:
    return Board(sequence=at, market_time=Micros(at), session_date=date, phase=phase, observed_at=Micros(at))


def placed(order: str = "O1", at: int = 1, lasts: TimeInForce = TimeInForce.DAY) -> e.OrderPlaced:
    seen = Market(sequence=at, market_time=Micros(at), observed_at=Micros(at), phase=Phase.OPEN, price=Price(1))
    return e.OrderPlaced(
        order_id=OrderId(order),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Quantity(10),
        limit_price=Price(1),
        time_in_force=lasts,
        reserved=Money(0),
        market=seen,
    )


def filled(unfilled: int) -> e.OrderFilled:
    return e.OrderFilled(
        order_id=OrderId("O1"),
        execution_id=ExecutionId("X"),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        quantity=Quantity(1),
        price=Price(1),
        amount=Money(0),
        unfilled=Quantity(unfilled),
        released=Money(0),
        late=False,
        venue_time_ns=0,
    )


def ended(*orders: str) -> e.DayEnded:
    expired = tuple(e.ExpiredOrder(order_id=OrderId(o), unfilled=Quantity(1), released=Money(0)) for o in orders)
    return e.DayEnded(session_date=MONDAY, expired=expired)


class Account:
    def __init__(self) -> None:
        self.state = OpenDay()
        self.board = board(0)
        self.count = 0

    def sees(self, event: Any) -> list[Any]:
        self.count += 1
        recorded = Recorded(
            event=event,
            event_id=derived("event", self.count),
            tenant="t",
            stream_id="A1",
            version=self.count,
            sequence=self.count,
            previous=bytes(32),
            term=1,
            command_position=0,
            command_id="",
            digest=bytes(32),
            causation_id="",
            correlation_id="C",
            actor="",
            at=Micros(0),
            recorded_at=Micros(7),
        )
        self.state, issued = on_event(self.state, recorded, self.board)
        return list(issued)

    def marked(self, at: int, phase: Phase = Phase.OPEN, date: str = MONDAY) -> list[Any]:
        self.board = board(at, phase, date)
        self.state, issued = on_mark(self.state, self.board)
        return list(issued)


def test_an_account_with_an_open_day_order_is_ended_once_at_the_close() -> None:
    account = Account()
    account.sees(placed())
    assert account.marked(2) == []
    (issued,) = account.marked(3, Phase.CLOSED)
    assert issued.command == EndDay(at=Micros(3), actor="agent:orders.day_end", session_date=MONDAY)
    assert (issued.stream_id, issued.tenant) == ("A1", "t")
    assert account.marked(4, Phase.CLOSED) == []


def test_the_next_session_is_ended_again() -> None:
    account = Account()
    account.sees(placed("O1"))
    (monday,) = account.marked(3, Phase.CLOSED)
    account.sees(ended("O1"))
    account.sees(placed("O2", at=11))
    (tuesday,) = account.marked(12, Phase.CLOSED, "2012-03-06")
    assert monday.command_id != tuesday.command_id
    assert tuesday.command.session_date == "2012-03-06"


def test_a_session_that_is_played_again_is_ended_again() -> None:
    account = Account()
    account.sees(placed("O1"))
    (first,) = account.marked(3, Phase.CLOSED)
    account.sees(ended("O1"))
    account.marked(0)
    account.sees(placed("O2"))
    (second,) = account.marked(3, Phase.CLOSED)
    assert first.command_id != second.command_id


def test_orders_that_are_good_until_cancelled_or_gone_need_no_end() -> None:
    account = Account()
    account.sees(placed("O1", lasts=TimeInForce.GTC))
    assert account.marked(3, Phase.CLOSED) == []
    account = Account()
    account.sees(placed("O1"))
    account.sees(filled(unfilled=5))
    account.sees(filled(unfilled=0))
    assert account.marked(3, Phase.CLOSED) == []


def test_an_order_that_arrives_after_its_close_was_seen_is_ended_at_once() -> None:
    account = Account()
    account.marked(3, Phase.CLOSED)
    (issued,) = account.sees(placed(at=2))
    assert issued.command.session_date == MONDAY


def test_the_close_of_an_earlier_session_does_not_end_an_order_of_a_later_one() -> None:
    account = Account()
    account.marked(3, Phase.CLOSED)
    assert account.sees(placed(at=11)) == []
    assert account.marked(4, Phase.CLOSED) == []


def test_the_same_close_gives_the_same_id() -> None:
    def close() -> str:
        account = Account()
        account.sees(placed("O2"))
        account.sees(placed("O1"))
        (issued,) = account.marked(3, Phase.CLOSED)
        return str(issued.command_id)

    assert close() == close()


def test_before_any_mark_nothing_is_over() -> None:
    account = Account()
    account.board = Board()
    assert account.sees(placed(at=0)) == []
