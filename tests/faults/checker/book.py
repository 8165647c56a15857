"""One account as a naive book holds it: cash, shares, orders at the venue, transfers."""

from collections import defaultdict
from typing import Any

from tests.faults.checker.sums import UNIT, value_at_most


class Order:
    """An order at the venue. `price` is what a share of a purchase may cost at most; `wanted` are terms asked for."""

    __slots__ = (
        "cancelling",
        "filled",
        "kind",
        "newest",
        "price",
        "quantity",
        "reserved",
        "side",
        "symbol",
        "unfilled",
        "wanted",
    )

    def __init__(self, says: dict[str, Any]) -> None:
        self.side = says["side"]
        self.symbol = says["symbol"]
        self.kind = says["kind"]
        self.quantity: int = says["quantity"]
        self.unfilled: int = says["quantity"]
        self.filled = 0
        self.reserved = says["reserved"]
        self.price = 0
        if self.side == "BUY":
            self.price = says["limit_price"] or self.reserved * UNIT // self.quantity
        self.newest = 1
        self.wanted: tuple[int, int, int] | None = None
        self.cancelling = False

    @property
    def unfilled_wanted(self) -> int:
        """What would be unfilled under the terms that were asked for."""
        if self.wanted is None:
            return self.unfilled
        return max(0, self.wanted[1] - (self.quantity - self.unfilled))

    @property
    def promised(self) -> int:
        """Shares of a sale that may still go."""
        return max(self.unfilled, self.unfilled_wanted) if self.side == "SELL" else 0

    @property
    def needs(self) -> int:
        """The least that must stay reserved: what either terms may still cost."""
        if self.side == "SELL":
            return 0
        asked: int = 0 if self.wanted is None else value_at_most(self.unfilled_wanted, self.wanted[2])
        return max(value_at_most(self.unfilled, self.price), asked)


class Book:
    """One account."""

    def __init__(self) -> None:
        self.currency = ""
        self.is_approved = False
        self.cash = 0
        self.reserved = 0
        self.holdings: defaultdict[str, int] = defaultdict(int)
        self.promised: defaultdict[str, int] = defaultdict(int)
        self.orders: dict[str, Order] = {}
        self.closed: set[str] = set()
        self.executions: set[str] = set()
        self.deposits: dict[str, int] = {}
        self.withdrawals: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.halts: set[str] = set()
        self.limit: int | None = None

    @property
    def free(self) -> int:
        """Cash that nothing has set aside."""
        return self.cash - self.reserved
