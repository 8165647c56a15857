"""accounts.events beside the books: cash that came in or went out did so in both, once, and in the same amount.

The two contexts stand on two topics, between which no order holds: a credit must have its deposit and a payment its
reservation whenever the evidence is taken; that each has come to its end is asked of a run that is quiet.
"""

from collections import defaultdict
from typing import Any

from tests.faults.checker.books import Books
from tests.faults.checker.evidence import Folder
from tests.faults.checker.tape import Event, Tape
from tests.faults.checker.verdict import Findings

ACCOUNTS = "accounts.events"


class Account:
    """What `accounts` says of one account."""

    def __init__(self) -> None:
        self.is_open = False
        self.deposits: dict[str, int] = {}
        self.requested: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.due: set[str] = set()
        """Transfers of which something was said long enough ago."""


class Transfers:
    """All accounts of a tape; give it the events of `accounts`, then hold it against the books."""

    def __init__(self, folder: Folder, findings: Findings) -> None:
        self.accounts: defaultdict[str, Account] = defaultdict(Account)
        self._folder = folder
        self._findings = findings

    def take(self, event: Event) -> None:
        """The next event of `accounts`."""
        account, says = self.accounts[event.meta["stream_id"]], event.says
        if self._folder.is_due(event.topic, event.partition, event.offset):
            account.due |= {says[name] for name in ("deposit_id", "withdrawal_id") if name in says}
        match event.kind:
            case "AccountOpened":
                self._once(event, is_new=not account.is_open)
                account.is_open = True
            case "CashDeposited":
                self._once(event, is_new=says["deposit_id"] not in account.deposits)
                account.deposits[says["deposit_id"]] = says["amount"]
            case "WithdrawalRequested":
                self._once(event, is_new=says["withdrawal_id"] not in account.requested)
                account.requested[says["withdrawal_id"]] = says["amount"]
            case "CashWithdrawn" | "WithdrawalRefused":
                withdrawal_id = says["withdrawal_id"]
                self._once(event, is_new=withdrawal_id not in account.paid and withdrawal_id not in account.refused)
                if account.requested.get(withdrawal_id) != says["amount"]:
                    self._say(event, f"{says['amount']}, requested were {account.requested.get(withdrawal_id)}")
                (account.paid if event.kind == "CashWithdrawn" else account.refused)[withdrawal_id] = says["amount"]

    def hold_against(self, books: Books, tape: Tape) -> None:
        """Both contexts agree, as far as they must by now."""
        for name in {*self.accounts, *books.accounts}:
            account, book = self.accounts[name], books.accounts[name]
            stream = tape.stream(ACCOUNTS, name)
            number = stream.partition.number if stream else None
            place: dict[str, Any] = {"topic": ACCOUNTS, "partition": number, "account": name}
            self._covers(account.deposits, book.deposits, "credited", place, account.due)
            self._covers(account.requested, dict.fromkeys(book.withdrawals, None), "reserved", place, set())
            self._covers(account.paid, book.spent, "spent", place, account.due)
            open_ones = account.requested.keys() - account.paid.keys() - account.refused.keys()
            stuck = sorted((open_ones | {key for key, held in book.withdrawals.items() if held}) & account.due)
            if stuck:
                says = "withdrawals have not come to their end"
                self._findings.add("liveness", says, evidence={"withdrawals": stuck}, **place)
            held = sum(order.reserved for order in book.orders.values()) + sum(book.withdrawals.values())
            if book.reserved != held:
                self._findings.add("unbalanced", f"{book.reserved} is reserved, orders hold {held}", **place)

    def _covers(
        self,
        source: dict[str, int],
        sink: dict[str, Any],
        what: str,
        place: dict[str, Any],
        due: set[str],
    ) -> None:
        for key, amount in sink.items():
            if key not in source or (amount is not None and source[key] != amount):
                says = f"{amount} of {key} is {what} in the book, the account has {source.get(key)}"
                self._findings.add("unbalanced", says, **place)
        missing = sorted((source.keys() - sink.keys()) & due)
        if missing:
            says = f"the account has transfers that are never {what} in its book"
            self._findings.add("unbalanced", says, evidence={"transfers": missing}, **place)

    def _once(self, event: Event, *, is_new: bool) -> None:
        if not is_new:
            self._findings.add("duplicated", f"{event.kind} again: {event.says}", **event.place)

    def _say(self, event: Event, says: str) -> None:
        self._findings.add("unbalanced", f"{event.kind}: {says}", **event.place)
