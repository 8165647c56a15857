"""Small verbs of billing: rows and rates, fills, and what is asked and said of them."""

from domain.billing import commands as c
from domain.billing import events as e
from domain.billing.commands import Fill
from domain.billing.rates import PriceRow, Rates, commission
from domain.kernel.ids import ExecutionId, OrderId, Symbol, event_id
from domain.kernel.money import SCALE, BasisPoints, Money, Price, Quantity, parse_price

AGENT = "agent:billing.charges"
FIRST, LAST = "2012-01-01", "2012-12-31"


def rates(per_share: str = "0.01", bps: int = 0, minimum: int = 0, maximum: int | None = None) -> Rates:
    """A cent a share, unless the test says otherwise."""
    return Rates(
        per_share=parse_price(per_share) if per_share != "0" else Price(0),
        basis_points=BasisPoints(bps * SCALE),
        minimum=Money(minimum),
        maximum=None if maximum is None else Money(maximum),
    )


def row(begins_on: str = FIRST, ends_on: str | None = None, charged: Rates | None = None) -> PriceRow:
    """These rates from this date on."""
    return PriceRow(begins_on=begins_on, ends_on=ends_on, rates=charged or rates())


def publish(*rows: PriceRow, reason: str = "review") -> c.PublishPriceList:
    return c.PublishPriceList(rows=rows, reason=reason)


def published(*rows: PriceRow, version: int = 1, reason: str = "review") -> e.PriceListPublished:
    return e.PriceListPublished(list_version=version, rows=rows, reason=reason)


def fill(number: int = 0, *, on: str = "2012-03-05", shares: int = 100, price: int = 50) -> Fill:
    """The account's fill of this number: it stands at this sequence of its partition."""
    return Fill(
        event_id=event_id("orders.events", 1, number),
        sequence=number,
        order_id=OrderId(f"o-{number}"),
        execution_id=ExecutionId(f"x-{number}"),
        symbol=Symbol("AAPL"),
        session_date=on,
        quantity=Quantity(shares * SCALE),
        price=Price(price * SCALE),
    )


def accrue(of: Fill, charged: Rates | None = None, version: int = 1, actor: str = AGENT) -> c.AccrueCommission:
    return c.AccrueCommission(actor=actor, fill=of, list_version=version, rates=charged or rates())


def accrued(of: Fill, charged: Rates | None = None, version: int = 1) -> e.CommissionAccrued:
    charged = charged or rates()
    cost = commission(charged, of.quantity, of.price)
    return e.CommissionAccrued(fill=of, list_version=version, rates=charged, commission=cost)


def invoice(month: str = "2012-03", invoice_id: str = "i-1") -> c.IssueInvoice:
    return c.IssueInvoice(invoice_id=invoice_id, month=month)


def invoiced(*of: e.CommissionAccrued, month: str = "2012-03", invoice_id: str = "i-1") -> e.InvoiceIssued:
    lines = tuple(
        e.InvoiceLine(fill=each.fill, list_version=each.list_version, commission=each.commission) for each in of
    )
    return e.InvoiceIssued(
        invoice_id=invoice_id, month=month, lines=lines, total=Money(sum(line.commission for line in lines))
    )


def correct(*rows: PriceRow, version: int = 2, invoice_id: str = "i-1", actor: str = AGENT) -> c.IssueCreditNote:
    return c.IssueCreditNote(
        actor=actor, credit_note_id=f"n-{version}", invoice_id=invoice_id, list_version=version, rows=rows
    )


def refused(reference: str, reason: e.Refusal) -> e.BillingRefused:
    return e.BillingRefused(reference=reference, reason=reason)
