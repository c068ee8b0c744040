"""How many standard deviations two equal results may be apart: from the number of runs, and of numbers compared.

Of each number there are R runs of mine and R of theirs, moved by rounding alone, so that their sample variances s_m^2
and s_t^2 have R - 1 degrees of freedom. If both compute the same thing, the difference of the two results over
sqrt(s_m^2 + s_t^2) follows Student's distribution with at least R - 1 degrees of freedom (at most twice as many,
where both spread alike). An array of N numbers is called different by chance with a probability of at most ``CHANCE``
if each of its numbers is with CHANCE / N (Bonferroni), which is where the factor comes from.
"""

from __future__ import annotations

import functools
import math

import numpy as np

# That two arrays which are the same are called different by chance.
CHANCE = 1e-9

# The tail's integral is a sum over so many midpoints.
POINTS = 4096


@functools.lru_cache
def safety_factor(runs: int, numbers: int) -> float:
    """The quantile of |t| with ``runs`` - 1 degrees of freedom that is passed with probability CHANCE / ``numbers``."""
    if runs < 2:
        raise ValueError(f"runs: expected at least 2, whose spread can be told, got {runs}")
    wanted, low, high = CHANCE / max(1, numbers), 0.0, 1.0
    while tail(high, runs - 1) > wanted:
        high *= 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if tail(middle, runs - 1) > wanted else (low, middle)
    return high


def tail(t: float, freedom: int) -> float:
    """P(|T| > t) of Student's distribution, with t = sqrt(freedom) cot(a): the integral of sin(a)^(freedom - 1)."""
    end = math.atan2(math.sqrt(freedom), t)
    middles = (np.arange(POINTS) + 0.5) * (end / POINTS)
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return 2.0 * constant * float(np.sum(np.sin(middles) ** (freedom - 1))) * end / POINTS
