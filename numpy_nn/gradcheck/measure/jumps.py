"""Jumps in the output close to a point, as where ``1 - p`` has a digit or two left next to p = 1.

A logarithm of such a number is a staircase with steps as high as 0.7. Between two of its jumps its derivative is 0, and
across some of them that of the formula which it computes: there a difference quotient within a step says nothing. But
what the output changes by along a line is the integral of its gradient, and a jump puts it off by its height at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import UNIT_ROUNDOFF, Array
from numpy_nn.gradcheck.measure.differences import FINEST_ROUGH
from numpy_nn.gradcheck.measure.evidence import NOISE_OF_FLOAT32, Evidence
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes
from numpy_nn.subjects.subject import SubjectError

# So many random lines are followed to both sides, over the array's size or, where the output is not finite there, over
# a part of it, in so many steps.
LINES, REACHES, STEPS = 4, (1.0, 0.5, 0.25, 0.125), 16

# The longest lines are so many times the array's size, or 1.
LONGER = 4.0

# The claimed gradient explains a change if its integral is off by no more than this share of what the slopes here would
# be off by: as a median over the sides, of which there must be two at least.
SHARE, FEWEST = 0.25, 2

# The output has left the line of its slope where the chord is off by this share of the error.
LEAVES = 0.25

# After so many halvings of an interval nothing but a jump is left of a change that is so many times that of the slopes.
HALVINGS, STEEP = 30, 64.0

# What is off by no more than so many times its bound may be so by steps in the output, which then are a larger share.
ROOM, IN_STEPS = 32.0, 0.5

# Steps in the output larger than this share of it are no rounding, not even to float16, but meant: as in np.round(x).
MEANT = 2.0**-10

# A jump counts from so many units in the last place of what is added up.
UNITS = 64.0


class Sample(NamedTuple):
    """How far along a direction a point is, and the output there, weighted with grad_output, and its claimed slope."""

    t: float
    value: float
    slope: float


class Side(NamedTuple):
    """Points along a direction, the first of them that where the subject is."""

    direction: Array
    samples: list[Sample]

    def error(self, claimed: float, slope: float) -> float:
        """What a claimed slope that is wrong by the same factor everywhere would be off by on average along it.

        Where the claimed slope grows along the side, that counts only if at the point itself there is none.
        """
        mean = float(np.mean([abs(sample.slope) for sample in self.samples]))
        factor = mean / abs(claimed) if claimed else 1.0
        return abs(claimed - slope) * (factor if slope == 0.0 else min(1.0, factor))

    @property
    def unexplained(self) -> float:
        """What is left of the change along it, by its length, when the integral of the claimed slope is taken off.

        By Simpson's rule, of an even number of steps.
        """
        _, values, slopes = np.array(self.samples).T
        mean = (slopes[0] + slopes[-1] + 4.0 * slopes[1:-1:2].sum() + 2.0 * slopes[2:-1:2].sum()) / (3.0 * STEPS)
        return float((values[-1] - values[0]) / self.samples[-1].t - mean)


def jumps_explain(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether the output jumps near by, and across its jumps moves as the claimed gradient has it, not as the slopes.

    It is followed along random lines in the coordinates in ``wrong``: lines of the array's size, and where these show
    jumps, or nothing, longer ones.
    """
    assert evidence.gradient is not None
    wide = evidence.differences.scales["wide"]
    larger = np.maximum(wide, 1.0)
    steps = evidence.differences.seen_coarseness > 0.0 or not np.any(slopes.value[wrong])
    for scale in (wide, larger, LONGER * larger):
        explained, jumps = _explained_along(evidence, slopes, wrong, scale)
        if explained:
            return True
        if not (jumps or steps):
            return False
    return evidence.differences.seen_coarseness > 0.0 and _is_within_jumps(evidence, slopes, wrong, larger)


def _is_within_jumps(evidence: Evidence, slopes: Slopes, wrong: Mask, scale: Array) -> bool:
    """Whether on half of the sides, of an output that moves in steps, there are jumps by many times their height.

    And no more is left of the change along these than a jump may leave: the last of the jumps of log(1 - p + eps), next
    to which it is flat, are as large as all else.
    """
    assert evidence.gradient is not None
    high = ROOM * evidence.differences.seen_coarseness * float(np.abs(evidence.grad_output * evidence.output).sum())
    sides = found = 0
    for side in _sides(evidence, wrong, scale):
        claimed, slope = (float(np.sum((part * side.direction)[wrong])) for part in (evidence.gradient, slopes.value))
        jump = _jump(evidence, side, slope, abs(claimed - slope))
        sides += 1
        found += jump > high and abs(side.unexplained * side.samples[-1].t) <= jump
    return 2 * found >= sides > 0


