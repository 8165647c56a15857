"""One real day -> every price in between: a random walk tied to the day's open, high, low and close.

The extremes get a place each in the day; between two neighbouring anchors the midpoint is displaced again and again,
less each time, as in a Brownian bridge. Integers throughout, so that the same seed plays the same day everywhere.
"""

from itertools import pairwise
from math import isqrt
from random import Random

from simulators.amounts import CENT
from simulators.market.days import Day

STEPS_MIN = 4
"""Open, two extremes and close need a step each."""


def path(day: Day, *, seed: int, steps: int) -> list[int]:
    """`steps` prices from open to close, touching high and low, never beyond them, on whole cents in between."""
    if steps < STEPS_MIN:
        raise ValueError(f"steps must be at least {STEPS_MIN}, one for each price of the day: {steps}")
    random = Random(f"{seed}|{day.symbol}|{day.date}")
    prices = [0] * steps
    anchors = _anchors(day, random, steps)
    for place, price in anchors:
        prices[place] = price
    for (left, _), (right, _) in pairwise(anchors):
        _fill(prices, left, right, day, random)
    return prices


def _anchors(day: Day, random: Random, steps: int) -> list[tuple[int, int]]:
    first, second = sorted(random.sample(range(1, steps - 1), 2))
    # A day that closed above its open more often saw its low first.
    low_first = random.randrange(4) < (3 if day.close >= day.open else 1)
    extremes = (day.low, day.high) if low_first else (day.high, day.low)
    return [(0, day.open), (first, extremes[0]), (second, extremes[1]), (steps - 1, day.close)]


def _fill(prices: list[int], left: int, right: int, day: Day, random: Random) -> None:
    """Set every price between two places that have one."""
    gaps = [(left, right)]
    while gaps:
        left, right = gaps.pop()
        middle = (left + right) // 2
        if middle == left:
            continue
        width = isqrt((day.high - day.low) ** 2 * (right - left) // (4 * len(prices)))
        price = (prices[left] + prices[right]) // 2 + random.randint(-width, width)
        prices[middle] = _within(price, day)
        gaps += [(middle, right), (left, middle)]


def _within(price: int, day: Day) -> int:
    """The price thrown back from the day's extremes, as from walls, on a whole cent where one lies between them."""
    if price > day.high:
        price = 2 * day.high - price
    if price < day.low:
        price = 2 * day.low - price
    return min(max((price + CENT // 2) // CENT * CENT, day.low), day.high)
