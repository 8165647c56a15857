"""The agent's half: every fill is charged in the end, by the list of its market date, and each month is invoiced."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.billing import charges, recompute
from domain.billing import events as b
from domain.billing.commands import BillingCommand, IssueInvoice
from domain.kernel.ids import Micros
from domain.kernel.messages import Issued
from tests.domain.billing.world import SECOND, World
from tests.kit.bills import rates, row

MARCH, APRIL = "2012-03-05", "2012-04-02"
DEAR, CHEAP = rates("0.02"), rates("0.01")
LIST = (row("2012-01-01", "2012-03-31", DEAR), row("2012-04-01", None, CHEAP))


def world(*, priced: bool = True) -> World:
    made = World()
    made.mark(MARCH)
    if priced:
        made.publish(*LIST)
    return made


def test_a_fill_is_charged_by_the_list_of_its_market_date() -> None:
    it = world()
    it.fill()
    it.mark(APRIL)
    it.fill()
    it.mark(APRIL)
    it.deliver()
    assert [(e.fill.session_date, e.rates) for e in it.of(b.CommissionAccrued)] == [(MARCH, DEAR), (APRIL, CHEAP)]


def test_a_fill_waits_for_the_mark_that_tells_its_date() -> None:
    it = world()
    it.fill()
    assert not it.sent
    it.mark(APRIL)
    it.deliver()
    assert [e.fill.session_date for e in it.of(b.CommissionAccrued)] == [MARCH]


def test_a_fill_that_is_read_long_after_its_day_has_its_own_date() -> None:
    it, late = world(), World()
    it.mark(APRIL, after_s=10)
    late.terms, late.board, late.now = it.terms, it.board, Micros(late.now + 5 * SECOND)
    late.fill()
    late.deliver()
    assert [e.fill.session_date for e in late.of(b.CommissionAccrued)] == [MARCH]


def test_fills_before_any_price_list_are_charged_when_one_covers_them() -> None:
    it = world(priced=False)
    fills = [it.fill() for _ in range(3)]
    it.mark(APRIL)
    it.mark(APRIL, after_s=100)
    assert not it.sent
    it.publish(row("2012-04-01", None, CHEAP))
    it.mark(APRIL)
    assert not it.sent, "March has no row yet"
    it.publish(*LIST)
    it.mark(APRIL)
    it.deliver()
    assert it.charged() == fills
    assert not it.state.waiting


def test_more_fills_than_a_bill_remembers_commands_are_charged_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charges, "ASKED_AT_ONCE_MAX", 400)
    it = world(priced=False)
    fills = [it.fill() for _ in range(2_500)]
    it.mark(MARCH)
    it.publish(*LIST)
    it.deliver()
    for _ in range(6):
        it.mark(MARCH)
        it.deliver()
    assert it.charged() == fills


def test_a_charge_that_was_lost_is_asked_for_again() -> None:
    it = world()
    it.fill()
    it.mark(MARCH)
    it.deliver(lost=[0])
    it.mark(MARCH)
    assert not it.sent, "an answer may still come"
    it.mark(MARCH, after_s=30)
    it.deliver()
    assert it.charged() == it.fills
    assert not it.state.waiting


def test_a_charge_whose_answer_was_lost_is_not_made_twice() -> None:
    it = world()
    it.fill()
    it.mark(MARCH)
    for issued in it.sent:
        it.decide(issued)
    it.sent = []
    it.mark(MARCH, after_s=31)
    it.deliver()
    assert it.charged() == it.fills
    assert not it.state.waiting


def test_a_month_is_invoiced_when_the_market_is_past_it() -> None:
    it = world()
    first, second = it.fill(), it.fill()
    it.mark(MARCH)
    it.deliver()
    assert not it.of(b.InvoiceIssued)
    it.mark(APRIL)
    it.deliver(times=2)
    (issued,) = it.of(b.InvoiceIssued)
    assert [line.fill.event_id for line in issued.lines] == [first, second]
    assert (issued.month, issued.total) == ("2012-03", 400)
    it.mark(APRIL, after_s=100)
    assert not it.sent


def test_an_invoice_waits_for_the_answers_on_its_fills() -> None:
    it = world()
    it.fill()
    it.mark(MARCH)
    it.deliver()
    it.fill()
    it.mark(APRIL)
    assert not any(isinstance(issued.command, IssueInvoice) for issued in it.sent)
    it.deliver()
    (issued,) = it.of(b.InvoiceIssued)
    assert len(issued.lines) == 2


def test_a_month_that_was_invoiced_by_hand_is_not_invoiced_again() -> None:
    it = world()
    it.fill()
    it.mark(MARCH)
    it.deliver()
    it.sent.append(posted(IssueInvoice(at=it.now, actor="sub:ann", invoice_id="by-hand", month="2012-03")))
    it.deliver()
    it.mark(APRIL)
    it.deliver()
    assert [issued.invoice_id for issued in it.of(b.InvoiceIssued)] == ["by-hand"]


def test_a_corrected_list_is_followed_by_a_note_for_each_invoice_it_changes() -> None:
    it = world()
    it.fill()
    it.mark(APRIL)
    it.fill()
    it.mark("2012-05-01")
    it.deliver()
    it.mark("2012-05-01")
    it.deliver()
    assert len(it.of(b.InvoiceIssued)) == 2
    it.publish(row("2012-01-01", "2012-03-31", CHEAP), row("2012-04-01", None, CHEAP))
    it.mark("2012-05-01")
    it.deliver(times=2)
    (note,) = it.of(b.CreditNoteIssued)
    assert (note.month, note.total, note.invoice_total, note.list_version) == ("2012-03", -100, 100, 2)
    it.mark("2012-05-01", after_s=100)
    assert not it.sent


def test_a_correction_in_the_midst_of_a_month_reaches_its_invoice() -> None:
    it = world()
    it.fill()
    it.mark(MARCH)
    it.deliver()
    it.publish(row(charged=CHEAP))
    it.mark(MARCH)
    it.deliver()
    it.mark(APRIL)
    it.deliver()
    assert [type(e).__name__ for e in it.events[-2:]] == ["InvoiceIssued", "CreditNoteIssued"]
    assert it.of(b.CreditNoteIssued)[0].invoice_total == 100


def test_another_tenants_list_charges_nobody() -> None:
    it = world(priced=False)
    it.publish(*LIST, tenant="rival")
    it.fill()
    it.mark(MARCH)
    assert not it.sent


def posted(command: IssueInvoice) -> Issued[BillingCommand]:
    return Issued(
        command=command,
        command_id="posted",
        tenant="acme",
        stream_id="acc",
        causation_id="posted",
        correlation_id="posted",
    )


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, int]]:
    kinds = ["fill", "fill", "fill", "mark", "month", "publish", "deliver", "lose", "twice"]
    return draw(st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 5)), max_size=40))


@settings(max_examples=150, deadline=None)
@given(lives())
def test_in_the_end_every_fill_is_charged_once_and_every_month_adds_up(life: list[tuple[str, int]]) -> None:
    it, month = World(), 3
    for kind, number in life:
        match kind:
            case "fill":
                it.fill(shares=number + 1)
            case "mark":
                it.mark(f"2012-{month:02d}-05")
            case "month":
                month = min(month + 1, 11)
                it.mark(f"2012-{month:02d}-01")
            case "publish":
                it.publish(row(charged=rates(f"0.0{number + 1}")))
            case "lose":
                it.deliver(lost=range(number))
            case _:
                it.deliver(times=2 if kind == "twice" else 1)
    it.mark("2012-12-03")
    it.publish(row(charged=rates("0.07")))
    for _ in range(4):
        it.mark("2013-01-02", after_s=31)
        it.deliver()
    assert sorted(it.charged()) == sorted(it.fills)
    bill = it.bill.state
    assert not bill.accrued
    assert not it.state.waiting
    for held in bill.invoices.values():
        for line in held.lines:
            assert line.commission == line.fill.quantity * 7 // 10**8
    assert recompute.doubts(it.on_tape()) == []
    assert recompute.waiting(it.on_tape()) == []
