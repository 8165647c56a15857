"""What the exposure agent knows of an account, and when it speaks."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import BreachId, ExecutionId, Micros, OrderId, Symbol, derived
from domain.kernel.market import Market, Phase
from domain.kernel.messages import Recorded
from domain.kernel.money import SCALE, Money, Price, Quantity, notional
from domain.market_data.marks import Board, MarkPrice
from domain.orders import events as o
from domain.orders.commands import Kind, Side, TimeInForce
from domain.risk import events as r
from domain.risk.at_stake import MINUTE_US, Exposure, gross_exposure, order_rate
from domain.risk.commands import Measure, ReportBreach, ReportRecovery
from domain.risk.exposure import ANSWER_US_MAX, on_event, on_mark

AAPL, IBM = Symbol("AAPL"), Symbol("IBM")


def price(units: int) -> Price:
    return Price(units * SCALE)


def shares(count: int) -> Quantity:
    return Quantity(count * SCALE)


def board(at_s: int = 1, **last: int) -> Board:
    prices = {symbol: MarkPrice(bid=price(p), ask=price(p), last=price(p)) for symbol, p in last.items()}
    at = Micros(at_s * 1_000_000)
    return Board(sequence=at_s, market_time=at, observed_at=at, phase=Phase.OPEN, prices=prices)


def market(at_s: int, units: int = 100) -> Market:
    at = Micros(at_s * 1_000_000)
    return Market(sequence=at_s, market_time=at, observed_at=at, phase=Phase.OPEN, price=price(units))


class Account:
    """One account as the agent sees it: events and marks in, commands out."""

    def __init__(self) -> None:
        self.state = Exposure()
        self.board = board()
        self.version = 0

    def sees(self, event: Any, command_id: str = "", at_s: int = 1) -> list[Any]:
        self.version += 1
        recorded = Recorded(
            event=event,
            event_id=derived("event", self.version),
            tenant="t",
            stream_id="A1",
            version=self.version,
            sequence=self.version,
            previous=bytes(32),
            term=1,
            command_position=0,
            command_id=command_id,
            digest=bytes(32),
            causation_id="",
            correlation_id="C",
            actor="",
            at=Micros(0),
            recorded_at=Micros(at_s * 1_000_000),
        )
        self.state, issued = on_event(self.state, recorded, self.board)
        return list(issued)

    def marked(self, at_s: int = 2, **last: int) -> list[Any]:
        self.board = board(at_s, **last)
        self.state, issued = on_mark(self.state, self.board)
        return list(issued)

    def limited(self, exposure: int = 10_000_00, per_minute: int = 100) -> "Account":
        self.sees(
            r.LimitsSet(
                order_notional_max=Money(0),
                gross_exposure_max=Money(exposure),
                orders_per_minute_max=per_minute,
                reason="test",
            )
        )
        return self


def placed(
    order: str = "O1", count: int = 10, limit: int | None = 100, side: Side = Side.BUY, at_s: int = 1, seen: int = 100
) -> o.OrderPlaced:
    return o.OrderPlaced(
        order_id=OrderId(order),
        symbol=AAPL,
        side=side,
        kind=Kind.LIMIT if limit else Kind.MARKET,
        quantity=shares(count),
        limit_price=price(limit) if limit else None,
        time_in_force=TimeInForce.DAY,
        reserved=Money(0),
        market=market(at_s, seen),
    )


def filled(
    order: str = "O1", count: int = 10, left: int = 0, side: Side = Side.BUY, at: int = 100, symbol: Symbol = AAPL
) -> o.OrderFilled:
    return o.OrderFilled(
        order_id=OrderId(order),
        execution_id=ExecutionId(f"{order}-{left}"),
        symbol=symbol,
        side=side,
        quantity=shares(count),
        price=price(at),
        amount=notional(shares(count), price(at)),
        unfilled=shares(left),
        released=Money(0),
        late=False,
        venue_time_ns=0,
    )


def breached(measure: Measure = Measure.GROSS_EXPOSURE) -> r.LimitBreached:
    return r.LimitBreached(
        breach_id=BreachId("B"), measure=measure, observed=1, allowed=1, mark_sequence=1, book_version=1
    )


def cleared(measure: Measure = Measure.GROSS_EXPOSURE) -> r.BreachCleared:
    return r.BreachCleared(
        breach_id=BreachId("B"), measure=measure, observed=1, allowed=1, mark_sequence=1, book_version=1
    )


def test_a_working_purchase_counts_at_its_limit_and_a_market_order_at_the_last_price() -> None:
    account = Account()
    account.sees(placed("O1", 10, limit=90))
    account.sees(placed("O2", 10, limit=None))
    assert gross_exposure(account.state, board(AAPL=120)) == 900_00 + 1_200_00
    assert gross_exposure(account.state, board()) == 900_00 + 1_000_00, "without a mark: the price it was placed at"


def test_a_working_sale_puts_nothing_more_at_stake() -> None:
    account = Account()
    account.sees(placed(side=Side.SELL))
    assert gross_exposure(account.state, board(AAPL=100)) == 0


def test_a_holding_counts_at_the_last_price_and_at_its_fill_before_any_mark() -> None:
    account = Account()
    account.sees(placed("O1", 10))
    account.sees(filled("O1", 4, left=6, at=101))
    assert gross_exposure(account.state, board()) == 404_00 + 600_00
    assert gross_exposure(account.state, board(AAPL=110)) == 440_00 + 600_00


def test_a_short_holding_counts_as_much_as_a_long_one() -> None:
    account = Account()
    account.sees(filled("O1", 5, side=Side.SELL))
    assert gross_exposure(account.state, board(AAPL=100)) == 500_00


def test_a_purchase_leaves_with_its_end_and_changes_with_its_replacement() -> None:
    account = Account()
    for order in ("O1", "O2", "O3"):
        account.sees(placed(order, 10))
    account.sees(o.OrderCancelled(order_id=OrderId("O1"), unfilled=shares(10), released=Money(0)))
    ended = o.ExpiredOrder(order_id=OrderId("O2"), unfilled=shares(10), released=Money(0))
    account.sees(o.DayEnded(session_date="2012-03-05", expired=(ended,)))
    account.sees(
        o.OrderReplaced(
            order_id=OrderId("O3"),
            order_version=2,
            quantity=shares(6),
            limit_price=price(50),
            unfilled=shares(6),
            released=Money(0),
        )
    )
    assert gross_exposure(account.state, board(AAPL=100)) == 300_00


def test_nothing_is_reported_before_limits_are_set_and_the_limit_itself_is_allowed() -> None:
    account = Account()
    assert account.sees(placed("O1", 100)) == []
    account.limited(exposure=10_000_00)
    assert account.marked(AAPL=100) == []


def test_a_purchase_over_the_limit_is_reported_once_with_what_was_seen() -> None:
    account = Account().limited(exposure=1_000_00)
    (issued,) = account.sees(placed("O1", 11))
    assert issued.command == ReportBreach(
        at=Micros(1_000_000),
        actor="agent:risk.exposure",
        breach_id=issued.command.breach_id,
        measure=Measure.GROSS_EXPOSURE,
        observed=1_100_00,
        allowed=1_000_00,
        mark_sequence=1,
        book_version=2,
    )
    assert (issued.stream_id, issued.tenant, issued.correlation_id) == ("A1", "t", "C")
    assert account.marked(AAPL=200) == [], "pending"
    account.sees(breached())
    assert account.marked(at_s=3, AAPL=300) == [], "reported"


def test_a_mark_alone_can_breach_and_recover_below_95_per_cent() -> None:
    account = Account().limited(exposure=1_000_00)
    account.sees(filled("O1", 10, at=99))
    (issued,) = account.marked(at_s=2, AAPL=101)
    assert (issued.command.observed, issued.command.mark_sequence) == (1_010_00, 2)
    account.sees(breached())
    assert account.marked(at_s=3, AAPL=95) == [], "95 % is not below 95 %"
    (issued,) = account.marked(at_s=4, AAPL=94)
    assert isinstance(issued.command, ReportRecovery)
    assert account.marked(at_s=5, AAPL=93) == [], "pending"
    account.sees(cleared())
    assert account.marked(at_s=6, AAPL=94) == []


def test_what_the_decider_refused_is_asked_again_at_the_next_mark_and_not_at_once() -> None:
    account = Account().limited(exposure=1_00)
    (first,) = account.sees(placed())
    refused = r.RiskRefused(reference=Measure.GROSS_EXPOSURE, reason=r.Refusal.FORBIDDEN_ACTOR)
    assert account.sees(refused, command_id="somebody else's") == []
    assert account.marked(at_s=2) == []
    assert account.sees(refused, command_id=first.command_id) == []
    (second,) = account.marked(at_s=3)
    assert second.command_id != first.command_id


def test_a_report_without_an_answer_is_asked_again_after_its_limit() -> None:
    account = Account().limited(exposure=1_00)
    assert len(account.sees(placed(), at_s=1)) == 1
    assert account.marked(at_s=ANSWER_US_MAX // 1_000_000) == []
    assert len(account.marked(at_s=ANSWER_US_MAX // 1_000_000 + 1)) == 1


def test_orders_are_counted_in_their_minute_of_market_time() -> None:
    account = Account().limited(per_minute=2)
    assert account.sees(placed("O1", at_s=60)) == []
    assert account.sees(placed("O2", at_s=119, side=Side.SELL)) == []
    (issued,) = account.sees(placed("O3", at_s=119))
    assert (issued.command.measure, issued.command.observed, issued.command.allowed) == (Measure.ORDER_RATE, 3, 2)
    account.sees(breached(Measure.ORDER_RATE))
    (issued,) = account.marked(at_s=120)
    assert isinstance(issued.command, ReportRecovery)
    assert issued.command.observed == 0


def test_a_market_that_is_played_again_begins_a_new_minute() -> None:
    account = Account()
    account.sees(placed("O1", at_s=600))
    again = msgspec.structs.replace(market(60), observed_at=Micros(700_000_000))
    account.sees(msgspec.structs.replace(placed("O2"), market=again))
    assert (account.state.minute, account.state.orders_in_minute) == (60_000_000 // MINUTE_US, 1)


def test_an_order_decided_on_an_older_mark_does_not_reset_the_minute() -> None:
    account = Account()
    account.sees(placed("O1", at_s=61))
    account.sees(placed("O2", at_s=59))
    assert order_rate(account.state, account.board) == 1


def test_the_same_cause_gives_the_same_ids_and_another_cause_gives_others() -> None:
    def breach(at_s: int) -> Any:
        account = Account().limited(exposure=1_00)
        account.sees(filled())
        account.state = msgspec.structs.replace(account.state, asked=Exposure().asked)
        (issued,) = account.marked(at_s=at_s)
        return issued

    assert breach(5) == breach(5)
    assert breach(5).command_id != breach(6).command_id
    assert breach(5).command.breach_id != breach(6).command.breach_id


def test_a_limit_of_zero_recovers_when_nothing_is_at_stake() -> None:
    account = Account().limited(exposure=0)
    assert len(account.sees(placed())) == 1
    account.sees(breached())
    (issued,) = account.sees(o.OrderCancelled(order_id=OrderId("O1"), unfilled=shares(10), released=Money(0)))
    assert isinstance(issued.command, ReportRecovery)


@given(st.lists(st.tuples(st.sampled_from([AAPL, IBM]), st.sampled_from(list(Side)), st.integers(1, 500)), max_size=20))
def test_holdings_are_the_sum_of_fills(fills: list[tuple[Symbol, Side, int]]) -> None:
    account = Account()
    books = {AAPL: 0, IBM: 0}
    for number, (symbol, side, count) in enumerate(fills):
        account.sees(filled(f"O{number}", count, side=side, symbol=symbol))
        books[symbol] += count if side is Side.BUY else -count
    expected = abs(books[AAPL]) * 110_00 + abs(books[IBM]) * 3_00
    assert gross_exposure(account.state, board(AAPL=110, IBM=3)) == expected
