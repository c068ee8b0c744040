"""The verdict on each coordinate: a quick look at all, a close one at those in doubt."""

from __future__ import annotations

import numpy as np

from numpy_nn.gradcheck.measure.branches import is_beside_a_branch
from numpy_nn.gradcheck.measure.derivatives import SAFETY, UNIT_ROUNDOFF, Array, scale_of
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.evidence import NOISE_OF_FLOAT32, OPERATIONS, Evidence
from numpy_nn.gradcheck.measure.independence import OF_FORMULAS, is_independent
from numpy_nn.gradcheck.measure.iterations import iteration_explains
from numpy_nn.gradcheck.measure.jumps import MEANT, jumps_explain
from numpy_nn.gradcheck.measure.kinds import (
    AGREES,
    COARSE,
    DOUBTFUL,
    ELSEWHERE,
    FLAT,
    INDEPENDENT,
    KINK,
    LOST,
    NEARLY,
    OFF,
    UNRESOLVED,
    Reason,
    Status,
)
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes
from numpy_nn.gradcheck.measure.stairs import lies_on_a_step, steps_may_explain
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import SubjectError

# A coordinate agrees if its bound is below this share of it, or of the root mean square of its array: a gradient that
# is wrong by 1e-6 of itself is then told from a right one. And the share that still tells a blunder.
RESOLUTION, COARSE_RESOLUTION = 4e-7, 1e-2

# The same at another input, for what this one does not show at all.
RESOLUTION_ELSEWHERE = 1e-4

# Coordinates that tell nothing are no worse beside ones that are told, unless all of those are smaller than this share
# of them: then the gradient lies in what is not told.
MOST = 0.1

# So many coordinates in doubt get a close look at a time.
CLOSE = 256

# Outside its bound a gradient is nearly right if it is off by no more than this share of every coordinate: as much as
# rounding to float32, an epsilon that one of the two passes has, or a constant of six digits may do.
NEAR = 1e-5

# The unit roundoffs of float32 and float16.
UNIT_OF_FLOAT32, UNIT_OF_FLOAT16 = 2.0**-24, 2.0**-11

# Where slopes are bound to this share of the former, forward computes with more digits.
TOLD = 1e-3

# Beyond this size neighbouring numbers lie 2^-20 and more apart, and steps of some hundred of them 2^-12.
GRAINY = 2.0**32

# What coordinates are found to be at another point: right; 0 on a constant function; nothing next to what is claimed
# here; none of these; or that the target does not take such a point.
_RIGHT, _CONSTANT, _NEGLIGIBLE, _UNLIKE, _REFUSED = "right", "constant", "negligible", "unlike", "refused"


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
        _settle_likewise(evidence, slopes, status, look)
        wrong = look & (status == OFF)
        if wrong.any() and np.isfinite(gradient).all() and _right_nearby(evidence, wrong):
            status[wrong] = UNRESOLVED
            evidence.reason = Reason.INNER_KINK
        elif wrong.any() and (reason := _by_steps(evidence, slopes, wrong)) is not Reason.NONE:
            status[wrong] = UNRESOLVED
            evidence.reason = reason
        elif wrong.any():
            # One wrong coordinate is enough. If all that were looked at are, the others in doubt may count as wrong.
            status[status == DOUBTFUL] = OFF if wrong.sum() == look.sum() else ""
    if evidence.at_point_given:
        _tell_elsewhere(evidence, status)
    return slopes, status


def _by_steps(evidence: Evidence, slopes: Slopes, wrong: Mask) -> Reason:
    """Why coordinates that seem wrong may be right, if jumps or steps in the output alone speak against them."""
    if evidence.gradient is None or not np.isfinite(evidence.gradient).all() or evidence.hangs_on_previous():
        return Reason.NONE  # a gradient that is that of the call before is right along a line, a little late
    if jumps_explain(evidence, slopes, wrong):
        reason = Reason.JUMPS
    elif _may_be_coarse(evidence, slopes, wrong):
        reason = Reason.STEPS
    elif iteration_explains(evidence, slopes, wrong, sizes(slopes)):
        return Reason.ITERATION
    else:
        return Reason.NONE
    if is_beside_a_branch(evidence, slopes, wrong):
        return Reason.NONE
    return reason if steps_may_explain(evidence, slopes, wrong) else Reason.NONE


