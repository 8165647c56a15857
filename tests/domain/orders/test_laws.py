"""Laws of a book, over any history of commands: repeated, forged, absurd, in any order."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

import contexts
from domain.kernel.ids import OrderId
from domain.kernel.messages import GENESIS, Recorded
from domain.kernel.money import notional
from domain.kernel.snapshots import decode, encode
from domain.orders import events as e
from domain.orders.commands import OrderCommand, RecordExecution, Side
from domain.orders.decide import orders
from domain.orders.events import REFUSALS, OrderEvent
from domain.orders.state import Book, needed
from infra.avro.codec import Codec
from tests.domain.orders.commands import histories
from tests.kit.orders import NOW

CODEC = Codec(contexts.messages())
thorough = settings(max_examples=60, deadline=None)


def steps(history: list[OrderCommand]) -> Iterator[tuple[Book, OrderCommand, OrderEvent, Book]]:
    """Each command with the book before it, its event, and the book after it."""
    book = orders.initial
    for command in history:
        event = orders.decide(book, command)
        after = orders.evolve(book, event)
        yield book, command, event, after
        book = after


def events_of(history: list[OrderCommand]) -> list[OrderEvent]:
    return [event for _, _, event, _ in steps(history)]


@thorough
@given(histories())
def test_reserved_cash_is_the_sum_of_what_orders_and_withdrawals_hold(history: list[OrderCommand]) -> None:
    for _, command, _, book in steps(history):
        held = [order.reserved for order in book.working.values()] + list(book.withdrawals.values())
        assert book.reserved == sum(held), command
        assert min(held, default=0) >= 0, command


@thorough
@given(histories())
def test_cash_is_never_spent_twice(history: list[OrderCommand]) -> None:
    """Free cash goes below zero by a fill alone, and then by exactly what the fill cost more than it freed."""
    for before, command, event, after in steps(history):
        if isinstance(event, e.OrderFilled):
            sign = 1 if event.side is Side.BUY else -1
            assert after.free_cash == before.free_cash - sign * event.amount + event.released, command
        else:
            assert after.free_cash >= min(0, before.free_cash), command


@thorough
@given(histories())
def test_a_fill_on_the_terms_of_its_order_costs_at_most_a_cent_more_than_it_frees(history: list[OrderCommand]) -> None:
    """That cent is rounding; late fills, fills beyond the order or above its price are paid from free cash."""
    for before, command, event, _ in steps(history):
        if not isinstance(event, e.OrderFilled) or event.late or event.side is Side.SELL:
            continue
        order = before.working[event.order_id]
        on_terms = event.price <= order.reserve_price and event.quantity <= order.unfilled
        if order.side is Side.BUY and on_terms:
            assert event.amount - event.released <= 1, command


@thorough
@given(histories())
def test_every_order_keeps_what_its_rest_may_cost(history: list[OrderCommand]) -> None:
    for _, command, _, book in steps(history):
        for order in book.working.values():
            assert order.reserved >= needed(order), command
            assert 0 < order.unfilled <= order.quantity, command
            assert order.side is Side.BUY or order.reserved == 0, command


@thorough
@given(histories())
def test_no_order_promises_shares_that_are_promised_already(history: list[OrderCommand]) -> None:
    for before, command, event, after in steps(history):
        if isinstance(event, e.OrderPlaced | e.ReplaceRequested):
            symbol = after.working[event.order_id].symbol
            assert after.free_holding(symbol) >= min(0, before.free_holding(symbol)), command


@thorough
@given(histories())
def test_shares_and_cash_are_what_came_in_less_what_went_out(history: list[OrderCommand]) -> None:
    holdings: dict[str, int] = {}
    cash = 0
    book = orders.initial
    for _, _, event, after in steps(history):
        book = after
        match event:
            case e.OrderFilled():
                sign = 1 if event.side is Side.BUY else -1
                holdings[event.symbol] = holdings.get(event.symbol, 0) + sign * event.quantity
                cash -= sign * event.amount
            case e.CashCredited():
                cash += event.amount
                assert event.cash == cash
            case e.ReservationSpent():
                cash -= event.amount
                assert event.cash == cash
    assert dict(book.holdings) == {symbol: held for symbol, held in holdings.items() if held}
    assert book.cash == cash


@thorough
@given(histories())
def test_a_refusal_changes_nothing_and_a_fact_survives_being_put_away(history: list[OrderCommand]) -> None:
    for before, command, event, after in steps(history):
        if isinstance(event, REFUSALS):
            assert after == before, command
        restored = decode(encode(before), Book)
        assert restored == before
        assert orders.decide(restored, command) == event, "decided from a snapshot, and decided twice"


@thorough
@given(histories())
def test_the_fold_of_all_events_is_the_book(history: list[OrderCommand]) -> None:
    book = orders.initial
    events = []
    for _, _, event, after in steps(history):
        events.append(event)
        book = after
    assert orders.fold(events) == book
    middle = len(events) // 2
    assert orders.fold(events[middle:], orders.fold(events[:middle])) == book


@thorough
@given(histories())
def test_amounts_in_events_agree_with_each_other(history: list[OrderCommand]) -> None:
    for before, command, event, _ in steps(history):
        order = before.working.get(getattr(event, "order_id", OrderId("")))
        if isinstance(event, e.OrderFilled):
            assert event.amount == notional(event.quantity, event.price)
            assert event.late == (order is None)
            assert order is None or event.unfilled == max(0, order.unfilled - event.quantity)
        released = getattr(event, "released", 0)
        assert 0 <= released <= (order.reserved if order else 0), command
        if isinstance(event, e.OrderCancelled | e.OrderExpired) and order is not None:
            assert (event.unfilled, event.released) == (order.unfilled, order.reserved)
        if isinstance(event, e.DayEnded):
            assert event.expired
            for ended in event.expired:
                assert ended.released == before.working[ended.order_id].reserved


@thorough
@given(histories())
def test_an_id_is_used_once_and_a_closed_order_stays_closed(history: list[OrderCommand]) -> None:
    placed: set[str] = set()
    executed: set[str] = set()
    versions: set[tuple[str, int]] = set()
    for before, command, event, after in steps(history):
        assert set(before.closed) <= set(after.closed), command
        assert not set(after.closed) & set(after.working), command
        match event:
            case e.OrderPlaced():
                assert event.order_id not in placed, command
                placed.add(event.order_id)
            case e.OrderFilled():
                assert event.execution_id not in executed, command
                executed.add(event.execution_id)
            case e.ReplaceRequested():
                assert (event.order_id, event.order_version) not in versions, command
                versions.add((event.order_id, event.order_version))
            case e.OrderRejected():
                assert before.working[event.order_id].unfilled == before.working[event.order_id].quantity, command


@thorough
@given(histories())
def test_an_execution_is_kept_or_known_or_impossible(history: list[OrderCommand]) -> None:
    for before, command, event, _ in steps(history):
        if isinstance(command, RecordExecution) and isinstance(event, e.OrderRefused):
            known = command.execution_id in before.executions
            forged = not command.actor.startswith("effect:")
            impossible = event.reason in (e.Refusal.QUANTITY, e.Refusal.AMOUNT)
            assert known or forged or impossible, command


@thorough
@given(histories(), st.randoms(use_true_random=False))
def test_evolve_believes_events_in_any_order(history: list[OrderCommand], chance: object) -> None:
    events = events_of(history)
    chance.shuffle(events)  # type: ignore[attr-defined]  # hypothesis names its Random by a private type
    book = orders.fold(events + events)
    assert set(book.executions) == {event.execution_id for event in events if isinstance(event, e.OrderFilled)}


@thorough
@given(histories())
def test_every_event_has_room_on_the_tape(history: list[OrderCommand]) -> None:
    for number, event in enumerate(events_of(history)):
        recorded = Recorded(
            event=event,
            event_id="e",
            tenant="t",
            stream_id="s",
            version=number + 1,
            sequence=number,
            previous=GENESIS,
            term=1,
            command_position=number,
            command_id="c",
            digest=GENESIS,
            causation_id="",
            correlation_id="",
            actor="",
            at=NOW,
            recorded_at=NOW,
        )
        assert CODEC.decode_event(CODEC.encode_event(recorded)) == recorded
