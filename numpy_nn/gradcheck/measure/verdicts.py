"""The verdict on each coordinate: a quick look at all, a close one at those in doubt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.measure.derivatives import SAFETY, UNIT_ROUNDOFF, Array, scale_of
from numpy_nn.gradcheck.measure.differences import Differences, Mask, Slopes
from numpy_nn.gradcheck.measure.evidence import Evidence

Status = NDArray[np.str_]

# What is found of a coordinate; "" stands for one that was not checked.
AGREES = "r"  # the claimed gradient is within the bound, and the bound is small
KINK = "k"  # the one-sided derivatives differ, and the claimed one lies between them
FLAT = "f"  # the output does not move beyond its rounding, and the claimed gradient would not move it either
COARSE = "c"  # within the bound, but the bound leaves only two digits
ELSEWHERE = "e"  # within the bound, which is too large to mean much, but right at a multiple of the input
LOST = "l"  # outside the bound, but by no more than rounding errors of the terms that such a formula adds up
OFF = "w"  # outside the bound
UNRESOLVED = "u"  # within a bound that is too large to mean much, or it cannot be said
DOUBTFUL = "d"  # on the way: to be looked at closely

# A coordinate agrees if its bound is below this share of it, or of the root mean square of its array: a gradient that
# is wrong by 1e-6 of itself is then told from a right one. And the share that still tells a blunder.
RESOLUTION, COARSE_RESOLUTION = 4e-7, 1e-2

# So many coordinates in doubt get a close look at a time.
CLOSE = 256

_ROUNDING = "the numerical derivative cannot be resolved: rounding hides it"
# What coordinates are found to be at another point: right; 0 on a constant function; nothing next to what is claimed
# here; or none of these.
_RIGHT, _CONSTANT, _NEGLIGIBLE, _UNLIKE = "right", "constant", "negligible", "unlike"
_FLAT = "the output does not move at all here, so that any small gradient would pass; check at a smaller input"
_INNER_KINK = "a kink, or a bend too sharp for numbers of this size; a little beside this point the gradient is right"


def examine(evidence: Evidence, mask: Mask) -> tuple[Slopes, Status]:
    """Numerical slopes, and the status of each coordinate in ``mask``."""
    differences, gradient, rng = evidence.differences, evidence.gradient, evidence.rng
    assert gradient is not None
    slopes = differences.quick(evidence.grad_output, mask)
    status = np.where(mask, DOUBTFUL, "")
    status[mask & _agrees(gradient, slopes, RESOLUTION)] = AGREES
    while (status == DOUBTFUL).any():
        doubtful = np.argwhere(status == DOUBTFUL)
        if len(doubtful) > CLOSE:
            doubtful = doubtful[rng.choice(len(doubtful), CLOSE, replace=False)]
        look = np.zeros(mask.shape, np.bool_)
        look[tuple(doubtful.T)] = True
        near = differences.close(evidence.grad_output, look)
        slopes.replace(look, near)
        status[look] = _judge(evidence, slopes)[look]
        _confirm(evidence, status)
        wrong = look & (status == OFF)
        if wrong.any() and np.isfinite(gradient).all() and _right_nearby(evidence, wrong):
            status[wrong] = UNRESOLVED
            evidence.reason = _INNER_KINK
        elif wrong.any():
            # One wrong coordinate is enough. If all that were looked at are, the others in doubt may count as wrong.
            status[status == DOUBTFUL] = OFF if wrong.sum() == look.sum() else ""
    _tell_elsewhere(evidence, status)
    return slopes, status


def _judge(evidence: Evidence, slopes: Slopes) -> Status:
    """The status of every coordinate after a close look."""
    gradient = evidence.gradient
    assert gradient is not None
    status = np.full(gradient.shape, UNRESOLVED)
    evidence.reason = _ROUNDING
    with np.errstate(invalid="ignore"):
        within = np.abs(gradient - slopes.value) <= slopes.bound
        status[~within & np.isfinite(slopes.bound)] = OFF
        between = (slopes.low - slopes.side_bound <= gradient) & (gradient <= slopes.high + slopes.side_bound)
        status[slopes.kink & between & np.isfinite(slopes.side_bound)] = KINK
        nothing = (np.abs(gradient) <= slopes.bound) & (np.abs(slopes.value) <= slopes.bound)
        status[nothing & (slopes.bound <= RESOLUTION * evidence.natural_slope)] = FLAT
    if (status == OFF).any() and np.isfinite(gradient).all():
        with np.errstate(invalid="ignore"):
            rounding = np.maximum(SAFETY * evidence.gradient_noise, 32 * UNIT_ROUNDOFF * evidence.working_size)
            lost = np.abs(gradient - slopes.value) <= slopes.bound + SAFETY * rounding
        status[(status == OFF) & lost] = LOST
    status[_agrees(gradient, slopes, COARSE_RESOLUTION)] = COARSE
    status[_agrees(gradient, slopes, RESOLUTION)] = AGREES
    status[~np.isfinite(gradient)] = OFF
    return status


def _confirm(evidence: Evidence, status: Status) -> None:
    """Let the complex step, where it can be had, vouch for coordinates that differences cannot resolve.

    It is trusted only where it agrees with the claimed gradient: the imaginary part is lost in a function that is not
    analytic, such as abs.
    """
    weak = np.isin(status, (UNRESOLVED, COARSE, FLAT))
    if not evidence.is_input or not weak.any() or evidence.gradient is None:
        return
    exact = evidence.differences.complex_step(evidence.grad_output, weak)
    if exact is not None:
        with np.errstate(invalid="ignore"):
            status[weak & (np.abs(evidence.gradient - exact) <= RESOLUTION * np.abs(exact))] = AGREES


def _agrees(gradient: Array, slopes: Slopes, resolution: float) -> Mask:
    """Where the claimed gradient is within a bound that is small enough to tell, or both are exactly 0."""
    known = slopes.value[np.isfinite(slopes.value)]
    typical = float(np.sqrt(np.mean(np.square(known)))) if known.size else 0.0
    with np.errstate(invalid="ignore"):
        close = np.abs(gradient - slopes.value) <= slopes.bound
        told = slopes.bound <= resolution * np.maximum(np.abs(slopes.value), typical)
    return np.asarray((close & told) | (slopes.flat & (gradient == 0.0)))


def _right_nearby(evidence: Evidence, look: Mask) -> bool:
    """Whether the same coordinates are right at two random points close by: then a kink of this point is to blame."""

    def nearby(array: Array) -> Array:
        return array + 2.0**-7 * scale_of(array) * evidence.rng.uniform(-1.0, 1.0, array.shape)

    for _ in range(2):
        moved = {name: nearby(array) for name, array in evidence.subject.arrays.items()}
        if _look_at(evidence, moved, look) == _UNLIKE:
            return False
    return True


def _tell_elsewhere(evidence: Evidence, status: Status) -> None:
    """Judge by other inputs what this one cannot show: a gradient that is all but 0, or hidden by rounding.

    What is in doubt here must be right at a multiple of the input, or at a random one. A function that is constant at
    all of them has the gradient 0.
    """
    hidden = (status == UNRESOLVED) & (evidence.reason == _ROUNDING)
    if not np.isin(status, (AGREES, KINK, COARSE, OFF)).any():
        hidden |= np.isin(status, (FLAT, LOST))
    if not hidden.any():
        return
    found = [_look_at(evidence, {evidence.subject.input: moved}, hidden) for moved in evidence.multiples()]
    if _RIGHT in found or all(kind == _CONSTANT for kind in found):
        status[hidden] = ELSEWHERE
    else:
        evidence.reason = _FLAT if (status[hidden] != UNRESOLVED).any() else _ROUNDING
        status[hidden] = UNRESOLVED


def _look_at(evidence: Evidence, moved: dict[str, Array], look: Mask) -> str:
    """With the subject's arrays moved: are the coordinates in ``look`` right."""
    subject, claimed_here = evidence.subject, evidence.gradient
    assert claimed_here is not None
    homes = {name: subject.arrays[name].copy() for name in moved}
    try:
        for name, values in moved.items():
            subject.arrays[name][...] = values
        gradient = subject.gradients(evidence.grad_output)[evidence.name]
        if gradient is None or gradient.shape != look.shape or not np.isfinite(gradient).all():
            return _UNLIKE
        slopes = Differences(subject, evidence.name, evidence.rng).close(evidence.grad_output, look)
        if not np.any(gradient[look]):
            flat = np.abs(slopes.value) <= slopes.bound
            flat &= slopes.bound <= RESOLUTION * evidence.slope_of(subject.output())
            return _CONSTANT if flat[look].all() else _UNLIKE
        if _agrees(gradient, slopes, RESOLUTION)[look].all():
            return _RIGHT
        largest = np.maximum(np.abs(gradient), np.abs(slopes.value) + slopes.bound)
        nothing = largest <= UNIT_ROUNDOFF * np.abs(claimed_here)
        return _NEGLIGIBLE if nothing[look].all() else _UNLIKE
    finally:
        for name, values in homes.items():
            subject.arrays[name][...] = values
