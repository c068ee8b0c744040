"""Networks whose gradients are those of another loss of the same output: the delta of one, and the value of another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.subjects.calls.usual_costs import has_kinks, usual_costs

# Slopes along so many random directions must keep one proportion; they are taken with such a step and half of it.
DIRECTIONS, STEP = 4, 2.0**-9


def other_losses(e: Evidence) -> Iterator[Found]:
    """Of a loss beside what the network makes of the input, the usual losses of that and of the targets."""
    assert e.gradient is not None
    subject, targets = e.subject, np.asarray(e.subject.compared_with)
    if not subject.is_loss or targets.dtype.kind not in "fiub" or subject.prediction() is None:
        return
    rng, home = np.random.default_rng(5), e.array.copy()
    directions = [np.maximum(np.abs(home), 0.1) * rng.uniform(-1.0, 1.0, home.shape) for _ in range(DIRECTIONS)]
    claimed, right = (np.array([float(np.sum(of * way)) for way in directions]) for of in (e.gradient, e.truth))
    if not np.isfinite(right).all():
        return

    def predicted(way: Array, share: float) -> Array:
        with subject.at({e.name: home + share * way}):
            found = subject.prediction()
        return np.full(1, np.nan) if found is None else found

    sides = [[predicted(way, share) for share in (STEP, -STEP, STEP / 2, -STEP / 2)] for way in directions]
    for formula, cost in usual_costs(()):
        if has_kinks(formula):
            continue  # on one side of it, it is another's
        try:
            slopes = np.array([_slope([float(cost(a, targets)) for a in around]) for around in sides])
        except (ValueError, IndexError):
            continue  # a loss of targets of another kind
        ratio, own = e.common_ratio(claimed, slopes), e.common_ratio(right, slopes)
        if ratio is not None and own is None and np.abs(slopes).min() > 0.0:
            text = f"along {DIRECTIONS} random directions the claimed gradient is {ratio:.7g} times that of {formula}"
            yield Found("other_loss", f"{text}, with a for the output, and the numerical one no multiple of it")
            return


def _slope(around: list[float]) -> float:
    """From values at a step and at half of it, on both sides."""
    wide, narrow = (around[0] - around[1]) / (2.0 * STEP), (around[2] - around[3]) / STEP
    return (4.0 * narrow - wide) / 3.0
