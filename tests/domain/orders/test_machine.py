"""A book beside a naive one: whatever is done to both, they agree, and neither promises what is not there.

The naive book is plain sums over what the machine did itself; of the real one it takes only whether it said yes.
"""

import math
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from domain.kernel.money import SCALE, Price, Quantity
from domain.orders import events as e
from domain.orders.commands import OrderCommand, Side
from domain.orders.decide import orders
from domain.orders.events import REFUSALS, OrderEvent
from tests.kit import orders as o

CENTS = 10**14
SYMBOLS = ("AAPL", "MSFT")
shares = st.integers(1, 60_000).map(lambda thousandths: f"{thousandths // 1000}.{thousandths % 1000:03d}")
prices = st.integers(9_500, 10_500).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
dollars = st.integers(1, 20_000)


def cost(quantity: int, price: int) -> int:
    """In cents, half to even."""
    return round(Fraction(quantity * price, CENTS))


class Naive:
    """One working order of the naive book."""

    def __init__(self, side: Side, symbol: str, quantity: int, price: int) -> None:
        self.side = side
        self.symbol = symbol
        self.left = quantity
        self.price = price

    @property
    def may_cost(self) -> int:
        """The most that its rest can cost."""
        return math.ceil(Fraction(self.left * self.price, CENTS)) if self.side is Side.BUY else 0


class TwoBooks(RuleBasedStateMachine):
    """Commands for one account, and the venue's reports on them."""

    working = Bundle("working")
    ended = Bundle("ended")
    withdrawals = Bundle("withdrawals")

    def __init__(self) -> None:
        super().__init__()
        self.book = orders.initial
        self.events: list[OrderEvent] = []
        self.cash = 0
        self.held: dict[str, int] = {}
        self.shares = dict.fromkeys(SYMBOLS, 0)
        self.orders: dict[str, Naive] = {}
        self.executions: set[str] = set()
        self.number = 0

    def do(self, command: OrderCommand) -> Any:
        """Decide and evolve; None for a refusal, which must change nothing."""
        before, event = self.book, orders.decide(self.book, command)
        self.book = orders.evolve(before, event)
        self.events.append(event)
        if isinstance(event, REFUSALS):
            assert self.book == before
            return None
        return event

    def name(self, kind: str) -> str:
        """One that nothing had before."""
        self.number += 1
        return f"{kind}-{self.number}"

    @initialize()
    def opened(self) -> None:
        """The account may trade."""
        for command in o.may_trade():
            assert self.do(command)

    @rule(amount=dollars)
    def deposit(self, amount: int) -> None:
        name = self.name("deposit")
        assert self.do(o.credit(amount, deposit=name))
        assert self.do(o.credit(amount, deposit=name)) is None
        self.cash += amount * 100

    @rule(target=working, side=st.sampled_from(Side), symbol=st.sampled_from(SYMBOLS), quantity=shares, limit=prices)
    def place(self, side: Side, symbol: str, quantity: str, limit: str) -> Any:
        name = self.name("order")
        order = Naive(side, symbol, o.shares(quantity), o.each(limit))
        promised = sum(n.left for n in self.orders.values() if n.side is Side.SELL and n.symbol == symbol)
        may = order.may_cost <= max(0, self.cash - self.set_aside)
        if side is Side.SELL:
            may = order.left <= max(0, self.shares[symbol] - promised)
        command = o.place(name, side=side, symbol=symbol, quantity=quantity, limit=limit)
        placed = self.do(command)
        assert (placed is not None) == may
        if placed is None:
            return multiple()
        assert self.do(command) is None
        self.orders[name] = order
        return name

    @rule(order=working, part=st.integers(1, 4), cents_better=st.integers(0, 50), is_told_twice=st.booleans())
    def fill(self, order: str, part: int, cents_better: int, is_told_twice: bool) -> None:
        """The venue fills a part of a working order, at its price or a better one."""
        naive = self.orders.get(order)
        if naive is None:
            return
        quantity = max(1, naive.left // part)
        better = cents_better * SCALE // 100
        price = naive.price - better if naive.side is Side.BUY else naive.price + better
        self._executed(order, naive.side, naive.symbol, quantity, price, is_told_twice)
        naive.left -= quantity
        if naive.left <= 0:
            del self.orders[order]

    @rule(order=ended, side=st.sampled_from(Side), symbol=st.sampled_from(SYMBOLS), quantity=shares, price=prices)
    def fill_too_late(self, order: str, side: Side, symbol: str, quantity: str, price: str) -> None:
        """The fill of an order that is over counts all the same."""
        self._executed(order, side, symbol, o.shares(quantity), o.each(price), is_told_twice=True)

    @rule(target=ended, order=consumes(working), how=st.sampled_from([o.record_cancel, o.record_expiry]))
    def end(self, order: str, how: Any) -> Any:
        """The order leaves the market."""
        was_there = self.orders.pop(order, None) is not None
        assert (self.do(how(order)) is not None) == was_there
        return order

    @rule(order=working)
    def ask_to_cancel(self, order: str) -> None:
        """Asking ends nothing; the venue may say no."""
        asked = self.do(o.cancel(order))
        if asked is not None:
            assert self.do(o.cancel(order)) is None
            assert self.do(o.record_cancel_rejection(order))

    @rule(target=withdrawals, amount=dollars)
    def withdraw(self, amount: int) -> Any:
        name = self.name("withdrawal")
        reserved = self.do(o.reserve(amount, withdrawal=name))
        assert (reserved is not None) == (amount * 100 <= self.cash - self.set_aside)
        if reserved is None:
            return multiple()
        self.held[name] = amount * 100
        return name

    @rule(withdrawal=consumes(withdrawals), is_paid=st.booleans())
    def end_withdrawal(self, withdrawal: str, is_paid: bool) -> None:
        amount = self.held.pop(withdrawal)
        assert self.do(o.spend(withdrawal) if is_paid else o.release(withdrawal))
        assert self.do(o.spend(withdrawal)) is None
        self.cash -= amount * is_paid

    @rule(quantity=shares, limit=prices)
    def nothing_is_placed_in_a_halted_book(self, quantity: str, limit: str) -> None:
        assert self.do(o.halt())
        assert self.do(o.place(self.name("order"), quantity=quantity, limit=limit)) is None
        assert self.do(o.resume())

    @property
    def set_aside(self) -> int:
        """Cash that is promised."""
        return sum(order.may_cost for order in self.orders.values()) + sum(self.held.values())

    @invariant()
    def both_books_agree(self) -> None:
        assert self.book.cash == self.cash
        assert self.book.reserved == self.set_aside
        assert dict(self.book.holdings) == {symbol: count for symbol, count in self.shares.items() if count}
        assert {name: order.unfilled for name, order in self.book.working.items()} == {
            name: order.left for name, order in self.orders.items()
        }

    def teardown(self) -> None:
        """The tape alone brings the same book back."""
        assert orders.fold(self.events) == self.book

    def _executed(self, order: str, side: Side, symbol: str, quantity: int, price: int, is_told_twice: bool) -> None:
        name = self.name("x")
        told = o.record_fill(order_id=order, execution=name, symbol=symbol, side=side)
        told = msgspec.structs.replace(told, quantity=Quantity(quantity), price=Price(price))
        filled = self.do(told)
        assert isinstance(filled, e.OrderFilled)
        assert filled.amount == cost(quantity, price)
        if is_told_twice:
            assert self.do(told) is None
        sign = 1 if side is Side.BUY else -1
        self.cash -= sign * filled.amount
        self.shares[symbol] += sign * quantity


TestTwoBooks = TwoBooks.TestCase
TestTwoBooks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
