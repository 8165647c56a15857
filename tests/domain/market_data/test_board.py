"""The board: the fold of all marks."""

from functools import reduce

from domain.kernel.ids import Micros, Symbol
from domain.kernel.market import Market, Phase
from domain.kernel.money import Price
from domain.market_data.marks import Board, Mark, MarkPrice, follow

AAPL, MSFT = Symbol("AAPL"), Symbol("MSFT")


def mark(sequence: int, *, complete: bool = False, phase: Phase = Phase.OPEN, **last: int) -> Mark:
    return Mark(
        sequence=sequence,
        market_time=Micros(sequence * 1000),
        session_date="2012-03-05",
        phase=phase,
        observed_at=Micros(sequence),
        is_complete=complete,
        prices={name: MarkPrice(bid=Price(at - 1), ask=Price(at + 1), last=Price(at)) for name, at in last.items()},
    )


def board(*marks: Mark) -> Board:
    return reduce(follow, marks, Board())


def test_shows_the_last_price_of_each_symbol() -> None:
    seen = board(mark(1, complete=True, AAPL=100, MSFT=30), mark(2, AAPL=101))
    assert {name: price.last for name, price in seen.prices.items()} == {"AAPL": 101, "MSFT": 30}


def test_forgets_what_a_complete_mark_does_not_name() -> None:
    seen = board(mark(1, complete=True, AAPL=100, MSFT=30), mark(2, complete=True, MSFT=31))
    assert (seen.market(AAPL), set(seen.prices)) == (None, {"MSFT"})


def test_gives_an_order_its_market_as_of_the_last_mark() -> None:
    seen = board(mark(1, AAPL=100), mark(2, MSFT=30))
    assert seen.market(AAPL) == Market(
        sequence=2, market_time=Micros(2000), observed_at=Micros(2), phase=Phase.OPEN, price=Price(100)
    )


def test_knows_no_market_before_the_first_mark() -> None:
    assert board().market(AAPL) is None
    assert board().phase is Phase.CLOSED


def test_follows_the_phase_though_no_price_moves() -> None:
    closed = board(mark(1, AAPL=100), mark(2, phase=Phase.CLOSED))
    shown = closed.market(AAPL)
    assert shown is not None
    assert (shown.phase, shown.price) == (Phase.CLOSED, 100)


def test_is_the_same_when_a_mark_is_repeated() -> None:
    once = board(mark(1, AAPL=100), mark(2, MSFT=30))
    assert follow(once, mark(2, MSFT=30)) == once


def test_leaves_the_board_before_as_it_was() -> None:
    before = board(mark(1, AAPL=100))
    follow(before, mark(2, AAPL=101))
    assert before == board(mark(1, AAPL=100))


def test_starts_the_same_from_any_complete_mark() -> None:
    later = (mark(5, complete=True, AAPL=99, MSFT=29), mark(6, MSFT=28))
    assert board(mark(1, AAPL=100), *later) == board(*later)
