"""How each refusal of billing is told to whoever asked."""

from domain.billing.events import Refusal
from domain.billing.price_lists import ROWS_MAX
from gateways.answers import Refusals, Refused

WRONG = 422

BILLING_REFUSALS: Refusals = {
    Refusal.REASON_MISSING: Refused("A reason is needed.", "Say why.", "reason", WRONG),
    Refusal.ROWS: Refused("A list has at least one row.", f"Send 1 to {ROWS_MAX} rows.", "rows", WRONG),
    Refusal.DATE: Refused(
        "A row has a date that is none, or ends before it begins.", "Write dates as 2012-03-05.", "rows", WRONG
    ),
    Refusal.RATES: Refused(
        "A row has rates below zero, or a minimum above its maximum.", "Correct the row.", "rows", WRONG
    ),
    Refusal.OVERLAP: Refused(
        "Two rows name the same date, or the rows are not in the order of their dates.",
        "Begin each row on the day after the one before it ends.",
        "rows",
        WRONG,
    ),
    Refusal.GAP: Refused(
        "A date between two rows has no row.", "Begin each row on the day after the one before it ends.", "rows", WRONG
    ),
    Refusal.SHORTENED: Refused(
        "A date that the list before priced has no row.", "Name every date that was ever priced.", "rows", WRONG
    ),
    Refusal.MONTH: Refused("This is no month.", "Write it as 2012-03.", "month", WRONG),
    Refusal.NOTHING_TO_INVOICE: Refused(
        "No charge of this month waits for an invoice.", "Read the accruals: those without `invoice_id` wait."
    ),
    Refusal.DUPLICATE_INVOICE: Refused("This invoice was issued before.", "Use a new Idempotency-Key for a new one."),
}
