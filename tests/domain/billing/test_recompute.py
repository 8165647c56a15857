"""Invoices computed again from the tape: what is right raises no doubt, what was forged does."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from domain.billing import events as b
from domain.billing import recompute
from domain.billing.recompute import Account
from domain.kernel.messages import Recorded
from domain.kernel.money import Money, Quantity
from tests.domain.billing.world import World
from tests.kit.bills import rates, row

Forgery = Callable[[Any], Any]
replace = msgspec.structs.replace


@pytest.fixture
def told() -> Account:
    """An account that was invoiced for two fills and corrected; a third fill is too new to be charged."""
    it = World()
    it.mark("2012-03-05")
    it.publish(row())
    it.fill()
    it.fill(shares=50)
    it.mark("2012-04-02")
    it.deliver()
    it.mark("2012-04-02")
    it.deliver()
    it.publish(row(charged=rates("0.005")))
    it.mark("2012-04-02")
    it.deliver()
    it.fill()
    return it.on_tape()


def forged(account: Account, kind: type, forge: Forgery) -> Account:
    """The account with every event of this kind told otherwise."""

    def told(recorded: Recorded[Any]) -> Recorded[Any]:
        return replace(recorded, event=forge(recorded.event)) if isinstance(recorded.event, kind) else recorded

    return replace(account, billing=tuple(map(told, account.billing)))


def first_line(invoice: b.InvoiceIssued, **changes: Any) -> b.InvoiceIssued:
    return replace(invoice, lines=(replace(invoice.lines[0], **changes), *invoice.lines[1:]))


def test_what_is_right_raises_no_doubt(told: Account) -> None:
    kinds = [type(each.event) for each in told.billing]
    assert (kinds.count(b.InvoiceIssued), kinds.count(b.CreditNoteIssued)) == (1, 1)
    assert recompute.doubts(told) == []
    assert recompute.waiting(told) == [told.orders[-1].event_id]


@pytest.mark.parametrize(
    ("kind", "forge", "doubt"),
    [
        (b.InvoiceIssued, lambda e: replace(e, total=Money(e.total + 1)), "do not add up"),
        (b.InvoiceIssued, lambda e: replace(e, month="2012-04"), "is of 2012-03-05"),
        (b.InvoiceIssued, lambda e: replace(e, lines=(*e.lines, e.lines[0])), "counted twice"),
        (b.InvoiceIssued, lambda e: first_line(e, commission=Money(1)), "costs 100, not 1"),
        (b.InvoiceIssued, lambda e: first_line(e, list_version=2), "costs 50, not 100"),
        (
            b.InvoiceIssued,
            lambda e: first_line(e, fill=replace(e.lines[0].fill, quantity=Quantity(1))),
            "not on the tape as the line has it",
        ),
        (
            b.InvoiceIssued,
            lambda e: first_line(e, fill=replace(e.lines[0].fill, session_date="2012-03-06")),
            "not on the tape as the line has it",
        ),
        (b.CreditNoteIssued, lambda e: replace(e, total=Money(0)), "do not add up"),
        (b.CreditNoteIssued, lambda e: replace(e, invoice_total=Money(0)), "the invoice with its notes"),
        (b.CreditNoteIssued, lambda e: replace(e, list_version=1), "costs 100, not 50"),
        (b.CreditNoteIssued, lambda e: replace(e, lines=(*e.lines, e.lines[0])), "did not cost 100"),
    ],
)
def test_what_was_forged_is_named(told: Account, kind: type, forge: Forgery, doubt: str) -> None:
    assert any(doubt in each for each in recompute.doubts(forged(told, kind, forge)))


def test_a_fill_that_is_not_on_the_tape_is_not_owed(told: Account) -> None:
    assert any("not on the tape" in each for each in recompute.doubts(replace(told, orders=told.orders[1:])))
