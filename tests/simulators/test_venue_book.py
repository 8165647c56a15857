"""The book against a naive one that looks through everything each time."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.venue.book import STREET, Book, Entry, Quote, Side, Trade


@dataclass
class NaiveBook:
    """All orders in the order of their coming; every match is found by looking at each."""

    orders: list[Entry] = field(default_factory=list)

    def enter(self, taker: Entry) -> list[Trade]:
        trades = []
        while taker.leaves:
            partners = [order for order in self.orders if order.side != taker.side and meets(order, taker)]
            if not partners:
                self.orders.append(taker)
                break
            # min and max keep the first of equals, which is the earliest.
            unpriced = [order for order in partners if order.limit is None]
            sells = taker.side is Side.BUY
            best = unpriced[0] if unpriced else (min if sells else max)(partners, key=lambda order: order.limit or 0)
            quantity = min(best.leaves, taker.leaves)
            trades.append(Trade(best.id, taker.id, quantity, best.limit or taker.limit or 0))
            best.leaves -= quantity
            taker.leaves -= quantity
            self.orders = [order for order in self.orders if order.leaves]
        return trades

    def quote(self, quote: Quote) -> list[Trade]:
        self.orders = [order for order in self.orders if order.id != STREET]
        trades = self.enter(Entry(STREET, Side.BUY, quote.bid, quote.bid_size))
        return trades + self.enter(Entry(STREET, Side.SELL, quote.ask, quote.ask_size))


def meets(one: Entry, other: Entry) -> bool:
    buy, sell = (one, other) if one.side is Side.BUY else (other, one)
    if buy.limit is None or sell.limit is None:
        return buy.limit is not sell.limit
    return buy.limit >= sell.limit


prices = st.integers(1, 12)
sizes = st.integers(1, 9)
enters = st.tuples(st.just("enter"), st.sampled_from(Side), st.none() | prices, sizes)
cancels = st.tuples(st.just("cancel"), st.integers(0, 60))
street = st.tuples(st.just("quote"), prices, sizes, st.integers(1, 3), sizes)
steps = st.lists(enters | cancels | street, max_size=60)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_trade_is_the_one_that_a_naive_book_makes(commands: list[tuple[object, ...]]) -> None:
    book, naive = Book(), NaiveBook()
    entered: list[tuple[Entry, Entry]] = []
    for command in commands:
        match command:
            case ("enter", Side() as side, int() | None as limit, int() as size):
                twins = (
                    Entry(str(len(entered) + 1), side, limit, size),
                    Entry(str(len(entered) + 1), side, limit, size),
                )
                entered.append(twins)
                assert book.enter(twins[0]) == naive.enter(twins[1])
            case ("cancel", int() as place) if place < len(entered):
                book.remove(entered[place][0])
                naive.orders = [order for order in naive.orders if order is not entered[place][1]]
            case ("quote", int() as bid, int() as bid_size, int() as spread, int() as ask_size):
                quote = Quote("AAPL", bid, bid_size, bid + spread, ask_size)
                assert book.quote(quote) == naive.quote(quote)
        resting = {id(order) for queue in book.sides.values() for order in queue if order.id != STREET}
        assert resting == {id(ours) for ours, theirs in entered if any(order is theirs for order in naive.orders)}


@settings(max_examples=200, deadline=None)
@given(steps)
def test_what_buyers_got_is_what_sellers_gave(commands: list[tuple[object, ...]]) -> None:
    book = Book()
    asked: dict[str, tuple[int, Entry]] = {}
    bought: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    for command in commands:
        trades: list[Trade] = []
        match command:
            case ("enter", Side() as side, int() | None as limit, int() as size):
                entry = Entry(str(len(asked) + 1), side, limit, size)
                asked[entry.id] = (size, entry)
                trades = book.enter(entry)
            case ("quote", int() as bid, int() as bid_size, int() as spread, int() as ask_size):
                trades = book.quote(Quote("AAPL", bid, bid_size, bid + spread, ask_size))
        for trade in trades:
            customer = trade.taker if trade.maker == STREET else trade.maker
            maker_buys = (asked[customer][1].side is Side.BUY) == (customer == trade.maker)
            buyer, seller = (trade.maker, trade.taker) if maker_buys else (trade.taker, trade.maker)
            bought[buyer] += trade.quantity
            sold[seller] += trade.quantity
    assert bought.total() == sold.total()
    for name, (size, entry) in asked.items():
        own, other = (bought, sold) if entry.side is Side.BUY else (sold, bought)
        assert own[name] == size - entry.leaves <= size
        assert other[name] == 0


def test_the_earlier_of_two_equal_orders_is_filled_first() -> None:
    book = Book()
    for name in ("first", "second"):
        book.enter(Entry(name, Side.SELL, 10, 5))
    assert book.enter(Entry("taker", Side.BUY, 11, 6)) == [
        Trade("first", "taker", 5, 10),
        Trade("second", "taker", 1, 10),
    ]


def test_the_better_price_is_filled_before_the_earlier_order() -> None:
    book = Book()
    book.enter(Entry("early", Side.BUY, 9, 5))
    book.enter(Entry("better", Side.BUY, 10, 5))
    assert book.enter(Entry("taker", Side.SELL, 9, 5)) == [Trade("better", "taker", 5, 10)]


def test_a_customer_who_was_there_before_the_quote_is_filled_before_the_street() -> None:
    book = Book()
    book.enter(Entry("customer", Side.BUY, 10, 5))
    book.quote(Quote("AAPL", 10, 5, 11, 5))
    assert book.enter(Entry("taker", Side.SELL, None, 7)) == [
        Trade("customer", "taker", 5, 10),
        Trade(STREET, "taker", 2, 10),
    ]


def test_two_orders_without_a_limit_wait_for_one_with_a_price() -> None:
    book = Book()
    assert book.enter(Entry("buy", Side.BUY, None, 5)) == []
    assert book.enter(Entry("sell", Side.SELL, None, 5)) == []
    assert book.quote(Quote("AAPL", 10, 5, 11, 5)) == [Trade("sell", STREET, 5, 10), Trade("buy", STREET, 5, 11)]
