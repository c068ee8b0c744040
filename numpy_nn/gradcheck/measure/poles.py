"""Points beyond a pole that a guard in the code keeps finite, where no input that is meant lies.

Such as the norm of a point outside of the unit ball, of which ``arctanh(clip(norm, -1 + eps, 1 - eps))`` is taken: the
function is flat there, and what is claimed is the slope at the guard, which is no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.subjects.subject import Subject, SubjectError

# With the claimed slope all along the way the output would move by so many times as much as it does.
TOO_STEEP = 100.0

# And somewhere on the way it is no less steep than this share of the claimed one.
AS_STEEP = 0.01

# So often the part of the way on which the output moves most is halved, from so many parts.
HALVINGS, PARTS = 60, 64


def is_beyond_a_pole(subject: Subject, homes: Mapping[str, Array]) -> bool:
    """Whether there is a pole between these values of some arrays and those where the subject is now.

    Between the two the output moves little for the slope that is claimed here, and yet is as steep somewhere.
    """
    here = {name: subject.arrays[name].copy() for name in homes}
    ways = {name: here[name] - home for name, home in homes.items()}

    def output_at(share: float) -> Array:
        with subject.at({name: homes[name] + share * way for name, way in ways.items()}):
            return subject.output()

    try:
        samples = [output_at(share) for share in np.linspace(0.0, 1.0, PARTS + 1)]
        if any(sample.shape != samples[0].shape or not np.isfinite(sample).all() for sample in samples):
            return False
        steps = np.abs(np.diff([sample.ravel() for sample in samples], axis=0))
        entry = int(steps.max(axis=0).argmax())
        only = np.zeros(samples[0].size)
        only[entry] = 1.0
        claimed = subject.gradients(only.reshape(samples[0].shape))
    except SubjectError:
        return False
    found = {name: claimed.get(name) for name in ways}
    usable = [(g, ways[n]) for n, g in found.items() if g is not None and g.size == ways[n].size]
    slopes = [float(np.sum(g.reshape(way.shape) * way)) for g, way in usable]
    if len(slopes) < len(ways):
        return False
    slope = abs(sum(slopes))
    if not np.isfinite(slope) or TOO_STEEP * steps[:, entry].sum() > slope:
        return False
    return _steepest(lambda share: float(output_at(share).flat[entry]), steps[:, entry]) >= AS_STEEP * slope


def _steepest(output_at: Callable[[float], float], steps: Array) -> float:
    """How steep a function of a share of the way is where it moves most: that part is halved again and again."""
    part = int(steps.argmax())
    low, high = part / len(steps), (part + 1) / len(steps)
    at_low, at_high, steepest = output_at(low), output_at(high), 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        at_middle = output_at(middle)
        if abs(at_middle - at_low) > abs(at_high - at_middle):
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
        steepest = max(steepest, abs(at_high - at_low) / (high - low))
    return steepest
