"""The auditor's own books of every account: plain sums over what stands on the tape, with no code of the product.

Amounts are rounded by exact fractions. Whatever does not add up at any prefix of the tape is a fault, in words.
"""

import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

SCALE = 10**8
CENTS = 10**14
"""Quantity and price have eight places each, cash has two."""
MARKET_MARGIN = Fraction(105, 100)


class Order:
    """A working order as the tape tells it."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.symbol: str = event["symbol"]
        self.is_purchase = event["side"] == "BUY"
        self.is_day = event["time_in_force"] == "DAY"
        self.quantity: int = event["quantity"]
        self.unfilled: int = event["quantity"]
        self.limit: int | None = event["limit_price"]
        self.reserved: int = event["reserved"]
        self.wanted: tuple[int, int] | None = None

    def rest_of(self, quantity: int) -> int:
        """What would be left to fill of a new total."""
        return max(0, quantity - (self.quantity - self.unfilled))

    @property
    def promised(self) -> int:
        """Shares that a sale may still take, by the terms it has or those it asked for."""
        if self.is_purchase:
            return 0
        return self.unfilled if self.wanted is None else max(self.unfilled, self.rest_of(self.wanted[0]))


class Account:
    """One account: what `accounts` says of it, and what its book in `orders` says."""

    def __init__(self) -> None:
        self.is_opened = self.is_trading = self.is_approved = False
        self.deposits: dict[str, int] = {}
        self.credited: set[str] = set()
        self.pending: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.turned_down: set[str] = set()
        self.held: dict[str, int] = {}
        """Cash set aside, by withdrawal."""
        self.spent: set[str] = set()
        self.cash = 0
        self.shares: dict[str, int] = defaultdict(int)
        self.orders: dict[str, Order] = {}
        self.ended: dict[str, str] = {}
        self.executions: dict[str, str] = {}
        self.halts: set[str] = set()
        self.limit: int | None = None

    @property
    def reserved(self) -> int:
        """Everything that is set aside."""
        return sum(order.reserved for order in self.orders.values()) + sum(self.held.values())

    @property
    def free(self) -> int:
        """What may be spent."""
        return self.cash - self.reserved

    def free_shares(self, symbol: str) -> int:
        """What may be sold."""
        return self.shares[symbol] - sum(o.promised for o in self.orders.values() if o.symbol == symbol)


class Books:
    """All accounts; `take` gives the faults that an event shows."""

    def __init__(self, executions: dict[str, dict[str, Any]]) -> None:
        self.accounts: dict[str, Account] = defaultdict(Account)
        self._executions = executions
        self._steps: dict[str, Any] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }

    def take(self, account_id: str, name: str, event: dict[str, Any]) -> list[str]:
        """What is wrong with this event, after all those before it."""
        step = self._steps.get(name)
        if step is None:
            return []
        wrong: list[str] = []
        try:
            step(self.accounts[account_id], event, wrong)
        except KeyError as unknown:
            wrong.append(f"speaks of {unknown}, which does not stand")
        return [f"{account_id}: {name}: {what}" for what in wrong]

    def _on_AccountOpened(self, account: Account, _event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        _unless(not account.is_opened, "opened twice", wrong)
        account.is_opened = True

    def _on_CashDeposited(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        _unless(event["deposit_id"] not in account.deposits, "deposited twice", wrong)
        account.deposits[event["deposit_id"]] = event["amount"]

    def _on_WithdrawalRequested(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name = event["withdrawal_id"]
        _unless(name not in account.pending and name not in account.paid, "requested twice", wrong)
        account.pending[name] = event["amount"]

    def _on_CashWithdrawn(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name = event["withdrawal_id"]
        _unless(account.pending.pop(name, None) == event["amount"], "paid another amount than requested", wrong)
        _unless(account.held.get(name) == event["amount"], "paid what was never set aside", wrong)
        account.paid[name] = event["amount"]

    def _on_WithdrawalRefused(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        _unless(account.pending.pop(event["withdrawal_id"], None) is not None, "refused what was not asked", wrong)
        account.turned_down.add(event["withdrawal_id"])

    def _on_TradingOpened(self, account: Account, _event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        _unless(account.is_opened, "a book without an account", wrong)
        account.is_trading = True

    def _on_TradingApproved(self, account: Account, _event: dict[str, Any], _wrong: list[str]) -> None:  # noqa: N802
        account.is_approved = True

    def _on_LimitsSet(self, account: Account, event: dict[str, Any], _wrong: list[str]) -> None:  # noqa: N802
        if "gross_exposure_max" not in event:  # Those of the risk file are not the book's yet.
            account.limit = event["order_notional_max"]

    def _on_TradingHalted(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        _unless(set(event["working"]) == set(account.orders), "names other orders than those that work", wrong)
        account.halts.add(event["cause"])

    def _on_TradingResumed(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        account.halts.discard(event["cause"])
        _unless(set(event["remaining"]) == account.halts, "other halts remain", wrong)

    def _on_CashCredited(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name = event["deposit_id"]
        _unless(account.deposits.get(name) == event["amount"], "credited what was not deposited", wrong)
        _unless(name not in account.credited, "credited twice", wrong)
        account.credited.add(name)
        self._cash(account, event["amount"], event["cash"], wrong)

    def _on_CashReserved(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name = event["withdrawal_id"]
        _unless(account.pending.get(name) == event["amount"], "set aside what nobody asked for", wrong)
        _unless(event["amount"] <= account.free, f"set aside {event['amount']} of {account.free}", wrong)
        account.held[name] = event["amount"]

    def _on_ReservationSpent(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name = event["withdrawal_id"]
        _unless(account.held.pop(name, None) == event["amount"], "spent what was not set aside", wrong)
        _unless(account.paid.get(name) == event["amount"], "spent what was not paid", wrong)
        account.spent.add(name)
        self._cash(account, -event["amount"], event["cash"], wrong)

    def _on_ReservationReleased(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        held = account.held.pop(event["withdrawal_id"], None)
        _unless(held == event["amount"], "released what was not set aside", wrong)

    def _on_OrderPlaced(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name, quantity = event["order_id"], event["quantity"]
        _unless(name not in account.orders and name not in account.ended, "placed twice", wrong)
        _unless(account.is_trading and account.is_approved and not account.halts, "this book may not trade", wrong)
        price = event["limit_price"] or event["market"]["price"]
        if account.limit is not None:
            _unless(round(Fraction(quantity * price, CENTS)) <= account.limit, "over the account's limit", wrong)
        if event["side"] == "BUY":
            each = event["limit_price"] or math.ceil(price * MARKET_MARGIN)
            _unless(event["reserved"] == math.ceil(Fraction(quantity * each, CENTS)), "reserves another sum", wrong)
            _unless(event["reserved"] <= max(0, account.free), f"beyond buying power {account.free}", wrong)
        else:
            _unless(event["reserved"] == 0, "a sale that reserves cash", wrong)
            _unless(quantity <= max(0, account.free_shares(event["symbol"])), "sells what is not there", wrong)
        account.orders[name] = Order(event)

    def _on_OrderFilled(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        name, quantity = event["execution_id"], event["quantity"]
        said = self._executions.get(name)
        _unless(said is not None and _is_same(said, event), f"the venue says {said}", wrong)
        _unless(name not in account.executions, "executed twice", wrong)
        amount = round(Fraction(quantity * event["price"], CENTS))
        _unless(event["amount"] == amount, f"costs {event['amount']}, not {amount}", wrong)
        sign = 1 if event["side"] == "BUY" else -1
        account.executions[name] = event["order_id"]
        account.cash -= sign * amount
        account.shares[event["symbol"]] += sign * quantity
        order = account.orders.get(event["order_id"])
        _unless(event["late"] == (order is None), "late or not, the order says otherwise", wrong)
        if order is not None:
            order.unfilled = max(0, order.unfilled - quantity)
            _unless(event["unfilled"] == order.unfilled, f"{order.unfilled} are left", wrong)
            self._release(account, event["order_id"], event["released"], wrong, is_over=not order.unfilled)
        else:
            account.ended.setdefault(event["order_id"], "OrderFilled")

    def _on_ReplaceRequested(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        order = account.orders[event["order_id"]]
        _unless(not account.halts, "this book may not trade", wrong)
        more = event["reserved"] - order.reserved
        _unless(more >= 0, "gives back before the venue has answered", wrong)
        _unless(more <= max(0, account.free), f"beyond buying power {account.free}", wrong)
        rest = order.rest_of(event["quantity"])
        if order.is_purchase:
            least = math.ceil(Fraction(rest * event["limit_price"], CENTS))
            _unless(event["reserved"] >= least, f"reserves less than {least}", wrong)
        else:
            extra = max(order.unfilled, rest) - order.unfilled
            _unless(extra <= max(0, account.free_shares(order.symbol)), "sells what is not there", wrong)
        order.reserved, order.wanted = event["reserved"], (event["quantity"], event["limit_price"])

    def _on_OrderReplaced(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        order = account.orders[event["order_id"]]
        _unless(order.wanted == (event["quantity"], event["limit_price"]), "other terms than asked for", wrong)
        unfilled = order.rest_of(event["quantity"])
        _unless(event["unfilled"] == unfilled, f"{unfilled} are left", wrong)
        order.quantity, order.limit, order.unfilled = event["quantity"], event["limit_price"], unfilled
        order.wanted = None
        self._release(account, event["order_id"], event["released"], wrong, is_over=not unfilled)

    def _on_ReplaceRejected(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        account.orders[event["order_id"]].wanted = None
        self._release(account, event["order_id"], event["released"], wrong, is_over=False)

    def _on_OrderCancelled(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        self._ended(account, event, "OrderCancelled", wrong)

    def _on_OrderExpired(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        self._ended(account, event, "OrderExpired", wrong)

    def _on_OrderRejected(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        order = account.orders[event["order_id"]]
        _unless(order.unfilled == order.quantity, "rejected after a fill", wrong)
        self._ended(account, event | {"unfilled": order.unfilled}, "OrderRejected", wrong)

    def _on_DayEnded(self, account: Account, event: dict[str, Any], wrong: list[str]) -> None:  # noqa: N802
        for ended in event["expired"]:
            _unless(account.orders[ended["order_id"]].is_day, "ends an order that lasts", wrong)
            self._ended(account, ended, "DayEnded", wrong)

    def _ended(self, account: Account, event: dict[str, Any], how: str, wrong: list[str]) -> None:
        order = account.orders[event["order_id"]]
        _unless(event["unfilled"] == order.unfilled, f"{order.unfilled} are left", wrong)
        self._release(account, event["order_id"], event["released"], wrong, is_over=True)
        account.ended[event["order_id"]] = how

    def _release(self, account: Account, name: str, released: int, wrong: list[str], *, is_over: bool) -> None:
        order = account.orders[name]
        order.reserved -= released
        _unless(released >= 0 and order.reserved >= 0, f"releases {released}", wrong)
        if is_over:
            _unless(order.reserved == 0, f"keeps {order.reserved} for an order that is over", wrong)
            del account.orders[name]
            account.ended[name] = "OrderFilled"
        elif order.is_purchase and order.limit is not None:
            least = math.ceil(Fraction(order.unfilled * order.limit, CENTS))
            _unless(order.reserved >= least, f"keeps {order.reserved}, the rest may cost {least}", wrong)

    def _cash(self, account: Account, change: int, said: int, wrong: list[str]) -> None:
        account.cash += change
        _unless(account.cash == said, f"the book has {said}, its movements make {account.cash}", wrong)


def _unless(holds: bool, what: str, wrong: list[str]) -> None:
    if not holds:
        wrong.append(what)


def _is_same(said: dict[str, Any], event: dict[str, Any]) -> bool:
    amounts = Fraction(said["quantity"]) * SCALE, Fraction(said["price"]) * SCALE
    return (said["symbol"], said["side"], said["order"], *amounts) == (
        event["symbol"],
        event["side"],
        event["order_id"],
        event["quantity"],
        event["price"],
    )