def _may_be_coarse(evidence: Evidence, slopes: Slopes, wrong: Mask) -> bool:
    """Whether the output may move in steps, seen or not; one that is flat between jumps that are seen is meant so."""
    if evidence.differences.seen_coarseness or lies_on_a_step(evidence, slopes, wrong):
        return True
    few_digits = bool(np.all((slopes.bound > RESOLUTION * sizes(slopes))[wrong]))
    # Zeros alone are numbers of every type.
    narrow = evidence.in_float32 and bool(np.any(evidence.gradient))
    return (few_digits or narrow) and bool(np.any(slopes.value[wrong]))


def _settle_likewise(evidence: Evidence, slopes: Slopes, status: Status, look: Mask) -> None:
    """Spare coordinates in doubt the close look, where that at others has shown what is the matter with all.

    A gradient of float32 is off everywhere, and by so little that the quick look tells it; where the output moves in
    steps, a few wide differences tell as much as many.
    """
    doubtful = status == DOUBTFUL
    if not doubtful.any():
        return
    found = status[look]
    if np.isin(found, (NEARLY, LOST)).any():
        alike = doubtful & _told(slopes, RESOLUTION)
        alike &= np.isin(_judge(evidence, slopes), (NEARLY, LOST))
        status[alike] = _judge(evidence, slopes)[alike]
    if (found == COARSE).any() and evidence.differences.coarseness:
        slopes.replace(doubtful, evidence.differences.rough(evidence.grad_output, doubtful))
        judged = _judge(evidence, slopes)
        alike = doubtful & np.isin(judged, (AGREES, COARSE))
        status[alike] = judged[alike]


def _judge(evidence: Evidence, slopes: Slopes) -> Status:
    """The status of every coordinate after a close look."""
    gradient = evidence.gradient
    assert gradient is not None
    status = np.full(gradient.shape, UNRESOLVED)
    evidence.reason = Reason.ROUNDING
    with np.errstate(invalid="ignore"):
        within = np.abs(gradient - slopes.value) <= slopes.bound
        status[~within & np.isfinite(slopes.bound)] = OFF
        between = (slopes.low - slopes.side_bound <= gradient) & (gradient <= slopes.high + slopes.side_bound)
        status[slopes.kink & between & np.isfinite(slopes.side_bound)] = KINK
        nothing = (np.abs(gradient) <= slopes.bound) & (np.abs(slopes.value) <= slopes.bound)
        status[nothing & (slopes.bound <= RESOLUTION * evidence.natural_slope)] = FLAT
    off = status == OFF
    if off.any() and np.isfinite(gradient).all():
        with np.errstate(invalid="ignore"):
            # Where forward computes in float32, backward may, too, and far away lose all digits by it.
            coarseness = evidence.differences.coarseness
            may_lose = not evidence.at_point_given and coarseness < NOISE_OF_FLOAT32[1]
            error, size = off_by(gradient, slopes)
            # What forward copies of an input of float32, as a ReLU does, is no sign of it if slopes have more digits.
            is_told = bool(np.all((slopes.bound < TOLD * UNIT_OF_FLOAT32 * size)[off]))
            of_float32 = UNIT_OF_FLOAT32 if _is_of_float32(evidence) and not is_told else 0.0
            unit = max(UNIT_ROUNDOFF, coarseness if may_lose else 0.0, of_float32)
            of_formula = OPERATIONS * unit * evidence.working_size
            lost = error <= slopes.bound + SAFETY * np.maximum(SAFETY * evidence.gradient_noise, of_formula)
            near = error <= NEAR * size
            if 2 * (off & near).sum() >= off.sum():
                # What is as little elsewhere is no more where the terms of a coordinate cancel.
                near |= error <= np.minimum(NEAR * sizes(slopes), SAFETY * error[off & near].max(initial=0.0))
            if evidence.in_float32:
                lost &= ~(near & (error > slopes.bound + SAFETY * of_formula))
        status[off & near] = NEARLY
        if _is_saturated(evidence, slopes):
            status[off] = UNRESOLVED
            evidence.reason = Reason.FLAT
        status[off & lost] = LOST
        # Next to such a number the finest step is wider than a bend of the function may be.
        too_large = (status == OFF) & (np.abs(evidence.array) > GRAINY)
        status[too_large] = UNRESOLVED
        evidence.reason = Reason.INNER_KINK if too_large.any() else evidence.reason
        if (status == OFF).any() and evidence.differences.coarseness > MEANT:
            meant = (status == OFF) & (gradient == 0.0)
            status[meant] = UNRESOLVED
            evidence.reason = Reason.STAIRS if meant.any() else evidence.reason
    status[_agrees(gradient, slopes, COARSE_RESOLUTION)] = COARSE
    status[_agrees(gradient, slopes, RESOLUTION)] = AGREES
    status[~np.isfinite(gradient)] = OFF
    return status


