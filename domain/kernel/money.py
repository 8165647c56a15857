"""Exact amounts: integers of a stated scale, and the few sums that cross scales.

Price, Quantity and BasisPoints are integers of scale 1e-8 (``SCALE``); Money is an integer of its currency's minor
unit (cents).
Decimal text is read at the doors (`parse`) and written there (`text`); in between nothing is ever a float.
"""

import re
from typing import NewType

Money = NewType("Money", int)
Price = NewType("Price", int)
Quantity = NewType("Quantity", int)
BasisPoints = NewType("BasisPoints", int)

SCALE = 100_000_000
MINOR_UNITS = 100
"""Minor units in one unit of every currency we hold (all have two decimals)."""
AMOUNT_MAX = 2**62
"""Largest integer any amount may have: it leaves headroom in Avro's signed 64-bit long."""

_NOTIONAL_UNIT = SCALE * SCALE // MINOR_UNITS
_DECIMAL = re.compile(r"[+-]?[0-9]{0,40}\.?[0-9]{1,40}", re.ASCII)
"""Digits and one point, no exponent, no separators, so that a number reads the same to everybody."""


class AmountRefused(ValueError):
    """The text is no amount of this kind; the message says which rule it breaks."""


def notional(quantity: Quantity, price: Price) -> Money:
    """quantity x price in minor units, rounded half to even."""
    return Money(_half_even(quantity * price, _NOTIONAL_UNIT))


def notional_at_most(quantity: Quantity, price: Price) -> Money:
    """quantity x price in minor units, rounded up: what must be set aside so that the fill can never cost more."""
    return Money(-(-quantity * price // _NOTIONAL_UNIT))


def share_of(amount: int, parts: int, whole: int) -> int:
    """amount x parts / whole, rounded half to even; used for margins in parts per thousand and the like."""
    return _half_even(amount * parts, whole)


def with_margin(price: Price, per_mille: int) -> Price:
    """The price raised by so many thousandths, rounded up."""
    return Price(-(-price * (1000 + per_mille) // 1000))


def parse_price(value: str) -> Price:
    """A positive decimal with at most 8 places."""
    return Price(_parse(value, places=8))


def parse_quantity(value: str) -> Quantity:
    """A positive decimal with at most 8 places."""
    return Quantity(_parse(value, places=8))


def parse_money(value: str) -> Money:
    """A positive decimal with at most 2 places."""
    return Money(_parse(value, places=2))


def price_text(price: int) -> str:
    """101.25, without trailing zeros but never fewer than two places."""
    return _text(price, places_min=2)


def quantity_text(quantity: int) -> str:
    """10 or 0.5, without trailing zeros."""
    return _text(quantity, places_min=0)


def money_text(money: int) -> str:
    """1234.50, always two places."""
    sign, (whole, cents) = "-" * (money < 0), divmod(abs(money), MINOR_UNITS)
    return f"{sign}{whole}.{cents:02d}"


def _text(amount: int, *, places_min: int) -> str:
    sign, (whole, rest) = "-" * (amount < 0), divmod(abs(amount), SCALE)
    places = f"{rest:08d}".rstrip("0").ljust(places_min, "0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"


def _half_even(dividend: int, divisor: int) -> int:
    whole, rest = divmod(dividend, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


def _parse(value: str, *, places: int) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise AmountRefused("must be a decimal number written as text, such as '101.25'")
    whole, _, fraction = value.lstrip("+-").partition(".")
    fraction = fraction.rstrip("0")
    if value.startswith("-") or not (whole.strip("0") or fraction):
        raise AmountRefused("must be greater than zero")
    if len(fraction) > places:
        raise AmountRefused(f"must have at most {places} decimal places")
    scaled = int((whole or "0") + fraction.ljust(places, "0"))
    if scaled > AMOUNT_MAX:
        raise AmountRefused("is larger than any amount that can be held")
    return scaled
