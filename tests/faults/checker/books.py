"""orders.events -> naive books, prefix by prefix: cash, shares, reservations, and that nobody goes beyond what is his.

A book is kept from what each event says moved, and every number that an event states besides is computed again. Free
cash may fall below zero by a fill alone: of an order that was closed already, or beyond the terms or the rounding of
its reservation; shares likewise. Whatever else takes more than is free is found at the event that does it.
"""

from collections import defaultdict
from typing import Any

from tests.faults.checker.book import Book, Order
from tests.faults.checker.sums import value, value_at_most
from tests.faults.checker.tape import Event
from tests.faults.checker.verdict import Findings


class Books:
    """All accounts of a tape; give it the events of `orders` in the order of their partitions."""

    def __init__(self, findings: Findings) -> None:
        self.accounts: defaultdict[str, Book] = defaultdict(Book)
        self._findings = findings
        self._does = {
            "OrderPlaced": self._order_placed,
            "OrderFilled": self._order_filled,
            "ReplaceRequested": self._replace_requested,
            "OrderReplaced": self._order_replaced,
            "ReplaceRejected": self._replace_rejected,
            "CancelRequested": self._cancel_requested,
            "CancelRejected": self._cancel_rejected,
            "OrderAccepted": self._order_accepted,
            "OrderRejected": self._order_rejected,
            "OrderCancelled": self._order_cancelled,
            "OrderExpired": self._order_expired,
            "DayEnded": self._day_ended,
            "TradingOpened": self._trading_opened,
            "TradingApproved": self._trading_approved,
            "TradingHalted": self._trading_halted,
            "TradingResumed": self._trading_resumed,
            "LimitsSet": self._limits_set,
            "CashCredited": self._cash_credited,
            "CashReserved": self._cash_reserved,
            "ReservationSpent": self._reservation_spent,
            "ReservationReleased": self._reservation_released,
        }

    def take(self, event: Event) -> None:
        """The next event."""
        does = self._does.get(event.kind)
        if does is None:
            return
        book = self.accounts[event.meta["stream_id"]]
        free = book.free
        does(event, book, event.says)
        if event.kind != "OrderFilled" and book.free < min(0, free):
            self._say(event, f"free cash falls from {free} to {book.free}", what="beyond-limit")
        if book.reserved < 0:
            self._say(event, f"{book.reserved} is reserved")

    def _order_placed(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order_id, quantity, price = says["order_id"], says["quantity"], says["limit_price"] or says["market"]["price"]
        if order_id in book.orders or order_id in book.closed:
            self._say(event, f"order {order_id} is placed twice", what="duplicated")
        if not book.currency or not book.is_approved or book.halts:
            evidence = {"currency": book.currency, "is_approved": book.is_approved, "halts": sorted(book.halts)}
            self._say(event, "placed in a book that takes no orders", what="beyond-limit", evidence=evidence)
        order = Order(says)
        least = value_at_most(quantity, price) if order.side == "BUY" else 0
        if order.reserved < least or (order.reserved > least and (says["limit_price"] or order.side == "SELL")):
            self._say(event, f"{order.reserved} is reserved for an order of {least}")
        if order.reserved > max(0, book.free):
            self._say(event, f"{order.reserved} is reserved of {book.free}", what="beyond-limit")
        if order.promised > max(0, book.holdings[order.symbol] - book.promised[order.symbol]):
            held = book.holdings[order.symbol]
            says_of = f"{order.promised} are sold of {held}, {book.promised[order.symbol]} promised already"
            self._say(event, says_of, what="beyond-limit")
        self._within_limit(event, book, quantity, price)
        book.orders[order_id] = order
        book.reserved += order.reserved
        book.promised[order.symbol] += order.promised

    def _order_filled(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        quantity, symbol, amount = says["quantity"], says["symbol"], says["amount"]
        if says["execution_id"] in book.executions:
            self._say(event, f"execution {says['execution_id']} counts twice", what="duplicated")
        book.executions.add(says["execution_id"])
        if amount != value(quantity, says["price"]):
            self._say(event, f"{quantity} at {says['price']} make {value(quantity, says['price'])}, not {amount}")
        sign = 1 if says["side"] == "BUY" else -1
        book.cash -= sign * amount
        book.holdings[symbol] += sign * quantity
        order = book.orders.get(says["order_id"])
        if says["late"] is not (order is None):
            self._say(event, f"late is {says['late']}, the order is {'closed' if order is None else 'working'}")
        if order is None:
            if says["unfilled"] or says["released"]:
                self._say(event, "a fill of a closed order has nothing left and frees nothing")
            book.closed.add(says["order_id"])
            return
        on_terms = says["side"] == order.side == "BUY" and says["price"] <= order.price and quantity <= order.unfilled
        if on_terms and amount - says["released"] > 1:
            self._say(event, f"it costs {amount} and frees {says['released']}", what="beyond-limit")
        if order.side != says["side"] or order.symbol != symbol:
            self._say(event, f"the order is to {order.side} {order.symbol}")
        unfilled = max(0, order.unfilled - quantity)
        if says["unfilled"] != unfilled:
            self._say(event, f"{unfilled} is left, not {says['unfilled']}")
        self._change(book, order, unfilled=unfilled)
        self._release(event, book, says["order_id"], says["released"], is_end=unfilled == 0)

    def _replace_requested(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = self._order(event, book)
        if order is None:
            return
        more, promised, free = says["reserved"] - order.reserved, order.promised, book.free
        if says["order_version"] <= order.newest or order.wanted is not None or order.cancelling:
            self._say(event, f"version {says['order_version']} is asked for, {order.newest} was the last")
        wanted = (says["order_version"], says["quantity"], says["limit_price"])
        self._change(book, order, wanted=wanted, newest=says["order_version"])
        order.reserved += more
        book.reserved += more
        if more < 0 or order.reserved < order.needs or more > max(0, free):
            self._say(event, f"{order.reserved} is reserved, {more} more of {free}; {order.needs} may be needed")
        over = book.promised[order.symbol] - book.holdings[order.symbol]
        if order.promised > promised and over > 0:
            self._say(event, f"{over} shares are promised that are not held", what="beyond-limit")
        self._within_limit(event, book, says["quantity"], says["limit_price"])

    def _order_replaced(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = self._order(event, book)
        if order is None:
            return
        if order.wanted != (says["order_version"], says["quantity"], says["limit_price"]):
            self._say(event, f"the terms that were asked for are {order.wanted}")
        unfilled = order.unfilled_wanted
        if says["unfilled"] != unfilled:
            self._say(event, f"{unfilled} is left, not {says['unfilled']}")
        price = says["limit_price"] if order.side == "BUY" else 0
        self._change(book, order, quantity=says["quantity"], unfilled=unfilled, price=price, wanted=None)
        self._release(event, book, says["order_id"], says["released"], is_end=unfilled == 0)

    def _replace_rejected(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = self._order(event, book)
        if order is not None:
            self._change(book, order, wanted=None)
            self._release(event, book, says["order_id"], says["released"], is_end=False)

    def _cancel_requested(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = self._order(event, book)
        if order is not None:
            if order.cancelling:
                self._say(event, "it is being cancelled already", what="duplicated")
            order.cancelling = True

    def _cancel_rejected(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = self._order(event, book)
        if order is not None:
            order.cancelling = False

    def _order_accepted(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._order(event, book)

    def _order_rejected(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._end(event, book, says)

    def _order_cancelled(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._end(event, book, says)

    def _order_expired(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._end(event, book, says)

    def _day_ended(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        for each in says["expired"]:
            self._end(event, book, each)

    def _trading_opened(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        if book.currency:
            self._say(event, "the book is opened twice", what="duplicated")
        book.currency = says["currency"]

    def _trading_approved(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        book.is_approved = True

    def _trading_halted(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        if sorted(says["working"]) != sorted(book.orders):
            self._say(event, "its working orders are not those of the book", evidence={"working": sorted(book.orders)})
        book.halts.add(says["cause"])

    def _trading_resumed(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        book.halts.discard(says["cause"])
        if sorted(says["remaining"]) != sorted(book.halts):
            self._say(event, f"the halts that remain are {sorted(book.halts)}")

    def _limits_set(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        book.limit = says["order_notional_max"]

    def _cash_credited(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        if says["deposit_id"] in book.deposits or says["amount"] <= 0:
            self._say(event, f"deposit {says['deposit_id']} is credited twice, or not above zero", what="duplicated")
        book.deposits[says["deposit_id"]] = says["amount"]
        self._cash(event, book, says["amount"])

    def _cash_reserved(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        if says["withdrawal_id"] in book.withdrawals:
            self._say(event, f"withdrawal {says['withdrawal_id']} is reserved twice", what="duplicated")
        if not 0 < says["amount"] <= book.free:
            self._say(event, f"{says['amount']} is reserved of {book.free}", what="beyond-limit")
        book.withdrawals[says["withdrawal_id"]] = says["amount"]
        book.reserved += says["amount"]

    def _reservation_spent(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._unreserve(event, book, says)
        book.spent[says["withdrawal_id"]] = says["amount"]
        self._cash(event, book, -says["amount"])

    def _reservation_released(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        self._unreserve(event, book, says)

    def _unreserve(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        held = book.withdrawals.get(says["withdrawal_id"], 0)
        if not held or held != says["amount"]:
            self._say(event, f"{says['amount']} of a withdrawal with {held} reserved")
        book.withdrawals[says["withdrawal_id"]] = 0
        book.reserved -= says["amount"]

    def _cash(self, event: Event, book: Book, amount: int) -> None:
        book.cash += amount
        if event.says["cash"] != book.cash:
            self._say(event, f"the account has {book.cash}, not {event.says['cash']}")
            book.cash = event.says["cash"]  # Said once; what follows is held against what the tape goes on from.

    def _order(self, event: Event, book: Book) -> Order | None:
        order = book.orders.get(event.says["order_id"])
        if order is None:
            self._say(event, f"order {event.says['order_id']} is not working")
        return order

    def _end(self, event: Event, book: Book, says: dict[str, Any]) -> None:
        order = book.orders.get(says["order_id"])
        if order is None:
            self._say(event, f"order {says['order_id']} is not working")
            return
        if says.get("unfilled", order.unfilled) != order.unfilled:
            self._say(event, f"{order.unfilled} is unfilled, not {says['unfilled']}")
        self._release(event, book, says["order_id"], says["released"], is_end=True)

    def _release(self, event: Event, book: Book, order_id: str, released: int, *, is_end: bool) -> None:
        order = book.orders[order_id]
        if is_end and released != order.reserved:
            self._say(event, f"{order.reserved} is reserved and {released} is freed at the end of {order_id}")
        elif not is_end and (released < 0 or order.reserved - released < order.needs):
            self._say(event, f"{released} of {order.reserved} is freed, {order.needs} may still be needed")
        order.reserved -= released
        book.reserved -= released
        if is_end:
            book.promised[order.symbol] -= order.promised
            del book.orders[order_id]
            book.closed.add(order_id)

    def _change(self, book: Book, order: Order, **changes: Any) -> None:
        book.promised[order.symbol] -= order.promised
        for name, changed in changes.items():
            setattr(order, name, changed)
        book.promised[order.symbol] += order.promised

    def _within_limit(self, event: Event, book: Book, quantity: int, price: int) -> None:
        if book.limit is not None and value(quantity, price) > book.limit:
            self._say(event, f"an order of {value(quantity, price)}, the limit is {book.limit}", what="beyond-limit")

    def _say(
        self, event: Event, says: str, *, what: str = "unbalanced", evidence: dict[str, Any] | None = None
    ) -> None:
        self._findings.add(what, f"{event.kind}: {says}", evidence=evidence, **event.place)