def _is_saturated(evidence: Evidence, slopes: Slopes) -> bool:
    """Whether the output, computed in float32 or float16, does not move, and if exact would by rounding's share.

    Of numbers of size 1 at least: the logarithm of a probability that is rounded to 1 is 0.
    """
    gradient = evidence.gradient
    assert gradient is not None
    known = slopes.value[np.isfinite(slopes.value)]
    if np.any(known) or not _is_of_float32(evidence):
        return False
    unit = UNIT_OF_FLOAT16 if _is_of_float16(evidence) else UNIT_OF_FLOAT32
    return float(np.abs(gradient).max()) <= OPERATIONS * unit * max(evidence.working_size, 1.0)


def _is_of_float32(evidence: Evidence) -> bool:
    """Whether both passes compute in float32, as far as their numbers tell."""
    with np.errstate(over="ignore"):
        return evidence.in_float32 and equal(evidence.output, evidence.output.astype(np.float32))


def _is_of_float16(evidence: Evidence) -> bool:
    """Whether both passes give numbers of float16."""
    assert evidence.gradient is not None
    with np.errstate(over="ignore"):
        return all(equal(array, array.astype(np.float16)) for array in (evidence.gradient, evidence.output))


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
    with np.errstate(invalid="ignore"):
        close = np.abs(gradient - slopes.value) <= slopes.bound
    return np.asarray((close & _told(slopes, resolution)) | (slopes.flat & (gradient == 0.0)))


def off_by(gradient: Array, slopes: Slopes) -> tuple[Array, Array]:
    """By how much the claimed gradient is off, and the size that this is a share of.

    Next to a kink what counts is how far it lies outside the one-sided derivatives.
    """
    with np.errstate(invalid="ignore"):
        error, size = np.abs(gradient - slopes.value), np.abs(slopes.value)
        outside = np.maximum(np.maximum(slopes.low - gradient, gradient - slopes.high), 0.0)
        beside = slopes.kink & np.isfinite(slopes.side_bound)
        larger = np.maximum(np.abs(slopes.low), np.abs(slopes.high))
    return np.where(beside, outside, error), np.where(beside, larger, size)


def _told(slopes: Slopes, resolution: float) -> Mask:
    """Where the bound is below this share of the coordinate, or of the root mean square of its array."""
    with np.errstate(invalid="ignore"):
        return np.asarray(slopes.bound <= resolution * sizes(slopes))


def sizes(slopes: Slopes) -> Array:
    """What an error is a share of: each slope, at least the root mean square of all."""
    known = slopes.value[np.isfinite(slopes.value)]
    typical = float(np.sqrt(np.mean(np.square(known)))) if known.size else 0.0
    return np.asarray(np.maximum(np.abs(slopes.value), typical))


