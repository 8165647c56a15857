"""A fill is charged once, an invoice names what it counts, a corrected list is answered by a note."""

import pytest

from domain.billing import decide as rules
from domain.billing import events as e
from domain.billing.decide import billing
from domain.billing.events import CreditLine, Refusal
from domain.billing.rates import COMMISSION_MAX, Rates, commission
from domain.kernel.money import SCALE, Money, Price, Quantity
from tests.kit.bills import accrue, accrued, correct, fill, invoice, invoiced, rates, refused, row
from tests.kit.stories import Story

bill = Story(billing)
ONE, TWO = accrued(fill(1)), accrued(fill(2, shares=50))
CHEAPER = row(charged=rates("0.005"))


@pytest.mark.parametrize(
    ("charged", "shares", "price", "cents"),
    [
        (rates("0.01"), 100, 50, 100),
        (rates("0", bps=10), 100, 50, 500),
        (rates("0.01", bps=10), 100, 50, 600),
        (rates("0.01", minimum=250), 100, 50, 250),
        (rates("0.01", maximum=75), 100, 50, 75),
        (rates("0.005"), 1, 50, 0),  # Half a cent goes to the even side,
        (rates("0.015"), 1, 50, 2),  # here too,
        (rates("0.005", bps=1), 1, 50, 1),  # and the parts are added before: half a cent and half a cent are one.
    ],
)
def test_a_commission_is_exact_to_the_cent(charged: Rates, shares: int, price: int, cents: int) -> None:
    assert commission(charged, Quantity(shares * SCALE), Price(price * SCALE)) == cents


def test_no_fill_can_cost_more_than_an_invoice_can_hold() -> None:
    assert commission(rates(bps=10_000), Quantity(2**62), Price(2**62)) == COMMISSION_MAX


def test_a_fill_is_charged_once() -> None:
    bill.given().when(accrue(fill(1))).then(ONE)
    bill.given(ONE).when(accrue(fill(1), version=2)).then(refused(fill(1).event_id, Refusal.ALREADY_ACCRUED))


def test_a_fill_on_an_invoice_is_never_charged_again() -> None:
    bill.given(ONE, invoiced(ONE)).when(accrue(fill(1))).then(refused(fill(1).event_id, Refusal.ALREADY_ACCRUED))


def test_nobody_but_the_agent_charges_or_corrects() -> None:
    by_hand = accrue(fill(1), actor="sub:ann")
    bill.given().when(by_hand).then(refused(fill(1).event_id, Refusal.FORBIDDEN_ACTOR))
    note = correct(CHEAPER, actor="sub:ann")
    bill.given(ONE, invoiced(ONE)).when(note).then(refused("i-1", Refusal.FORBIDDEN_ACTOR))


def test_an_invoice_counts_the_month_and_nothing_else() -> None:
    april = accrued(fill(3, on="2012-04-02"))
    after = bill.given(TWO, april, ONE).when(invoice()).then(invoiced(ONE, TWO))
    assert set(after.accrued) == {april.fill.event_id}


def test_what_is_charged_late_has_a_further_invoice() -> None:
    bill.given(ONE, invoiced(ONE), TWO).when(invoice(invoice_id="i-2")).then(invoiced(TWO, invoice_id="i-2"))


def test_an_empty_month_has_no_invoice() -> None:
    bill.given(ONE, invoiced(ONE)).when(invoice(invoice_id="i-2")).then(refused("2012-03", Refusal.NOTHING_TO_INVOICE))


def test_an_invoice_is_issued_once() -> None:
    bill.given(ONE, invoiced(ONE), TWO).when(invoice()).then(refused("i-1", Refusal.DUPLICATE_INVOICE))


@pytest.mark.parametrize("month", ["2012-13", "2012-3", "March", "2012-03-05"])
def test_a_month_is_written_in_one_way(month: str) -> None:
    bill.given(ONE).when(invoice(month)).then(refused(month, Refusal.MONTH))


def test_a_month_with_too_many_fills_has_several_invoices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LINES_MAX", 1)
    bill.given(ONE, TWO).when(invoice()).then(invoiced(ONE))
    bill.given(ONE, TWO, invoiced(ONE)).when(invoice(invoice_id="i-2")).then(invoiced(TWO, invoice_id="i-2"))


def note(*lines: tuple[int, int, int], total: int, invoice_total: int, version: int = 2) -> e.CreditNoteIssued:
    return e.CreditNoteIssued(
        credit_note_id=f"n-{version}",
        invoice_id="i-1",
        month="2012-03",
        list_version=version,
        lines=tuple(
            CreditLine(
                fill_event_id=fill(number).event_id,
                fill_sequence=number,
                billed=Money(billed),
                corrected=Money(corrected),
            )
            for number, billed, corrected in lines
        ),
        total=Money(total),
        invoice_total=Money(invoice_total),
    )


def test_a_corrected_list_gives_back_the_difference() -> None:
    cheaper = note((1, 100, 50), (2, 50, 25), total=-75, invoice_total=75)
    bill.given(ONE, TWO, invoiced(ONE, TWO)).when(correct(CHEAPER)).then(cheaper)


def test_a_note_names_only_what_costs_something_else() -> None:
    dearer = row(charged=rates("0.01", minimum=60))
    bill.given(ONE, TWO, invoiced(ONE, TWO)).when(correct(dearer)).then(note((2, 50, 60), total=10, invoice_total=160))


def test_a_second_correction_begins_where_the_first_ended() -> None:
    first = note((1, 100, 50), total=-50, invoice_total=50)
    second = note((1, 50, 100), total=50, invoice_total=100, version=3)
    bill.given(ONE, invoiced(ONE), first).when(correct(row(), version=3)).then(second)


def test_an_invoice_is_corrected_once_by_each_list() -> None:
    first = note((1, 100, 50), total=-50, invoice_total=50)
    bill.given(ONE, invoiced(ONE), first).when(correct(CHEAPER)).then(refused("i-1", Refusal.OUTDATED_PRICE_LIST))


def test_an_invoice_that_is_right_has_no_note() -> None:
    bill.given(ONE, invoiced(ONE)).when(correct(row())).then(refused("i-1", Refusal.NOTHING_TO_CORRECT))


def test_an_invoice_that_is_not_known_has_no_note() -> None:
    bill.given().when(correct(row())).then(refused("i-1", Refusal.UNKNOWN_INVOICE))
