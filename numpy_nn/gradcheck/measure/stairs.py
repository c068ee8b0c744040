"""Whether the steps in which an output moves are all that speaks against a gradient.

How high these steps are is measured at one point, and where a function saturates they grow along the way: those of
log(1 - p) in float32 a hundredfold over the distance of a wide difference. So before a gradient is called wrong, its
integral is taken off what the output changes by along some of the coordinates. Of a right gradient nothing is
left but the steps themselves, which are as high as what is left jumps from one point to the next; of a wrong one there
is a drift at every distance, as far as it stands out from those jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.resolution import FEW_VALUES
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes
from numpy_nn.subjects.subject import SubjectError

# So many coordinates that are off by most, by most of their bound, and drawn by chance are followed to both sides, over
# so many times the array's size or 1, in so many intervals each.
WORST, LENGTHS, INTERVALS = 2, 4.0 ** np.arange(1.0, -6.0, -1.0), 16

# A drift can be told from none where the jumps put it off by no more than this share of it.
TELLING = 1 / 3

# That there is none is known where the integral is in doubt by no more than the jumps, or by this share of the drift.
SURE_ENOUGH = 0.01

# So many lines are followed on which all coordinates move.
LINES = 2

# A drift counts if it is seen so many times.
FEWEST = 2

# An interval is looked at so many times more finely. The largest of 16 jumps may be so many times as high as that of 16
# others.
FINER, OF_OTHERS = 3, 2.0

# How far from a point that may lie on a step the output is looked for to move, in multiples of its coordinate. Where it
# first moves is found by so many halvings; after as many again such a share of the change is left only of a jump. There
# are some ten steps around it at least, else the function is meant to be constant between jumps: as far as this, and so
# many times as far as the jump is.
AWAY, HALVINGS, LEFT = 2.0 ** np.arange(-24.0, 5.0), 10, 0.25
AROUND, FARTHER = 1.5 * np.linspace(-1.0, 1.0, 33), 2.0

# Of points at equal distances the integral over each interval, from the slopes at four of them: exact for cubics.
INNER, FIRST = np.array([-1.0, 13.0, 13.0, -1.0]) / 24.0, np.array([9.0, 19.0, -5.0, 1.0]) / 24.0


class _Line(NamedTuple):
    """The output, weighted with grad_output, and its claimed slope at equal distances along a direction."""

    values: Array
    slopes: Array

    @property
    def is_known(self) -> bool:
        return bool(np.isfinite(self.values).all() and np.isfinite(self.slopes).all())

    @property
    def changes(self) -> Array:
        return np.asarray(np.diff(self.values))

    def left(self, length: float) -> Array:
        """What is left of the changes without the integral of the claimed slope over an interval of this length."""
        return np.asarray(self.changes - length * _integrals(self.slopes))

    def doubt(self, length: float) -> float:
        """How far the integral from the start may be off: what becomes of it with every other slope alone."""
        finer, coarser = _integrals(self.slopes), 2.0 * _integrals(self.slopes[::2])
        return float(length * np.abs(np.cumsum(finer)[1::2] - np.cumsum(coarser)).max())


def _integrals(slopes: Array) -> Array:
    """Over each interval of length 1."""
    windows = np.lib.stride_tricks.sliding_window_view(slopes, 4)
    return np.concatenate(([windows[0] @ FIRST], windows @ INNER, [windows[-1] @ FIRST[::-1]]))


def steps_may_explain(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether it cannot be told of any of some coordinates in ``wrong`` that more than steps speaks against it."""
    assert evidence.gradient is not None
    with np.errstate(all="ignore"):
        error = np.where(wrong, np.abs(evidence.gradient - slopes.value), -1.0)
        excess = np.where(wrong, error / slopes.bound, -1.0)
    some = evidence.rng.permutation(np.flatnonzero(wrong))
    largest = (np.argsort(by, axis=None)[::-1][:WORST] for by in (error, excess))
    chosen = np.concatenate((*largest, some[:WORST]))
    worst = dict.fromkeys(int(index) for index in chosen if wrong.flat[index])
    jumps = _jumps_around(evidence)
    return not any(_drifts(evidence, slopes, index, jumps) for index in worst)


