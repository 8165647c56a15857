"""What trading costs, as people read it: charged fills, invoices with their notes, price lists; the sums hold."""

import msgspec
import pytest

from domain.billing import events as e
from domain.kernel.money import Money
from infra.postgres import Database
from projections.billing import accruals, credit_notes, invoices, price_lists
from projections.billing.accruals import charged_fills
from projections.billing.credit_notes import notes_issued
from projections.billing.invoices import invoices_issued
from projections.billing.price_lists import price_lists as lists_published
from tests.kit.bills import accrue, accrued, correct, fill, invoice, invoiced, publish, rates, row
from tests.kit.tape import Tape
from tests.projections.folding import FIRST_AT, row_after, rows_after, table_of
from tests.projections.hosting import folded, projector_of, stored

MODELS = (charged_fills, invoices_issued, notes_issued, lists_published)
ACCRUALS = table_of(charged_fills, "billing_accruals")
INVOICES = table_of(invoices_issued, "billing_invoices")
ONE, TWO = accrued(fill(1)), accrued(fill(2, shares=50))
CHEAPER = row(charged=rates("0.005"))


def note(total: int, invoice_total: int, version: int = 2) -> e.CreditNoteIssued:
    return e.CreditNoteIssued(
        credit_note_id=f"n-{version}",
        invoice_id="i-1",
        month="2012-03",
        list_version=version,
        lines=(),
        total=Money(total),
        invoice_total=Money(invoice_total),
    )


def test_a_charged_fill_waits_for_its_invoice_and_then_names_it() -> None:
    waiting = row_after(ACCRUALS, ONE)
    assert (waiting.commission, waiting.invoice_id, waiting.accrued_at) == (100, None, FIRST_AT)
    rows = rows_after(ACCRUALS, ONE, TWO, invoiced(ONE))
    assert {row.fill_sequence: row.invoice_id for row in rows} == {1: "i-1", 2: None}


def test_an_invoice_is_owed_with_all_its_notes() -> None:
    row = row_after(INVOICES, ONE, TWO, invoiced(ONE, TWO), note(-75, 75), note(25, 100, version=3))
    assert (row.fills, row.total, row.corrected, row.owed) == (2, 150, -50, 100)


def tell(tape: Tape) -> None:
    """Two accounts are billed, and the list was wrong for one of them."""
    tape.decide("billing", "prices/acme", publish(row("2012-01-01", "2012-01-31"), row("2012-02-01")))
    for account in ("ann", "bob"):
        for number in range(1, 6):
            tape.decide("billing", account, accrue(fill(number, shares=number)))
        tape.decide("billing", account, invoice(invoice_id=f"i-{account}"))
        tape.decide("billing", account, accrue(fill(9, on="2012-04-02")))
    tape.decide("billing", "prices/acme", publish(row(charged=rates("0.005")), reason="a wrong rate"))
    tape.decide("billing", "ann", correct(CHEAPER, invoice_id="i-ann"))
    tape.decide("billing", "ann", correct(CHEAPER, invoice_id="i-ann"))


@pytest.mark.postgres
async def test_pages_of_lists_fills_invoices_and_notes_are_those_of_the_account(db: Database, tape: Tape) -> None:
    tell(tape)
    await (await projector_of(db, tape.codec, MODELS)).apply(tape.arrived)
    for model in MODELS:
        assert await stored(db, model) == folded(tape, model)
    (newest,) = {each.list_version for each in await price_lists.lists(db, tenant="acme", limit=1)}
    first = await price_lists.lists(db, tenant="acme", limit=10, before=newest)
    assert [(each.list_version, each.begins_on) for each in first] == [(1, "2012-01-01"), (1, "2012-02-01")]
    fills = await accruals.accruals(db, tenant="acme", account_id="ann", limit=2)
    rest = await accruals.accruals(db, tenant="acme", account_id="ann", limit=9, before=fills[-1].fill_sequence)
    assert [each.fill_sequence for each in (*fills, *rest)] == [9, 5, 4, 3, 2, 1]
    (mine,) = await invoices.invoices(db, tenant="acme", account_id="ann", limit=10)
    (note_row,) = await credit_notes.credit_notes(db, tenant="acme", account_id="ann", limit=10)
    lines = await invoices.invoice_lines(db, of=mine, limit=3)
    lines += await invoices.invoice_lines(db, of=mine, limit=9, after=lines[-1].number)
    corrected = await credit_notes.credit_lines(db, of=note_row, limit=9)
    assert [line.fill_sequence for line in lines] == [1, 2, 3, 4, 5]
    assert mine.total == sum(line.commission for line in lines)
    assert mine.owed == mine.total + note_row.total == note_row.invoice_total
    assert note_row.total == sum(line.corrected - line.billed for line in corrected)
    assert await invoices.invoice(db, tenant="acme", account_id="bob", invoice_id="i-ann") is None
    assert await invoices.invoice(db, tenant="rival", account_id="ann", invoice_id="i-ann") is None
    assert await credit_notes.credit_note(db, tenant="rival", account_id="ann", credit_note_id="n-2") is None


@pytest.mark.postgres
async def test_an_invoice_that_does_not_add_up_stops_its_read_model(db: Database, tape: Tape) -> None:
    tell(tape)
    projector = await projector_of(db, tape.codec, [invoices_issued])
    forged = [
        msgspec.structs.replace(each, value=_forged(tape, each.value)) if each.topic == "billing.events" else each
        for each in tape.arrived
    ]
    await projector.apply(forged)
    assert any("lines_add_up" in why or "invoices" in why for why in projector.trouble())
    assert await db.rows(invoices.InvoiceRow, "SELECT * FROM billing_invoices") == []


def _forged(tape: Tape, value: bytes) -> bytes:
    recorded = tape.codec.decode_event(value)
    if not isinstance(recorded.event, e.InvoiceIssued):
        return value
    event = msgspec.structs.replace(recorded.event, total=Money(recorded.event.total + 1))
    return tape.codec.encode_event(msgspec.structs.replace(recorded, event=event))
