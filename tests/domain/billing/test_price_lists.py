"""A price list: every date has one row, and no date that was priced is given up."""

import pytest

from domain.billing.decide import billing
from domain.billing.events import Refusal
from domain.billing.price_lists import ROWS_MAX
from domain.billing.rates import PriceRow, rates_on
from tests.kit.bills import publish, published, rates, refused, row
from tests.kit.stories import Story

prices = Story(billing)
OLD, NEW = rates("0.02"), rates("0.01")
SPRING = (row("2012-01-01", "2012-02-29", OLD), row("2012-03-01", None, NEW))


def test_is_published_as_the_first_of_its_tenant() -> None:
    prices.given().when(publish(*SPRING)).then(published(*SPRING, version=1))


def test_takes_the_place_of_the_one_before() -> None:
    after = prices.given(published(row())).when(publish(*SPRING)).then(published(*SPRING, version=2))
    assert after.rows == SPRING


@pytest.mark.parametrize(
    ("rows", "reason", "reference"),
    [
        ((), Refusal.ROWS, "0"),
        (tuple(row() for _ in range(ROWS_MAX + 1)), Refusal.ROWS, str(ROWS_MAX + 1)),
        ((row("2012-01-01", "2012-02-29"), row("2012-03-02")), Refusal.GAP, "2012-03-02"),
        ((row("2012-01-01", "2012-02-29"), row("2012-02-29")), Refusal.OVERLAP, "2012-02-29"),
        ((row("2012-01-01"), row("2012-03-01")), Refusal.OVERLAP, "2012-03-01"),
        ((row("2012-03-01", "2012-03-31"), row("2012-01-01")), Refusal.OVERLAP, "2012-01-01"),
        ((row("2012-03-01", "2012-02-01"),), Refusal.DATE, "2012-03-01"),
        ((row("20120301"),), Refusal.DATE, "20120301"),
        ((row("2012-02-30"),), Refusal.DATE, "2012-02-30"),
        ((row("2012-01-01", "never"),), Refusal.DATE, "2012-01-01"),
        ((row(charged=rates(minimum=2, maximum=1)),), Refusal.RATES, "2012-01-01"),
        ((row(charged=rates(minimum=-1)),), Refusal.RATES, "2012-01-01"),
        ((row(charged=rates(bps=-1)),), Refusal.RATES, "2012-01-01"),
    ],
)
def test_is_refused_with_the_rule_that_it_breaks_and_the_row(
    rows: tuple[PriceRow, ...], reason: Refusal, reference: str
) -> None:
    prices.given().when(publish(*rows)).then(refused(reference, reason))


@pytest.mark.parametrize(
    ("before", "after", "reference"),
    [
        (row("2012-01-01"), row("2012-01-02"), "2012-01-01"),
        (row("2012-01-01"), row("2012-01-01", "2012-12-31"), "2012-12-31"),
        (row("2012-01-01", "2012-12-31"), row("2012-01-01", "2012-12-30"), "2012-12-30"),
    ],
)
def test_gives_up_no_date_that_was_priced(before: PriceRow, after: PriceRow, reference: str) -> None:
    prices.given(published(before)).when(publish(after)).then(refused(reference, Refusal.SHORTENED))


def test_needs_a_reason() -> None:
    prices.given().when(publish(row(), reason=" ")).then(refused("reason", Refusal.REASON_MISSING))


def test_names_both_ends_of_a_row_as_its_own() -> None:
    found = [rates_on(SPRING, date) for date in ("2011-12-31", "2012-01-01", "2012-02-29", "2012-03-01", "2099-01-01")]
    assert found == [None, OLD, OLD, NEW, NEW]
