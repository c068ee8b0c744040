"""An iteration that ends at a tolerance: a fixed point, a root, an equilibrium, up to its last digits.

Its output is off by about the tolerance, and jumps by as much wherever another number of turns is taken. In between its
derivative is off as well: that of the limit, which an implicit gradient is right about, is no difference quotient of
it. At a jump the claimed gradient stays what it is, and what it is off by changes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.jumps import Sample, at
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes

# What is off by more than this share of its size is no matter of a tolerance.
MOST = 0.1

# So many random lines are followed, over the array's size to both sides, in so many steps; jumps are looked for in
# those of them that are off by most.
LINES, STEPS, LOOKED_AT = 4, 32, 6

# After so many halvings of an interval nothing but a jump is left of a change that is so many times that of the slopes.
HALVINGS, STEEP = 30, 64.0

# Slopes beside a jump are taken over so much, as a share of the line.
STEP = 2.0**-12

# The error changes by this share of itself at least; and how high a jump may be, in errors, or how low.
CHANGES, ROOM = 0.1, 64.0

# The claimed gradient changes at a jump by so many times what it is off by at most.
STAYS = 4.0


def iteration_explains(evidence: Evidence, slopes: Slopes, wrong: Mask, sizes: Array) -> bool:
    """Whether the output jumps near by, by as much as the gradient is off, and is off by something else behind it.

    ``sizes`` are what errors are a share of.
    """
    assert evidence.gradient is not None
    if not is_of_a_tolerance(evidence.gradient, slopes, wrong, sizes):
        return False
    with np.errstate(invalid="ignore"):
        error = evidence.gradient - slopes.value
    for _ in range(LINES):
        direction = evidence.differences.scales["wide"] * evidence.rng.uniform(-1.0, 1.0, wrong.shape)
        if _jumps_along(evidence, direction, abs(float(np.sum((error * direction)[wrong])))):
            return True
    return False


def is_of_a_tolerance(gradient: Array, slopes: Slopes, wrong: Mask, sizes: Array) -> bool:
    """Whether all that is off is so by no more than a tolerance may be the reason of."""
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(gradient - slopes.value) <= MOST * sizes)[wrong]))


def _jumps_along(evidence: Evidence, direction: Array, error: float) -> bool:
    samples = [at(evidence, direction, float(t)) for t in np.linspace(-1.0, 1.0, STEPS + 1)]
    intervals = [(a, b) for a, b in pairwise(samples) if np.isfinite(_left(a, b))]
    for low, high in sorted(intervals, key=lambda ends: _left(*ends))[: -LOOKED_AT - 1 : -1]:
        a, b = low, high
        for _ in range(HALVINGS):
            middle = at(evidence, direction, 0.5 * (a.t + b.t))
            a, b = (a, middle) if _left(a, middle) > _left(middle, b) else (middle, b)
        height = abs(b.value - a.value)
        if height <= STEEP * (error + abs(a.slope)) * (b.t - a.t) or not error / ROOM <= height <= ROOM * error:
            continue
        before, behind = (_error_at(evidence, direction, t) for t in (a.t - 2.0 * STEP, b.t + 2.0 * STEP))
        largest = max(abs(before), abs(behind))
        if abs(b.slope - a.slope) <= STAYS * largest and abs(behind - before) >= CHANGES * largest:
            return True
    return False


def _left(a: Sample, b: Sample) -> float:
    """What is left of the change between two points when that by the claimed slopes is taken off."""
    return abs(b.value - a.value - 0.5 * (a.slope + b.slope) * (b.t - a.t))


def _error_at(evidence: Evidence, direction: Array, t: float) -> float:
    """By how much the claimed slope is off at a point of the line."""
    below, here, above = (at(evidence, direction, t + step) for step in (-STEP, 0.0, STEP))
    return here.slope - (above.value - below.value) / (2.0 * STEP)
