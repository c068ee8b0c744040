"""A jump between two branches of a function: in one the claimed gradient is right, in the other its mask is missing.

``where(abs(x) > 0.5, x, 0)`` jumps at 0.5, and along a long line it moves as x does: so a gradient of 1 everywhere is
that across the jumps, as it is across the steps in which log(1 - p) moves where 1 - p has few digits. But there the
slope is the same before and behind a step, and what is claimed is off in both places. Between two branches the claimed
gradient stays what it is, and becomes right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes
from numpy_nn.subjects.subject import SubjectError

# So many coordinates that are off by most are followed, over so many times the array's size or 1.
WORST, LONGEST = 4, 4.0

# Distances at which a jump is looked for; where it is found by so many halvings.
DISTANCES, HALVINGS = LONGEST * 2.0 ** -np.arange(24.0), 40

# The output has left the line of its slope where the chord is off by this share of the error.
LEAVES = 0.25

# How far behind the jump the slope is taken, and over which distances, as shares of how far away the jump is.
BEHIND, STEPS = 2.0**-6, (2.0**-8, 2.0**-10)

# Behind it the claimed gradient has changed by no more than the one share of the error, and is off by no more than the
# other.
STAYS, RIGHT = 0.25, 0.02


def is_beside_a_branch(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether, along a coordinate that is off by most, there is a jump behind which the same gradient is right."""
    assert evidence.gradient is not None
    error = np.where(wrong & np.isfinite(slopes.value), np.abs(evidence.gradient - slopes.value), -1.0)
    worst = [int(index) for index in np.argsort(error, axis=None)[::-1][:WORST] if error.flat[index] > 0.0]
    return any(_turns_right(evidence, slopes, index) for index in worst)


def _turns_right(evidence: Evidence, slopes: Slopes, index: int) -> bool:
    assert evidence.gradient is not None
    direction = np.zeros(evidence.array.shape)
    direction.flat[index] = size = max(1.0, float(evidence.differences.scales["wide"].flat[index]))
    claimed, slope = size * float(evidence.gradient.flat[index]), size * float(slopes.value.flat[index])
    error = abs(claimed - slope)
    value = evidence.differences.value_along(direction, evidence.grad_output)
    for t in _jumps(value, slope, error):
        behind = t * (1.0 + BEHIND)
        there = _claimed_at(evidence, direction, behind)
        if not abs(there - claimed) <= STAYS * error:
            continue
        widths = [abs(t) * step for step in STEPS]
        quotients = [(value(behind + h) - value(behind - h)) / (2.0 * h) for h in widths]
        if all(abs(quotient - there) <= RIGHT * error for quotient in quotients):
            return True
    return False


def _jumps(value: Callable[[float], float], slope: float, error: float) -> Iterator[float]:
    """How far away, to either side, the output first leaves the line of its slope here, if by a jump."""
    start = value(0.0)

    def is_off(t: float) -> bool:
        return abs(value(t) - start - slope * t) > LEAVES * error * abs(t)

    for sign in (1.0, -1.0):
        distances = sign * DISTANCES
        off = [is_off(float(t)) for t in distances]
        inner = next((i for i in range(len(off)) if not any(off[i:])), 0)
        if inner == 0:
            continue
        near, far = float(distances[inner]), float(distances[inner - 1])
        for _ in range(HALVINGS):
            middle = 0.5 * (near + far)
            near, far = (near, middle) if is_off(middle) else (middle, far)
        if abs(value(far) - value(near)) > LEAVES * error * abs(far):
            yield far


def _claimed_at(evidence: Evidence, direction: Array, t: float) -> float:
    """The claimed slope so far along a direction; NaN where the target gives none."""
    home = evidence.differences.home
    with evidence.subject.at({evidence.name: home + t * direction}), np.errstate(all="ignore"):
        try:
            gradient = evidence.subject.gradients(evidence.grad_output)[evidence.name]
        except SubjectError:
            return np.nan
    if gradient is None or gradient.size != home.size:
        return np.nan
    return float(np.sum(gradient.reshape(home.shape) * direction))
