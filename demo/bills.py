"""What trading cost, from billing.events, set beside what the venue's own executions cost by the same price list."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from domain.billing import events as b
from domain.billing.rates import Rates, commission, rates_on
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import Money, money_text, parse_price, parse_quantity


class Bills:
    """Every charge, invoice and credit note of a tape."""

    def __init__(self) -> None:
        self.charged: Counter[str] = Counter()
        self.invoiced: Counter[str] = Counter()
        self.credited: Counter[str] = Counter()
        self.invoices = 0
        self.notes = 0
        self._rates: Rates | None = None
        self._counted: dict[str, list[str]] = defaultdict(list)

    def take(self, recorded: Recorded[Event], session_date: str) -> None:
        """Add up one event; of several price lists the last counts, as it stands on this market date."""
        account = recorded.stream_id
        match recorded.event:
            case b.PriceListPublished() as event:
                self._rates = rates_on(event.rows, session_date)
            case b.CommissionAccrued() as event:
                self.charged[account] += event.commission
            case b.InvoiceIssued() as event:
                self.invoices += 1
                self.invoiced[account] += event.total
                self._counted[account] += [line.fill.event_id for line in event.lines]
            case b.CreditNoteIssued() as event:
                self.notes += 1
                self.credited[account] += event.total
            case _:
                pass

    @property
    def owed(self) -> Money:
        """What all accounts owe: their invoices with the notes that correct them."""
        return Money(self.invoiced.total() + self.credited.total())

    def differences(self, account: str, executions: Iterable[Mapping[str, str]], fills: Sequence[str]) -> list[str]:
        """Where an account's bill is not what the last list makes of the venue's executions, or counts other fills."""
        if self._rates is None:
            return ["no price list was published"]
        found, counted = [], self._counted[account]
        if sorted(counted) != sorted(fills):
            found.append(f"{account}: its invoices count {len(counted)} fills, the tape has {len(fills)}")
        due = sum(
            commission(self._rates, parse_quantity(each["quantity"]), parse_price(each["price"])) for each in executions
        )
        owes = self.invoiced[account] + self.credited[account]
        if owes != due:
            found.append(f"{account}: owes {money_text(owes)}, the venue's executions cost {money_text(due)}")
        return found
