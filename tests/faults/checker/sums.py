"""Exact sums over the scales of the tape: prices and quantities of 1e-8, cash in minor units (cents)."""

SCALE = 100_000_000
UNIT = SCALE * SCALE // 100
"""What quantity x price is divided by to give cents."""


def half_even(dividend: int, divisor: int) -> int:
    """The quotient rounded half to even."""
    whole, rest = divmod(dividend, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


def value(quantity: int, price: int) -> int:
    """What so many shares cost."""
    return half_even(quantity * price, UNIT)


def value_at_most(quantity: int, price: int) -> int:
    """The same rounded up: what must be set aside for them."""
    return -(-quantity * price // UNIT)
