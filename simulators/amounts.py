"""Decimal text in, integers of 1e-8 inside, decimal text out: no price and no quantity is ever a float."""

from decimal import Decimal

SCALE = 100_000_000
CENT = SCALE // 100
AMOUNT_MAX = 2**62
"""Far above any price or quantity, and still a signed 64-bit integer for whoever reads us."""
TEXT_MAX = 28
"""Characters of an amount; with so many digits at most, Decimal's sums are exact."""


def parse(text: object) -> int:
    """A positive amount from its decimal text; ValueError says what is wrong with it."""
    try:
        scaled = Decimal(_text(text)) * SCALE
    except (ArithmeticError, TypeError) as error:
        raise ValueError("must be decimal text, such as '101.25'") from error
    if not scaled.is_finite() or not 0 < scaled <= AMOUNT_MAX:
        raise ValueError("must be above zero and finite")
    if scaled != scaled.to_integral_value():
        raise ValueError("must have at most 8 decimal places")
    return int(scaled)


def price_text(price: int) -> str:
    """At least two places, more only where the price has them."""
    exact = Decimal(price) / SCALE
    return f"{exact:.2f}" if price % CENT == 0 else f"{exact.normalize():f}"


def quantity_text(quantity: int) -> str:
    """As few places as the quantity needs."""
    return f"{(Decimal(quantity) / SCALE).normalize():f}"


def exact_text(amount: int, scale: int) -> str:
    """Any amount of any scale, with its sign, to the last place that is not zero but never fewer than two."""
    digits = len(str(scale)) - 1
    whole, rest = divmod(abs(amount), scale)
    return f"{'-' if amount < 0 else ''}{whole}.{f'{rest:0{digits}}'.rstrip('0'):0<2}"


def _text(text: object) -> str:
    if isinstance(text, str) and len(text) <= TEXT_MAX:
        return text
    raise TypeError
