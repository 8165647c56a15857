"""billing.events -> every commission, invoice and note computed again from fills and price lists.

Which market date a fill has is not computed again here: it must lie in the row that the price list has for it.
"""

from collections import defaultdict
from typing import Any

from tests.faults.checker.sums import SCALE, UNIT, half_even
from tests.faults.checker.tape import Event
from tests.faults.checker.verdict import Findings

PER_UNIT = 10_000
"""Basis points in one whole."""
NO_MAXIMUM = 10**14
FILL = ("order_id", "execution_id", "symbol", "quantity", "price")


class Bill:
    """One account: what each charged fill costs now, on which invoice."""

    def __init__(self) -> None:
        self.accrued: dict[str, int] = {}
        self.dates: dict[str, str] = {}
        """The market date of each charged fill."""
        self.invoiced: dict[str, str] = {}
        self.costs: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """What an invoice has come to with its notes, by fill."""


class Fees:
    """All bills of a tape; give it the fills of `orders`, then the events of `billing`, which names them."""

    def __init__(self, findings: Findings) -> None:
        self.fills: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.bills: defaultdict[str, Bill] = defaultdict(Bill)
        self._lists: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._events: list[Event] = []
        self._findings = findings

    def take(self, event: Event) -> None:
        """The next event of either context."""
        if event.kind == "OrderFilled":
            known = {name: event.says[name] for name in FILL}
            self.fills[event.meta["event_id"]] = (event.meta["stream_id"], event.meta["sequence"], known)
        elif event.kind == "PriceListPublished":
            self._lists[event.meta["tenant"], event.says["list_version"]] = event.says["rows"]
        elif event.topic == "billing.events":
            self._events.append(event)

    def judge(self) -> None:
        """Compute everything again; lists and fills of all partitions are known by now."""
        for event in self._events:
            bill = self.bills[event.meta["stream_id"]]
            match event.kind:
                case "CommissionAccrued":
                    self._accrued(event, bill)
                case "InvoiceIssued":
                    self._invoiced(event, bill)
                case "CreditNoteIssued":
                    self._corrected(event, bill)

    def _accrued(self, event: Event, bill: Bill) -> None:
        fill, cost = event.says["fill"], event.says["commission"]
        key = fill["event_id"]
        if key in bill.accrued:
            self._findings.add("duplicated", f"fill {key} is charged twice", **event.place)
        bill.accrued[key], bill.dates[key] = cost, fill["session_date"]
        found = self.fills.get(key)
        claimed = (event.meta["stream_id"], fill["sequence"], {name: fill[name] for name in FILL})
        if found != claimed:
            self._say(event, f"the fill is not the one on the tape: {found}")
        rates = self._rates(event.meta["tenant"], event.says["list_version"], fill["session_date"])
        if rates != event.says["rates"]:
            self._say(event, f"list {event.says['list_version']} has other rates for {fill['session_date']}: {rates}")
        if cost != commission(event.says["rates"], fill["quantity"], fill["price"]):
            self._say(event, f"{commission(event.says['rates'], fill['quantity'], fill['price'])} is due, not {cost}")

    def _invoiced(self, event: Event, bill: Bill) -> None:
        invoice_id = event.says["invoice_id"]
        if invoice_id in bill.costs:
            self._findings.add("duplicated", f"invoice {invoice_id} is issued twice", **event.place)
        costs = bill.costs[invoice_id]
        for line in event.says["lines"]:
            key = line["fill"]["event_id"]
            if key in bill.invoiced:
                says = f"fill {key} is on invoice {bill.invoiced[key]} already"
                self._findings.add("duplicated", says, **event.place)
            if bill.accrued.get(key) != line["commission"] or line["fill"]["session_date"][:7] != event.says["month"]:
                self._say(event, f"fill {key} was charged {bill.accrued.get(key)}, not {line['commission']}")
            bill.invoiced[key] = invoice_id
            costs[key] = line["commission"]
        if event.says["total"] != sum(costs.values()):
            self._say(event, f"its lines make {sum(costs.values())}, not {event.says['total']}")

    def _corrected(self, event: Event, bill: Bill) -> None:
        costs = bill.costs[event.says["invoice_id"]]
        for line in event.says["lines"]:
            key = line["fill_event_id"]
            if costs.get(key) != line["billed"]:
                self._say(event, f"fill {key} cost {costs.get(key)}, not {line['billed']}")
            _, _, fill = self.fills.get(key, ("", 0, {}))
            costs[key] = line["corrected"]
            if not fill:
                self._say(event, f"fill {key} is not on the tape")
                continue
            rates = self._rates(event.meta["tenant"], event.says["list_version"], bill.dates.get(key, ""))
            due = None if rates is None else commission(rates, fill["quantity"], fill["price"])
            if line["corrected"] != due:
                self._say(
                    event, f"by list {event.says['list_version']} fill {key} costs {due}, not {line['corrected']}"
                )
        total = sum(line["corrected"] - line["billed"] for line in event.says["lines"])
        if event.says["total"] != total or event.says["invoice_total"] != sum(costs.values()):
            self._say(event, f"its lines make {total}, the invoice is {sum(costs.values())} with it")

    def _rates(self, tenant: str, version: int, date: str) -> dict[str, Any] | None:
        for row in self._lists.get((tenant, version), []):
            if row["begins_on"] <= date and (row["ends_on"] is None or date <= row["ends_on"]):
                return dict(row["rates"])
        return None

    def _say(self, event: Event, says: str) -> None:
        self._findings.add("unbalanced", f"{event.kind}: {says}", **event.place)


def commission(rates: dict[str, Any], quantity: int, price: int) -> int:
    """What a fill costs: both parts are added before anything is rounded, then held within minimum and maximum."""
    whole = SCALE * PER_UNIT
    exact = quantity * rates["per_share"] * whole + quantity * price * rates["basis_points"]
    maximum = NO_MAXIMUM if rates["maximum"] is None else rates["maximum"]
    return int(min(max(half_even(exact, UNIT * whole), rates["minimum"]), maximum))
