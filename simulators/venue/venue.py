"""The life of orders at the venue: requests, quotes and the clock in, messages out. Pure: no clock, no socket, no file.

Every message gets the next number of one dense sequence. `recall` is the way back: it takes a step from the journal and
brings the venue to where it was after that step, without matching anything again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulators import amounts
from simulators.venue.book import STREET, Book, Entry, Quote, Trade
from simulators.venue.requests import Cancel, Invalid, Kind, Message, New, Replace, Request, TimeInForce

MARKET_ORDER_QUOTES = 20
"""Quotes of its symbol that a market order may wait for the rest of its shares before the rest is cancelled."""
CLOSED, OPEN = "CLOSED", "OPEN"


@dataclass(slots=True)
class Order:
    """A customer's order and its entry in the book."""

    new: New
    entry: Entry
    date: str
    client_order_id: str
    quantity: int
    filled: int = 0
    quotes_left: int = MARKET_ORDER_QUOTES
    granted: Replace | None = None
    """The replacement that gave it the terms it has."""

    @property
    def leaves(self) -> int:
        """What is still to be filled. The entry knows it too, but only after all trades of a step."""
        return self.quantity - self.filled


@dataclass(slots=True)
class Venue:
    """Books, open orders, every client order id ever seen, and the number of the last message."""

    born: str
    symbols: Sequence[str]
    last_seq: int = 0
    phase: str = CLOSED
    date: str = ""
    books: dict[str, Book] = field(init=False)
    open: dict[str, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order | None] = field(default_factory=dict)
    """None for an id that was rejected: it is spent all the same."""
    asked_for: dict[str, Order] = field(default_factory=dict)
    """Orders by every id a replace asked for, granted or not: a cancel that was sent behind it names that id."""
    _out: list[Message] = field(default_factory=list)
    _at_ns: int = 0

    def __post_init__(self) -> None:
        """Open an empty book for each symbol."""
        self.books = {symbol: Book() for symbol in self.symbols}

    def submit(self, request: Request, at_ns: int) -> list[Message]:
        """What a customer asks for; the answer, and what came of it."""
        self._at_ns = at_ns
        match request:
            case New():
                self._new(request)
            case Cancel():
                self._cancel(request)
            case Replace():
                self._replace(request)
            case Invalid(account=account, client_order_id=order_id, answer=answer, reason=reason):
                told = {"new_client_order_id": request.new_client_order_id} if answer == "replace_rejected" else {}
                if answer == "rejected":
                    self.by_client_id.setdefault(order_id, None)
                self._say(answer, account, order_id, **told, reason=reason)
        return self._said()

    def quote(self, quote: Quote, at_ns: int) -> list[Message]:
        """The street moves; crossing orders fill, and market orders that waited too long end."""
        book = self.books.get(quote.symbol)
        if book is None or self.phase != OPEN:
            return []
        self._at_ns = at_ns
        self._settle(book.quote(quote))
        for order in [order for order in self.open.values() if order.new.kind is Kind.MARKET]:
            if order.new.symbol == quote.symbol:
                order.quotes_left -= 1
                if order.quotes_left == 0:
                    self._end(order, "cancelled")
        return self._said()

    def clock(self, phase: str, date: str, at_ns: int) -> list[Message]:
        """The phase of the market; orders whose day is over expire, also those whose closing bell we missed."""
        self._at_ns = at_ns
        self.phase, self.date = phase, date
        if phase != OPEN:
            self.withdraw()
        for order in list(self.open.values()):
            ends_with_day = order.new.time_in_force is TimeInForce.DAY or order.new.kind is Kind.MARKET
            if ends_with_day and (phase == CLOSED or order.date != date):
                self._end(order, "expired")
        return self._said()

    def withdraw(self) -> None:
        """No market, no street."""
        for book in self.books.values():
            book.withdraw()

    def recall(self, date: str, request: Request | None, said: Sequence[Message]) -> None:
        """Take one step of the journal as done."""
        for message in said:
            client_id = str(message["client_order_id"])
            order = self.by_client_id.get(client_id)
            if message["type"] == "accepted" and isinstance(request, New):
                order = self._admit(request, str(message["venue_order_id"]), date)
                self.books[request.symbol].rest(order.entry)
            elif message["type"] == "rejected":
                self.by_client_id.setdefault(client_id, None)
            elif message["type"] == "replace_rejected" and isinstance(request, Replace) and order is not None:
                self.asked_for[request.new_client_order_id] = order
            elif message["type"] == "replaced" and isinstance(request, Replace) and order is not None:
                self.asked_for[request.new_client_order_id] = order
                is_new = request.new_client_order_id != order.client_order_id
                if is_new and self._change(order, request):
                    self.books[order.new.symbol].rest(order.entry)
            elif message["type"] == "filled" and order is not None:
                quantity = amounts.parse(message["quantity"])
                order.filled += quantity
                order.entry.leaves -= quantity
                if not order.leaves:
                    self._forget(order)
            elif message["type"] in {"cancelled", "expired"} and order is not None:
                self._forget(order)
        self.last_seq = int(str(said[-1]["seq"])) if said else self.last_seq

    def _new(self, request: New) -> None:
        reason = None
        if request.client_order_id in self.by_client_id:
            reason = "duplicate_id"
        elif request.symbol not in self.books:
            reason = "unknown_symbol"
        elif self.phase != OPEN:
            reason = "market_closed"
        if reason is not None:
            self.by_client_id.setdefault(request.client_order_id, None)
            self._say("rejected", request.account, request.client_order_id, reason=reason)
            return
        order = self._admit(request, f"{self.born}-o{self.last_seq + 1}", self.date)
        self._say("accepted", request.account, request.client_order_id, venue_order_id=order.entry.id)
        self._settle(self.books[request.symbol].enter(order.entry))

    def _cancel(self, request: Cancel) -> None:
        """Any id the order ever had will do, also one that was asked for in vain."""
        reason, order = self._find(request.account, request.client_order_id)
        if reason in {"superseded", "unknown_order"}:
            named = self.by_client_id.get(request.client_order_id) or self.asked_for.get(request.client_order_id)
            if named is not None and named.new.account == request.account and named.entry.id in self.open:
                order = named
        if order is None:
            self._say("cancel_rejected", request.account, request.client_order_id, reason=reason)
        else:
            self._end(order, "cancelled")

    def _replace(self, request: Replace) -> None:
        reason, order = self._find(request.account, request.client_order_id)
        known = self.asked_for.get(request.new_client_order_id)
        if order is not None:
            self.asked_for[request.new_client_order_id] = order
        if known is not None and known.granted == request and known.entry.id in self.open:
            self._say_replaced(known, request)  # The same request again: the same answer, and nothing is done twice.
            return
        if request.new_client_order_id in self.by_client_id:
            reason = "duplicate_id"
        elif order is None:
            pass
        elif self.phase != OPEN:
            reason = "market_closed"
        elif order.new.kind is not Kind.LIMIT:
            reason = "no_limit_order"
        elif request.quantity <= order.filled:
            reason = "already_filled"
        new_id = request.new_client_order_id
        if reason or order is None:
            # The new id is not spent: a customer may count versions by what was accepted.
            self._say(
                "replace_rejected", request.account, request.client_order_id, new_client_order_id=new_id, reason=reason
            )
            return
        enters_again = self._change(order, request)
        self._say_replaced(order, request)
        if enters_again:
            self._settle(self.books[order.new.symbol].enter(order.entry))

    def _say_replaced(self, order: Order, request: Replace) -> None:
        self._say(
            "replaced",
            request.account,
            request.client_order_id,
            new_client_order_id=request.new_client_order_id,
            leaves=amounts.quantity_text(order.leaves),
        )

    def _find(self, account: str, client_order_id: str) -> tuple[str, Order | None]:
        """The open order whose live id this is, or the reason why there is none."""
        order = self.by_client_id.get(client_order_id)
        if order is None or order.new.account != account:
            return "unknown_order", None
        if order.entry.id not in self.open:
            return "already_closed", None
        return ("", order) if order.client_order_id == client_order_id else ("superseded", None)

    def _admit(self, request: New, venue_order_id: str, date: str) -> Order:
        entry = Entry(venue_order_id, request.side, request.limit, request.quantity)
        order = Order(request, entry, date, request.client_order_id, request.quantity)
        self.open[venue_order_id] = self.by_client_id[request.client_order_id] = order
        return order

    def _change(self, order: Order, request: Replace) -> bool:
        """Give the order its new id and terms; True when it lost its place and must enter again."""
        keeps_place = request.limit == order.entry.limit and request.quantity <= order.quantity
        if not keeps_place:
            self.books[order.new.symbol].remove(order.entry)
        order.client_order_id, order.quantity, order.granted = request.new_client_order_id, request.quantity, request
        order.entry.limit, order.entry.leaves = request.limit, order.leaves
        self.by_client_id[request.new_client_order_id] = order
        return not keeps_place

    def _settle(self, trades: Sequence[Trade]) -> None:
        for trade in trades:
            for venue_order_id in (trade.maker, trade.taker):
                if venue_order_id != STREET:
                    self._fill(self.open[venue_order_id], trade)

    def _fill(self, order: Order, trade: Trade) -> None:
        order.filled += trade.quantity
        self._say(
            "filled",
            order.new.account,
            order.client_order_id,
            execution_id=f"{self.born}-x{self.last_seq + 1}",
            symbol=order.new.symbol,
            side=order.new.side.value,
            quantity=amounts.quantity_text(trade.quantity),
            price=amounts.price_text(trade.price),
            leaves=amounts.quantity_text(order.leaves),
        )
        if not order.leaves:
            self._forget(order)

    def _end(self, order: Order, how: str) -> None:
        self._say(how, order.new.account, order.client_order_id, leaves=amounts.quantity_text(order.leaves))
        self._forget(order)

    def _forget(self, order: Order) -> None:
        self.books[order.new.symbol].remove(order.entry)
        del self.open[order.entry.id]

    def _say(self, kind: str, account: str, client_order_id: str, **fields: object) -> None:
        self.last_seq += 1
        head = {"type": kind, "seq": self.last_seq, "message_id": f"{self.born}-{self.last_seq}"}
        whose = {"account": account, "client_order_id": client_order_id, "time_ns": str(self._at_ns)}
        self._out.append(head | whose | fields)

    def _said(self) -> list[Message]:
        said, self._out = self._out, []
        return said
