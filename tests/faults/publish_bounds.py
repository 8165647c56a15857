"""k failures in n trials -> what they say of the rate: exact one-sided 95 % bounds after Clopper and Pearson.

A bound is of the trials as they were drawn: on the mixture of instants and victims that ran, on this code, on such a
machine. Nothing is assumed but that trials are alike and independent; of a fault of another kind it says nothing.
"""

import math

CONFIDENCE = 0.95
STEPS = 60
"""Halvings of [0, 1]: beyond the precision of a float."""
DIGITS = 2
"""Of a printed percentage; an upper bound is rounded up and a lower one down, so that neither says too much."""


def upper(failures: int, trials: int) -> float:
    """The largest rate at which so few failures still come once in twenty runs; about 3/n for none in n."""
    assert 0 <= failures <= trials, f"{failures} failures in {trials} trials"
    if failures == trials:
        return 1.0
    if failures == 0:
        return -math.expm1(math.log(1 - CONFIDENCE) / trials)
    low, high = failures / trials, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if at_most(failures, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def lower(failures: int, trials: int) -> float:
    """The smallest rate at which so many failures still come once in twenty runs."""
    return 1 - upper(trials - failures, trials)


def at_most(failures: int, trials: int, rate: float) -> float:
    """How likely it is that no more than so many of the trials fail: the tail of the binomial distribution."""
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    log_ways = [
        math.lgamma(trials + 1) - math.lgamma(each + 1) - math.lgamma(trials - each + 1) for each in range(failures + 1)
    ]
    return math.fsum(
        math.exp(ways + each * log_rate + (trials - each) * log_rest) for each, ways in enumerate(log_ways)
    )


def percent(rate: float, *, is_upper: bool = True) -> str:
    """Two digits that count: `0.30 %`, `26 %`, `100 %`."""
    if rate <= 0:
        return "0 %"
    place = DIGITS - 1 - math.floor(math.log10(100 * rate))
    # What is exact to a billionth stays as it is: 5 % is not rounded to 5.1 %.
    scaled = round(100 * rate * 10**place, 6)
    digits = math.ceil(scaled) if is_upper else math.floor(scaled)
    return f"{digits / 10**place:.{max(place, 0)}f} %"
