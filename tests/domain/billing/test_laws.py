"""Laws of a bill, over any history of charges, invoices and corrections, whatever is repeated."""

from collections import Counter
from datetime import date, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.billing import events as e
from domain.billing.commands import BillingCommand
from domain.billing.decide import billing, total_of
from domain.billing.price_lists import fault_of
from domain.billing.rates import PriceRow, Rates, commission, day_after, rates_on
from domain.billing.state import Bill
from domain.kernel.money import BasisPoints, Money, Price
from domain.kernel.snapshots import decode, encode
from tests.kit.bills import accrue, correct, fill, invoice, row

DATES = [f"2012-0{month}-0{day}" for month in (3, 4) for day in range(1, 10)]
some_rates = st.builds(
    lambda share, points, least, more: Rates(
        per_share=Price(share),
        basis_points=BasisPoints(points),
        minimum=Money(least),
        maximum=None if more is None else Money(least + more),
    ),
    st.integers(0, 10**9),
    st.integers(0, 10**10),
    st.integers(0, 500),
    st.none() | st.integers(0, 500),
)


@st.composite
def lists(draw: st.DrawFn) -> tuple[PriceRow, ...]:
    """Rows that follow one another, from the year's first day on."""
    begins = "2012-01-01"
    rows = []
    for ends in draw(st.lists(st.sampled_from(DATES), unique=True, max_size=4).map(sorted)):
        rows.append(row(begins, ends, draw(some_rates)))
        begins = day_after(ends)
    return (*rows, row(begins, None, draw(some_rates)))


@st.composite
def histories(draw: st.DrawFn) -> list[BillingCommand]:
    """Charges by the list that is known, invoices and corrections, in any order, each perhaps more than once."""
    versions = [draw(lists()) for _ in range(3)]
    made: list[BillingCommand] = []
    for number in range(draw(st.integers(1, 40))):
        version = draw(st.integers(1, 3))
        match draw(st.sampled_from(["charge", "charge", "charge", "invoice", "correct"])):
            case "charge":
                of = fill(draw(st.integers(0, 12)), on=draw(st.sampled_from(DATES)), shares=number + 1)
                charged = rates_on(versions[version - 1], of.session_date)
                made.append(accrue(of, charged, version))
            case "invoice":
                made.append(invoice(draw(st.sampled_from(["2012-03", "2012-04"])), f"i-{draw(st.integers(0, 5))}"))
            case _:
                rows = versions[version - 1]
                made.append(correct(*rows, version=version, invoice_id=f"i-{draw(st.integers(0, 5))}"))
    return draw(st.permutations([*made, *draw(st.lists(st.sampled_from(made), max_size=10))]))


def play(history: list[BillingCommand]) -> tuple[Bill, list[e.BillingEvent]]:
    """What a bill makes of these; every state survives being put away, every refusal leaves it as it was."""
    bill, events = billing.initial, []
    for command in history:
        event = billing.decide(bill, command)
        after = billing.evolve(bill, event)
        assert decode(encode(after), Bill) == after
        if isinstance(event, e.BillingRefused):
            assert after == bill
        bill = after
        events.append(event)
    assert billing.fold(events) == bill
    return bill, events


@settings(max_examples=150, deadline=None)
@given(histories())
def test_every_fill_is_counted_once_whatever_is_repeated(history: list[BillingCommand]) -> None:
    bill, events = play(history)
    charged = Counter(event.fill.event_id for event in events if isinstance(event, e.CommissionAccrued))
    billed = Counter(
        line.fill.event_id for event in events if isinstance(event, e.InvoiceIssued) for line in event.lines
    )
    assert set(charged.values()) <= {1}
    assert set(billed.values()) <= {1}
    assert set(charged) == set(billed) | set(bill.accrued) == set(bill.counted)
    assert not set(billed) & set(bill.accrued)


@settings(max_examples=150, deadline=None)
@given(histories())
def test_an_invoice_is_the_sum_of_the_commissions_it_counts(history: list[BillingCommand]) -> None:
    _, events = play(history)
    commissions = {event.fill.event_id: event.commission for event in events if isinstance(event, e.CommissionAccrued)}
    for event in events:
        if isinstance(event, e.InvoiceIssued):
            assert event.total == sum(commissions[line.fill.event_id] for line in event.lines)
            assert {line.fill.session_date[:7] for line in event.lines} == {event.month}


@settings(max_examples=150, deadline=None)
@given(histories(), lists())
def test_an_old_invoice_and_its_notes_are_the_new_invoice(
    history: list[BillingCommand], rows: tuple[PriceRow, ...]
) -> None:
    bill, events = play(history)
    for invoice_id, held in bill.invoices.items():
        event = billing.decide(bill, correct(*rows, version=9, invoice_id=invoice_id))
        new = sum(
            commission(rates, line.fill.quantity, line.fill.price)
            for line in held.lines
            if (rates := rates_on(rows, line.fill.session_date)) is not None
        )
        notes = [each for each in events if isinstance(each, e.CreditNoteIssued) and each.invoice_id == invoice_id]
        (first,) = [each for each in events if isinstance(each, e.InvoiceIssued) and each.invoice_id == invoice_id]
        assert first.total + sum(each.total for each in notes) == total_of(held.lines)
        if isinstance(event, e.CreditNoteIssued):
            assert total_of(held.lines) + event.total == event.invoice_total == new
            assert total_of(billing.evolve(bill, event).invoices[invoice_id].lines) == new
        else:
            assert new == total_of(held.lines)


@settings(max_examples=100, deadline=None)
@given(lists(), st.integers(0, 3), st.integers(-3, 3))
def test_a_list_with_a_hole_or_two_rows_for_a_date_is_refused(
    rows: tuple[PriceRow, ...], place: int, days: int
) -> None:
    assert fault_of(rows, ()) is None
    place %= len(rows)
    moved = (date.fromisoformat(rows[place].begins_on) + timedelta(days)).isoformat()
    ends_on = rows[place].ends_on
    assume(place > 0 and days != 0 and (ends_on is None or moved <= ends_on))
    wrong = (*rows[:place], row(moved, ends_on, rows[place].rates), *rows[place + 1 :])
    assert fault_of(wrong, ()) == ("GAP" if days > 0 else "OVERLAP", moved)