def jumps_more_than_rounding(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether near by the output, which moves in steps, jumps by many times their height.

    So does log(1 - p + eps) of float32 before 1 - p is 0: one of its jumps may be all that a line crosses.
    """
    assert evidence.gradient is not None
    size = float(np.abs(evidence.grad_output * evidence.output).sum())
    coarseness = evidence.differences.seen_coarseness
    if not coarseness and not np.any(slopes.value[wrong]) and evidence.in_float32:
        coarseness = NOISE_OF_FLOAT32[1]  # where it is flat no steps are seen
    if not coarseness:
        return False
    high = ROOM * coarseness * size
    larger = np.maximum(evidence.differences.scales["wide"], 1.0)
    for scale in (larger, LONGER * larger):
        for side in _sides(evidence, wrong, scale):
            claimed, slope = (np.sum((part * side.direction)[wrong]) for part in (evidence.gradient, slopes.value))
            if _jump(evidence, side, float(slope), float(abs(claimed - slope))) > high:
                return True
    return False


def _explained_along(evidence: Evidence, slopes: Slopes, wrong: Mask, scale: Array) -> tuple[bool, int]:
    """The same along lines of this size; and on how many sides of them the output was seen to jump."""
    assert evidence.gradient is not None
    size = float(np.abs(evidence.grad_output * evidence.output).sum())
    # A function that is flat wherever it does not jump is meant to be so, unless its jumps are as small as rounding is.
    flat = evidence.at_point_given and not np.any(slopes.value[np.isfinite(slopes.value)])
    if flat and evidence.output.size > 1:
        return False, 0  # the jumps of many entries are small beside the sum of all
    finest = FINEST_ROUGH * evidence.differences.seen_coarseness
    # How high steps are is an estimate, which now and then is too low by far, or misses them.
    in_steps = bool(np.all((np.abs(evidence.gradient - slopes.value) <= ROOM * slopes.bound)[wrong]))
    share = IN_STEPS if in_steps else SHARE
    left, errors, jumps = [], [], 0
    for side in _sides(evidence, wrong, scale):
        claimed, slope = (float(np.sum((part * side.direction)[wrong])) for part in (evidence.gradient, slopes.value))
        error, unexplained = side.error(claimed, slope), abs(side.unexplained)
        if abs(side.samples[-1].t) < REACHES[0] and unexplained > share * error:
            continue  # where the domain ends soon, it may end between two jumps
        left.append(unexplained)
        errors.append(error)
        if len(left) >= LINES and np.median(left) > share * np.median(errors):
            return False, jumps
        height = max(UNITS * UNIT_ROUNDOFF * size, finest * error)
        jump = in_steps or _jump(evidence, side, slope, abs(claimed - slope)) > height
        jumps += jump and not (flat and _nearest(evidence, side) > MEANT * size)
        if len(left) - jumps > LINES:
            return False, jumps
    explained = len(left) >= FEWEST and bool(np.median(left) <= share * np.median(errors)) and 2 * jumps >= len(left)
    return explained, jumps


def _sides(evidence: Evidence, wrong: Mask, scale: Array) -> Iterator[Side]:
    """Sides of random lines, each as far as the output is finite on it."""
    for _ in range(LINES):
        along = scale * evidence.rng.uniform(-1.0, 1.0, wrong.shape)
        direction = np.where(wrong, along, 0.0)
        for sign in (1.0, -1.0):
            for reach in REACHES:
                points = (at(evidence, direction, t) for t in _points(0.0, sign * reach))
                samples = list(takewhile(_is_finite, points))
                if len(samples) == STEPS + 1:
                    yield Side(direction, samples)
                    break


def _is_finite(sample: Sample) -> bool:
    return bool(np.isfinite(sample).all())


def at(evidence: Evidence, direction: Array, t: float) -> Sample:
    """The point so far along a direction; NaN where the target gives no output or gradient."""
    subject, name, home = evidence.subject, evidence.name, evidence.differences.home
    with subject.at({name: home + t * direction}), np.errstate(all="ignore"):
        try:
            output, claimed = subject.output_and_gradients(evidence.grad_output)
        except SubjectError:
            return Sample(t, np.nan, np.nan)
        gradient = claimed[name]
        if gradient is None or gradient.size != home.size or output.shape != evidence.grad_output.shape:
            return Sample(t, np.nan, np.nan)
        slope = np.sum(gradient.reshape(home.shape) * direction)
        return Sample(t, float(np.sum(evidence.grad_output * output)), float(slope))


def _jump(evidence: Evidence, side: Side, slope: float, error: float) -> float:
    """The height of the largest jump by which the output leaves the line of its slope at the point; 0 without one.

    It does so where the chord from the point begins to be off by a part of the error: what is smooth leaves the line
    little by little.
    """
    value, start = evidence.differences.value_along(side.direction, evidence.grad_output), side.samples[0].value

    def is_off(t: float) -> bool:
        return abs(value(t) - start - slope * t) > LEAVES * error * abs(t)

    distances = [side.samples[-1].t * 2.0**-k for k in range(HALVINGS)]
    off = [is_off(t) for t in distances]
    heights = [0.0]
    for high, low, leaves, follows in zip(distances, distances[1:], off, off[1:], strict=False):
        if not leaves or follows:
            continue
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if is_off(middle) else (middle, high)
        height = abs(value(high) - value(low))
        heights.append(height if height > STEEP * (abs(slope) + error) * abs(high - low) else 0.0)
    if all(off[HALVINGS // 2 :]) and _is_dense(evidence, side, error):
        heights.append(_nearest(evidence, side))
    return max(heights)


def _is_dense(evidence: Evidence, side: Side, error: float) -> bool:
    """Whether no line is followed, as near to the point as may be: jumps are dense, or the output flat.

    Beside a kink it would be another line, and the same at all distances.
    """
    value, start = evidence.differences.value_along(side.direction, evidence.grad_output), side.samples[0].value
    near = [side.samples[-1].t * 2.0**-k for k in range(HALVINGS // 2, HALVINGS)]
    chords = [(value(t) - start) / t for t in near]
    return bool(np.ptp(chords) > LEAVES * error) or not any(chords)


def _nearest(evidence: Evidence, side: Side) -> float:
    """The height of the first jump on a side, of a function that is flat between its jumps; of a few where it is dense.

    What steps as small as rounding make is seen next to the point.
    """
    value, start = evidence.differences.value_along(side.direction, evidence.grad_output), side.samples[0].value
    end = side.samples[1].t
    for _ in range(HALVINGS):
        if value(0.5 * end) == start:
            break
        end *= 0.5
    return abs(value(end) - start)


def _points(start: float, end: float) -> list[float]:
    return np.linspace(start, end, STEPS + 1).tolist()