def _right_nearby(evidence: Evidence, look: Mask) -> bool:
    """Whether the same coordinates are right at two random points close by: then a kink of this point is to blame."""

    def nearby(array: Array) -> Array:
        return array + 2.0**-7 * scale_of(array) * evidence.rng.uniform(-1.0, 1.0, array.shape)

    one = np.zeros(look.shape, np.bool_)
    one.flat[np.flatnonzero(look)[0]] = True
    # One that is wrong there too, as nearly always, settles it without the others.
    for mask in (one, look, look):
        moved = {name: nearby(array) for name, array in evidence.subject.arrays.items()}
        if _look_at(evidence, moved, mask) in (_UNLIKE, _REFUSED):
            return False
    return True


def _tell_elsewhere(evidence: Evidence, status: Status) -> None:
    """Judge by other inputs what this one cannot show: a gradient that is all but 0, or hidden by rounding.

    What is in doubt here must be right at a multiple of the input, or at a random one; where none of these shows it, at
    a tiny or a huge one. A function that is constant at all of them has the gradient 0.
    """
    gradient = evidence.gradient
    assert gradient is not None
    hidden = (status == UNRESOLVED) & (evidence.reason is Reason.ROUNDING)
    told, untold = np.isin(status, (AGREES, KINK, COARSE, OFF)), np.isin(status, (FLAT, LOST))
    most, rest = np.abs(gradient[told]).max(initial=0.0), np.abs(gradient[untold]).max(initial=0.0)
    speaks = told.any() and most >= MOST * rest
    if not speaks:
        hidden |= untold
    if not hidden.any():
        return
    if not speaks and not np.isin(status, (NEARLY, OFF)).any() and is_independent(evidence):
        status[status != ""] = INDEPENDENT
        return
    found: list[str] = []
    for points in (evidence.multiples, evidence.extremes):
        if _RIGHT not in found:
            found += [_look_at(evidence, {evidence.subject.input: moved}, hidden) for moved in points()]
    found = [kind for kind in found if kind != _REFUSED]
    if _RIGHT in found or (found and all(kind == _CONSTANT for kind in found)):
        status[hidden] = ELSEWHERE
    else:
        evidence.reason = Reason.FLAT if (status[hidden] != UNRESOLVED).any() else Reason.ROUNDING
        status[hidden] = UNRESOLVED


def _look_at(evidence: Evidence, moved: dict[str, Array], look: Mask) -> str:
    """With the subject's arrays moved: are the coordinates in ``look`` right."""
    subject, claimed_here = evidence.subject, evidence.gradient
    assert claimed_here is not None
    with subject.at(moved):
        try:
            gradient = subject.gradients(evidence.grad_output)[evidence.name]
            if gradient is None or gradient.shape != look.shape or not np.isfinite(gradient).all():
                return _UNLIKE
            differences = Differences(subject, evidence.name, evidence.rng)
        except SubjectError:
            return _REFUSED
        if differences.center.shape != evidence.output.shape:
            return _REFUSED
        natural = evidence.slope_of(differences.center)
        slopes = differences.close(evidence.grad_output, look)
        # What agrees to so many digits does so whatever steps the output takes.
        if np.any(gradient[look]) and _agrees(gradient, slopes, RESOLUTION_ELSEWHERE)[look].all():
            return _RIGHT
        if share := evidence.differences.seen_coarseness:
            differences.assume(share, unmeasured=True)
            slopes = differences.close(evidence.grad_output, look)
        flat = np.abs(slopes.value) <= slopes.bound
        flat &= slopes.bound <= RESOLUTION * natural
        if flat[look].all() and np.all(np.abs(gradient[look]) <= OF_FORMULAS * natural):
            return _CONSTANT
        if not np.any(gradient[look]):
            return _UNLIKE
        if differences.coarseness and _agrees(gradient, slopes, COARSE_RESOLUTION)[look].all():
            return _RIGHT
        largest = np.maximum(np.abs(gradient), np.abs(slopes.value) + slopes.bound)
        nothing = largest <= UNIT_ROUNDOFF * np.abs(claimed_here)
        return _NEGLIGIBLE if nothing[look].all() else _UNLIKE
