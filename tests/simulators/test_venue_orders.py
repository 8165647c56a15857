"""The life of an order: answers, races, the end of the day, and the way back from the journal."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import amounts
from simulators.amounts import SCALE
from simulators.venue import requests
from simulators.venue.book import Quote
from simulators.venue.requests import Message
from simulators.venue.venue import MARKET_ORDER_QUOTES, OPEN, Venue

DAY = "2012-06-04"


class Desk:
    """A venue that is open, with the street at 100 to 101 for 50 shares, and all it ever did."""

    def __init__(self) -> None:
        self.venue = Venue("b", ("AAPL", "FB"))
        self.steps: list[tuple[str, Message | None, list[Message]]] = []
        self.clock()
        self.quote(100, 101)

    def ask(self, **told: Any) -> list[str]:
        told = {"account": "ann"} | told
        return self._did(told, self.venue.submit(requests.parse(told), 1))

    def new(self, name: str, side: str = "BUY", quantity: int = 10, limit: int | None = None, **more: Any) -> list[str]:
        kind, text = ("MARKET", None) if limit is None else ("LIMIT", str(limit))
        order = {"type": "new", "client_order_id": name, "symbol": "AAPL", "side": side, "kind": kind, "limit": text}
        return self.ask(**(order | {"quantity": str(quantity), "time_in_force": "DAY"} | more))

    def cancel(self, name: str) -> list[str]:
        return self.ask(type="cancel", client_order_id=name)

    def replace(self, name: str, new: str, quantity: int, limit: int) -> list[str]:
        told = {"type": "replace", "client_order_id": name, "new_client_order_id": new}
        return self.ask(**told, quantity=str(quantity), limit=str(limit))

    def quote(self, bid: int, ask: int, size: int = 50) -> list[str]:
        quote = Quote("AAPL", bid * SCALE, size * SCALE, ask * SCALE, size * SCALE)
        return self._did(None, self.venue.quote(quote, 1))

    def clock(self, phase: str = OPEN, date: str = DAY) -> list[str]:
        return self._did(None, self.venue.clock(phase, date, 1))

    @property
    def said(self) -> list[Message]:
        return [message for _, _, said in self.steps for message in said]

    def recalled(self) -> Venue:
        venue = Venue("b", ("AAPL", "FB"))
        for date, told, said in self.steps:
            venue.recall(date, requests.parse(told) if told else None, said)
        return venue

    def _did(self, told: Message | None, said: list[Message]) -> list[str]:
        if said:
            self.steps.append((self.venue.date, told, said))
        keys = ("client_order_id", "type", "reason", "new_client_order_id", "quantity", "price", "leaves")
        return [" ".join(str(message[key]) for key in keys if key in message) for message in said]


def test_a_market_order_sweeps_and_the_rest_fills_on_the_next_quotes() -> None:
    desk = Desk()
    assert desk.new("a-1", quantity=70) == ["a-1 accepted", "a-1 filled 50 101.00 20"]
    assert desk.quote(101, 102) == ["a-1 filled 20 102.00 0"]


def test_a_market_order_that_waits_too_long_is_cancelled() -> None:
    desk = Desk()
    desk.venue.withdraw()
    desk.new("a-1", symbol="FB")
    fb = Quote("FB", SCALE, SCALE // 10, 2 * SCALE, SCALE // 10)
    said = [message["type"] for _ in range(MARKET_ORDER_QUOTES) for message in desk.venue.quote(fb, 1)]
    assert said == ["filled"] * MARKET_ORDER_QUOTES + ["cancelled"]


def test_customers_trade_with_each_other_inside_the_spread() -> None:
    desk = Desk()
    desk.new("s-1", "SELL", 10, 101, account="bob")
    assert desk.new("a-1", "BUY", 60, 101) == [
        "a-1 accepted",
        *("a-1 filled 50 101.00 10", "s-1 filled 10 101.00 0", "a-1 filled 10 101.00 0"),
    ]


def test_a_repeated_id_is_rejected_and_nothing_happens_twice() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    before = book_of(desk.venue)
    assert desk.new("a-1", limit=99) == ["a-1 rejected duplicate_id"]
    assert book_of(desk.venue) == before


def test_a_rejected_id_stays_spent() -> None:
    desk = Desk()
    assert desk.new("a-1", symbol="TSLA") == ["a-1 rejected unknown_symbol"]
    assert desk.new("a-1") == ["a-1 rejected duplicate_id"]


def test_a_closed_market_takes_cancels_only() -> None:
    desk = Desk()
    desk.new("g-1", limit=99, time_in_force="GTC")
    desk.clock("CLOSED")
    assert desk.new("a-1") == ["a-1 rejected market_closed"]
    assert desk.replace("g-1", "g-2", 10, 98) == ["g-1 replace_rejected market_closed g-2"]
    assert desk.cancel("g-1") == ["g-1 cancelled 10"]


def test_a_field_that_is_wrong_is_named() -> None:
    desk = Desk()
    assert desk.new("a-1", quantity=-1) == ["a-1 rejected invalid_quantity"]
    assert desk.new("a-2", kind="LIMIT") == ["a-2 rejected invalid_limit"]
    assert desk.new("a-3", side="HOLD") == ["a-3 rejected invalid_side"]
    told = {"type": "replace", "client_order_id": "a-4", "new_client_order_id": "a-5", "quantity": "1"}
    assert desk.ask(**told, limit="1.000000001") == ["a-4 replace_rejected invalid_limit a-5"]


def test_a_fill_that_came_first_beats_the_cancel() -> None:
    desk = Desk()
    desk.new("a-1", limit=101)
    assert desk.cancel("a-1") == ["a-1 cancel_rejected already_closed"]


def test_a_cancel_takes_back_what_is_not_filled() -> None:
    desk = Desk()
    desk.new("a-1", quantity=70, limit=101)
    assert desk.cancel("a-1") == ["a-1 cancelled 20"]
    assert desk.cancel("a-1") == ["a-1 cancel_rejected already_closed"]


def test_only_its_own_account_reaches_an_order() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    assert desk.ask(type="cancel", client_order_id="a-1", account="bob") == ["a-1 cancel_rejected unknown_order"]


def test_a_replace_that_is_asked_twice_is_done_once() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    assert desk.replace("a-1", "a-2", 20, 98) == ["a-1 replaced a-2 20"]
    assert desk.replace("a-1", "a-2", 20, 98) == ["a-1 replaced a-2 20"]
    assert desk.quote(97, 98) == ["a-2 filled 20 98.00 0"]


def test_a_known_id_asked_for_with_other_terms_is_a_duplicate() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    desk.replace("a-1", "a-2", 20, 98)
    assert desk.replace("a-1", "a-2", 30, 98) == ["a-1 replace_rejected duplicate_id a-2"]
    assert desk.replace("a-2", "a-2", 20, 98) == ["a-2 replace_rejected duplicate_id a-2"]


def test_a_cancel_finds_its_order_by_any_id_it_ever_had() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    desk.replace("a-1", "a-2", 20, 98)
    assert desk.cancel("a-1") == ["a-2 cancelled 20"]


def test_a_cancel_sent_behind_a_refused_replace_still_cancels() -> None:
    desk = Desk()
    desk.new("a-1", quantity=70, limit=101)
    assert desk.replace("a-1", "a-2", 50, 101) == ["a-1 replace_rejected already_filled a-2"]
    assert desk.cancel("a-2") == ["a-1 cancelled 20"]


def test_a_replace_counts_what_was_filled_already() -> None:
    desk = Desk()
    desk.new("a-1", quantity=70, limit=101)
    assert desk.replace("a-1", "a-2", 50, 101) == ["a-1 replace_rejected already_filled a-2"]
    assert desk.replace("a-1", "a-2", 60, 101) == ["a-1 replaced a-2 10"]


def test_a_replace_that_crosses_fills_at_once() -> None:
    desk = Desk()
    desk.new("a-1", limit=99)
    assert desk.replace("a-1", "a-2", 10, 101) == ["a-1 replaced a-2 10", "a-2 filled 10 101.00 0"]


def test_a_smaller_quantity_keeps_the_place_and_a_larger_one_loses_it() -> None:
    for quantity, first in ((5, "a-2"), (20, "b-1")):
        desk = Desk()
        desk.new("a-1", limit=99)
        desk.new("b-1", limit=99)
        desk.replace("a-1", "a-2", quantity, 99)
        assert desk.quote(98, 99)[0].startswith(f"{first} filled")


def test_day_orders_expire_at_the_close_and_others_stay() -> None:
    desk = Desk()
    desk.new("d-1", limit=99)
    desk.new("g-1", limit=99, time_in_force="GTC")
    assert desk.clock("CLOSED") == ["d-1 expired 10"]
    assert desk.clock("OPEN", "2012-06-05") == []
    assert desk.quote(98, 99) == ["g-1 filled 10 99.00 0"]


def test_a_missed_close_expires_the_orders_of_that_day() -> None:
    desk = Desk()
    desk.new("d-1", limit=99)
    assert desk.clock("OPEN", "2012-06-05") == ["d-1 expired 10"]


names = st.integers(1, 12).map(str)
limits = st.none() | st.integers(97, 104)
quantities = st.integers(1, 90)
commands = st.one_of(
    st.tuples(st.just("new"), names, st.sampled_from(["BUY", "SELL"]), quantities, limits),
    st.tuples(st.just("gtc"), names, st.sampled_from(["BUY", "SELL"]), quantities, limits),
    st.tuples(st.just("cancel"), names),
    st.tuples(st.just("replace"), names, names, quantities, st.integers(97, 104)),
    st.tuples(st.just("quote"), st.integers(97, 103)),
    st.tuples(st.just("close")),
    st.tuples(st.just("open")),
)


def traded(did: list[tuple[Any, ...]]) -> Desk:
    desk = Desk()
    for command in did:
        match command:
            case ("new", name, side, quantity, limit):
                desk.new(name, side, quantity, limit)
            case ("gtc", name, side, quantity, limit):
                desk.new(name, side, quantity, limit, time_in_force="GTC", account="bob")
            case ("cancel", name):
                desk.cancel(name)
            case ("replace", name, new, quantity, limit):
                desk.replace(name, new, quantity, limit)
            case ("quote", bid):
                desk.quote(bid, bid + 1)
            case ("close",):
                desk.clock("CLOSED")
            case _:
                desk.clock()
    return desk


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=60))
def test_the_journal_brings_back_the_same_venue(did: list[tuple[Any, ...]]) -> None:
    desk = traded(did)
    desk.venue.withdraw()
    recalled = desk.recalled()
    assert book_of(recalled) == book_of(desk.venue)
    assert recalled.last_seq == desk.venue.last_seq
    assert recalled.by_client_id.keys() == desk.venue.by_client_id.keys()


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=60))
def test_no_order_is_filled_beyond_its_quantity_and_each_ends_once(did: list[tuple[Any, ...]]) -> None:
    said = traded(did).said
    assert [message["seq"] for message in said] == list(range(1, len(said) + 1))
    assert len({message["message_id"] for message in said}) == len(said)
    ends = Counter(
        m["client_order_id"] for m in said if m["type"] in {"cancelled", "expired"} or m.get("leaves") == "0"
    )
    assert all(count == 1 for count in ends.values())
    accepted = Counter(m["client_order_id"] for m in said if m["type"] == "accepted")
    assert all(count == 1 for count in accepted.values())
    assert all(amounts.parse(m["quantity"]) > 0 for m in said if m["type"] == "filled")
    for order in traded(did).venue.by_client_id.values():
        assert order is None or 0 <= order.leaves == order.entry.leaves


def book_of(venue: Venue) -> dict[str, list[tuple[Any, ...]]]:
    return {
        f"{symbol} {side}": [
            (order.client_order_id, order.new.account, entry.limit, entry.leaves, order.leaves, order.date)
            for entry in queue
            if (order := venue.open.get(entry.id)) is not None
        ]
        for symbol, book in venue.books.items()
        for side, queue in book.sides.items()
    }
