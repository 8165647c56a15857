"""Amounts: read exactly or refused, rounded the one way that is written down."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.money import (
    AMOUNT_MAX,
    AmountRefused,
    Price,
    Quantity,
    money_text,
    notional,
    notional_at_most,
    parse_money,
    parse_price,
    parse_quantity,
    price_text,
    quantity_text,
    share_of,
    with_margin,
)

AMOUNTS = st.integers(1, AMOUNT_MAX)


@given(AMOUNTS)
def test_what_is_written_is_read_back(amount: int) -> None:
    assert parse_price(price_text(amount)) == amount
    assert parse_quantity(quantity_text(amount)) == amount
    assert parse_money(money_text(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (0, "0.00 0 0.00"),
        (10**8, "1.00 1 1000000.00"),
        (-150_000_000, "-1.50 -1.5 -1500000.00"),
        (1, "0.00000001 0.00000001 0.01"),
    ],
)
def test_amounts_are_written_as_people_read_them(amount: int, written: str) -> None:
    assert f"{price_text(amount)} {quantity_text(amount)} {money_text(amount)}" == written


@given(AMOUNTS, AMOUNTS)
def test_a_notional_is_the_exact_product_rounded_half_to_even(quantity: int, price: int) -> None:
    exact = Fraction(quantity * price, 10**14)
    assert notional(Quantity(quantity), Price(price)) == round(exact)
    assert 0 <= notional_at_most(Quantity(quantity), Price(price)) - exact < 1


@pytest.mark.parametrize(("price", "cents"), [(5 * 10**5, 0), (15 * 10**5, 2), (25 * 10**5, 2), (35 * 10**5, 4)])
def test_half_a_cent_goes_to_the_even_side(price: int, cents: int) -> None:
    assert notional(Quantity(10**8), Price(price)) == cents


@given(st.integers(-AMOUNT_MAX, AMOUNT_MAX), st.integers(0, 2000), st.integers(1, 1000))
def test_a_share_is_exact_whatever_the_decimal_context(amount: int, parts: int, whole: int) -> None:
    with localcontext() as context:
        context.prec = 3
        assert share_of(amount, parts, whole) == round(Fraction(amount * parts, whole))


@given(AMOUNTS, st.integers(0, 1000))
def test_a_margin_is_rounded_up(price: int, per_mille: int) -> None:
    assert 0 <= with_margin(Price(price), per_mille) - Fraction(price * (1000 + per_mille), 1000) < 1


@pytest.mark.parametrize("value", ["1", "01.10", "+1.1", "1.100000000000", ".5", "46116860184.27387904"])
def test_plain_decimals_are_read(value: str) -> None:
    assert parse_price(value) == Decimal(value) * 10**8


@pytest.mark.parametrize(
    "value", ["", ".", "1.", "ten", "1,5", "1_000", " 1", "1 ", "1e3", "NaN", "Infinity", "٣", "--1"]
)
def test_anything_else_is_no_decimal(value: str) -> None:
    with pytest.raises(AmountRefused, match="decimal number written as text"):
        parse_price(value)


@pytest.mark.parametrize("value", ["0", "0.000", "-0", "-1", "-0.01"])
def test_nothing_and_less_is_refused(value: str) -> None:
    with pytest.raises(AmountRefused, match="greater than zero"):
        parse_money(value)


def test_a_place_too_many_is_refused_however_long_the_number() -> None:
    with pytest.raises(AmountRefused, match="at most 8"):
        parse_price("1." + "0" * 34 + "1")
    with pytest.raises(AmountRefused, match="at most 2"):
        parse_money("0.001")


def test_more_than_can_be_held_is_refused() -> None:
    with pytest.raises(AmountRefused, match="larger than any"):
        parse_quantity("46116860184.27387905")