def lies_on_a_step(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether, where the output is flat though it is claimed to move, that is one step of many in a row.

    Along the coordinate that is off by most of those where it is flat, which must be most of them. Next to a kink, as
    that of a ReLU, it moves without a jump. At other points than the one given, where one side may be all flat, one
    jump is enough.
    """
    assert evidence.gradient is not None
    flat = wrong & (slopes.value == 0.0)
    if 2 * flat.sum() <= wrong.sum():
        return False
    direction = np.zeros(evidence.array.shape)
    index = int(np.where(flat, np.abs(evidence.gradient), -1.0).argmax())
    direction.flat[index] = evidence.differences.scales["own"].flat[index]

    def value(t: float) -> float:
        return _at(evidence, direction, t)[0]

    height, away = max(_first_jump(value, 1.0), _first_jump(value, -1.0))
    if not height or not evidence.at_point_given:
        return height > 0.0
    return bool(np.ptp([value(t) for t in max(1.0, FARTHER * away) * AROUND]) > FEW_VALUES * height)


def _first_jump(value: Callable[[float], float], sign: float) -> tuple[float, float]:
    """The height of the jump by which ``value`` leaves what it is at 0, and how far away; 0 if it moves by none."""
    center = value(0.0)
    away = next((t for t in sign * AWAY if value(t) != center), None)
    if away is None:
        return 0.0, 0.0
    near, far, heights = 0.0, float(away), []
    for _ in range(2):
        for _ in range(HALVINGS):
            middle = 0.5 * (near + far)
            near, far = (middle, far) if value(middle) == center else (near, middle)
        heights.append(abs(value(far) - center))
    return heights[1] if heights[1] >= LEFT * heights[0] else 0.0, abs(far)


def _jumps_around(evidence: Evidence) -> float:
    """The height of the largest jump that is met along a few lines on which all coordinates move.

    Along a single coordinate the point may lie on one step as far as is looked.
    """
    size, height = np.maximum(evidence.differences.scales["wide"], 1.0), 0.0
    for _ in range(LINES):
        direction = size * evidence.rng.uniform(-1.0, 1.0, size.shape)
        for end in (*LENGTHS[:2], *-LENGTHS[:2]):
            line = _along(evidence, direction, 0.0, end)
            if line.is_known:
                height = max(height, _height(evidence, direction, line.left(end / INTERVALS), end))
    return height


def _drifts(evidence: Evidence, slopes: Slopes, index: int, noise: float) -> bool:
    """Whether the output leaves the integral of its claimed gradient, to both sides and at all distances that tell.

    A jump that is seen further off may be one of those between which the point lies: its height counts nearer by, too,
    as ``noise`` does, that of jumps elsewhere.
    """
    assert evidence.gradient is not None
    told = 0
    direction = np.zeros(evidence.array.shape)
    direction.flat[index] = size = max(1.0, float(evidence.differences.scales["wide"].flat[index]))
    claimed, slope = size * float(evidence.gradient.flat[index]), size * float(slopes.value.flat[index])
    for length in LENGTHS * evidence.rng.uniform(0.7, 1.0):
        drifts = []
        for end in (float(length), -float(length)):
            line = _along(evidence, direction, 0.0, end)
            if not line.is_known:
                continue
            left = line.left(end / INTERVALS)
            shares = np.abs(line.slopes).mean() / abs(claimed) if claimed else 0.0, 0.0
            if slope:
                shares = shares[0], np.abs(line.changes).mean() * INTERVALS / abs(length * slope)
            expected = abs(claimed - slope) * length * min(1.0, max(shares))
            noise = max(noise, _height(evidence, direction, left, end, noise))
            residual, third = np.concatenate(([0.0], np.cumsum(left))), INTERVALS // 3
            drift = abs(residual[-third:].mean() - residual[:third].mean())
            drifts.append((expected, drift, line.doubt(abs(end) / INTERVALS)))
        for expected, drift, doubt in drifts:
            # The mean of the slopes, of which the drift is expected, is as much in doubt to both sides.
            if noise + doubt <= TELLING * (expected - 2.0 * doubt):
                if drift > noise + doubt:
                    told += 1
                elif doubt <= max(noise, SURE_ENOUGH * expected):
                    return False  # else the claimed slope may jump on the way, and be wrong up to there: that is nearer
    return told >= FEWEST


def _height(evidence: Evidence, direction: Array, left: Array, end: float, enough: float = 0.0) -> float:
    """How high the jumps are that are left of the changes in the intervals up to ``end``, if higher than is ``enough``.

    The largest is looked at more and more finely: of a jump all remains, and of what is merely steep, or bends, little.
    """
    start, length = 0.0, end / INTERVALS
    off = np.abs(left - np.median(left))
    height = float(off.max())
    for _ in range(FINER):
        if height <= enough:
            break
        start, length = start + int(off.argmax()) * length, length / INTERVALS
        finer = _along(evidence, direction, start, start + INTERVALS * length)
        if not finer.is_known:
            break
        left = finer.left(length)
        off = np.abs(left - np.median(left))
        height = min(height, OF_OTHERS * float(off.max()))
    return height


def _along(evidence: Evidence, direction: Array, start: float, end: float) -> _Line:
    """NaN where the target gives no output or gradient."""
    points = [_at(evidence, direction, t) for t in np.linspace(start, end, INTERVALS + 1)]
    return _Line(*np.array(points).T)


def _at(evidence: Evidence, direction: Array, t: float) -> tuple[float, float]:
    """The output so far along a direction, weighted with grad_output, and its claimed slope by t there."""
    subject, name, home = evidence.subject, evidence.name, evidence.differences.home
    with subject.at({name: home + t * direction}), np.errstate(all="ignore"):
        try:
            output, claimed = subject.output_and_gradients(evidence.grad_output)
        except SubjectError:
            return np.nan, np.nan
        gradient = claimed[name]
        if gradient is None or gradient.size != home.size or output.shape != evidence.grad_output.shape:
            return np.nan, np.nan
        return float(np.sum(evidence.grad_output * output)), float(np.sum(gradient.reshape(home.shape) * direction))
