"""Messages -> each account's executions, holdings and cash: the venue's own books, for drop copy and statement."""

from collections import defaultdict
from dataclasses import dataclass, field

from simulators import amounts
from simulators.amounts import SCALE
from simulators.venue.requests import Message


@dataclass(slots=True)
class Records:
    """Every execution in the order of the tape of messages, and what they add up to."""

    executions: list[Message] = field(default_factory=list)
    by_account: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    holdings: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    cash: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """In units of 1e-16: price and quantity have 1e-8 each."""

    def add(self, message: Message) -> None:
        """Take in one message; only fills count."""
        if message["type"] != "filled":
            return
        account, symbol = str(message["account"]), str(message["symbol"])
        sign = 1 if message["side"] == "BUY" else -1
        quantity, price = amounts.parse(message["quantity"]), amounts.parse(message["price"])
        self.executions.append(message)
        self.by_account[account].append(message)
        self.holdings[account][symbol] += sign * quantity
        self.cash[account] -= sign * quantity * price

    def drop_copy(self, account: str | None, after: int, limit: int) -> Message:
        """Executions above this number, of one account or of all; `more` says whether to ask again after the last."""
        source = self.executions if account is None else self.by_account.get(account, [])
        found = [message for message in source if int(str(message["seq"])) > after]
        return {"account": account, "executions": found[:limit], "more": len(found) > limit}

    def statement(self, account: str) -> Message:
        """What the account holds and has paid, by its executions here."""
        held = self.holdings.get(account, {})
        return {
            "account": account,
            "holdings": {symbol: amounts.quantity_text(held[symbol]) for symbol in sorted(held) if held[symbol]},
            "cash": amounts.exact_text(self.cash.get(account, 0), SCALE * SCALE),
            "executions": list(self.by_account.get(account, [])),
        }
