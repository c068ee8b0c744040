"""A gradient that is right at the point given is looked at again at others, where its mistakes may show."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

import numpy as np

from numpy_nn.gradcheck.measure.branches import is_beside_a_branch
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.differences import ShapeError
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.jumps import jumps_more_than_rounding
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, KINK, NEARLY, OFF
from numpy_nn.gradcheck.measure.points import Point, where_moved
from numpy_nn.gradcheck.measure.slopes import Mask
from numpy_nn.gradcheck.measure.verdicts import examine
from numpy_nn.subjects.subject import Subject, SubjectError

# At another point only a blunder counts: an epsilon that hardly shows at the point given may show where numbers are
# smaller.
BLUNDER = 5e-3

# Between two sides of a branch that lie close together only what is off by more than this sets in there.
SUDDEN = 10.0 * BLUNDER

# A difference quotient along a random direction, with such a step, that is the claimed one's up to such a share of its
# size shows no blunder. The shares leave room for what a quotient leaves out, and where it fails, all is looked at.
SCREEN = ((2.0**-11, 2e-5), (2.0**-7, 1e-4))

# The same across steps of the output, by the scale of the array or by 1; and how much of the size these may add.
ACROSS = (("wide", 2.0**-7, 1e-4), ("unit", 2.0**-7, 1e-4), ("unit", 2.0**-5, 1e-3))
ROOM_FOR_STEPS = BLUNDER / 2.5

# A function that is flat between jumps, as one may be meant to be, does not move by so little.
WITHIN_A_STEP = 2.0**-20

# There it is off only beyond so many times its bound: how high the steps are is an estimate, at each point anew.
ROOM_IN_STEPS = 4.0

# What is larger than this is no place to look for mistakes: squares of it overflow.
LARGEST = 1e100

# Where a prediction is the opposite of its target but for this, what keeps a logarithm finite may be all of a loss.
OPPOSITE = 1e-3

# Of an array whose coordinates take more evaluations than this, so many are looked at, drawn by chance.
EVALUATIONS, SAMPLES = 32, 64


class Found(Enum):
    """What a gradient is at another point."""

    RIGHT = auto()
    NOTHING = auto()  # 0 everywhere, claimed and numerical, if only between jumps
    WRONG = auto()
    UNKNOWN = auto()


def look(
    subject: Subject, names: Iterable[str], grad_output: Array, share: float, rng: np.random.Generator
) -> dict[str, tuple[Found, Evidence]]:
    """What these gradients are where the subject is now, by name; those that cannot be had are left out.

    ``share`` is that of the output which steps are that it was seen to move in: one that saturates shows none.
    """
    try:
        output, claimed = subject.output_and_gradients(grad_output)
    except SubjectError:
        return {}  # a point that the target does not take
    if output.shape != grad_output.shape or not _are_usable(output):
        return {}
    found = {}
    x = subject.arrays[subject.input].copy()
    for name in names:
        gradient, array = claimed[name], subject.arrays[name]
        if gradient is None or gradient.size != array.size or not _are_usable(gradient):
            continue
        gradient = gradient.reshape(array.shape)
        evidence = Evidence(subject, name, gradient, grad_output, output, {}, x, grad_output, rng)
        evidence.at_point_given = False
        try:
            found[name] = _look_at(evidence, share), evidence
        except (SubjectError, ShapeError):
            continue
    return found


def is_wrong_by_much(evidence: Evidence) -> bool:
    """Whether a gradient that is wrong at a point is so by many times what a blunder is at least."""
    gradient, slopes = evidence.gradient, evidence.slopes
    if gradient is None or slopes is None:
        return False
    known = np.isfinite(slopes.value)
    typical = float(np.sqrt(max(np.mean(np.square(slopes.value[known])), np.mean(np.square(gradient[known])))))
    return float(np.abs(gradient - slopes.value)[known].max()) > SUDDEN * typical


def blame(
    subject: Subject, name: str, point: Point, grad_output: Array, share: float, rng: np.random.Generator
) -> tuple[str, dict[str, Array]]:
    """Where a gradient that is wrong at a point is wrong, in words, and what to move to be there: one array will do."""
    if point.words:
        return point.words, point.moved
    for key, values in point.moved.items():
        with subject.at_point({key: values}):
            found = look(subject, [name], grad_output, share, rng)
        if name in found and found[name][0] is Found.WRONG:
            return where_moved(subject, key, values), {key: values}
    return ", ".join(where_moved(subject, key, values) for key, values in point.moved.items()), point.moved


def is_beyond_logarithms(subject: Subject) -> bool:
    """Whether a loss asks here for a probability that is all but 0: one whose logarithm code keeps finite by a guard.

    A gradient such as a - y leaves that guard out, which is no mistake at a point that the check makes up.
    """
    try:
        prediction = None if subject.targets is None else subject.prediction()
    except SubjectError:
        return False
    if prediction is None or not prediction.size:
        return False
    targets = np.asarray(subject.targets)
    classes = prediction.shape[1] if prediction.ndim == 2 else 1
    if targets.dtype.kind in "iu" and classes > 1 and targets.shape == prediction.shape[:1]:
        if not 0 <= targets.min() <= targets.max() < classes:
            return False
        targets = np.eye(classes)[targets]
    if targets.size != prediction.size or targets.dtype.kind not in "fiub":
        return False
    targets = targets.reshape(prediction.shape)
    in_unit = all(np.all((array >= 0.0) & (array <= 1.0)) for array in (prediction, targets))
    return in_unit and bool(np.any(np.abs(prediction - targets) > 1.0 - OPPOSITE))


def _look_at(evidence: Evidence, share: float) -> Found:
    gradient, differences, rng = evidence.gradient, evidence.differences, evidence.rng
    assert gradient is not None
    direction = differences.scales["wide"] * rng.uniform(-1.0, 1.0, gradient.shape)
    terms = gradient * direction
    slope, size = float(terms.sum()), float(np.sqrt(np.square(terms).sum()))
    quotients = [differences.quotient_along(direction, evidence.grad_output, step) for step, _ in SCREEN]
    if size == 0.0 and not (
        any(quotients) and differences.quotient_along(direction, evidence.grad_output, WITHIN_A_STEP)
    ):
        return Found.NOTHING
    if size > 0.0 and any(abs(slope - q) <= room * size for q, (_, room) in zip(quotients, SCREEN, strict=True)):
        return Found.RIGHT
    if share and _right_across_steps(evidence, direction, share):
        return Found.RIGHT
    if share:
        differences.assume(share)
    mask = _sample(evidence)
    slopes, status = examine(evidence, mask)
    with np.errstate(invalid="ignore"):
        known = slopes.value[mask & np.isfinite(slopes.value)]
        typical = np.sqrt(max(np.square(known).sum() / max(known.size, 1), np.mean(np.square(gradient[mask]))))
        bound = (ROOM_IN_STEPS if share else 1.0) * slopes.bound
        blunder = (status == OFF) & (np.abs(gradient - slopes.value) - bound > BLUNDER * typical)
    if blunder.any():
        if jumps_more_than_rounding(evidence, slopes, blunder) and not is_beside_a_branch(evidence, slopes, blunder):
            return Found.UNKNOWN
        evidence.slopes, evidence.status = slopes, status
        return Found.WRONG
    fine = np.isin(status[mask], (AGREES, COARSE, KINK, NEARLY)).all()
    return Found.RIGHT if fine and np.any(gradient[mask]) else Found.UNKNOWN


def _right_across_steps(evidence: Evidence, direction: Array, share: float) -> bool:
    """The same by wider quotients, with room for what steps of this share of the output may add."""
    gradient, differences = evidence.gradient, evidence.differences
    assert gradient is not None
    height = share * float(np.abs(evidence.grad_output * evidence.output).sum())
    for scale, step, room in ACROSS:
        along = direction * (differences.scales[scale] / differences.scales["wide"])
        terms, of_steps = gradient * along, height / step
        size = float(np.sqrt(np.square(terms).sum()))
        if of_steps <= ROOM_FOR_STEPS * size:
            quotient = differences.quotient_along(along, evidence.grad_output, step)
            if abs(float(terms.sum()) - quotient) <= room * size + of_steps:
                return True
    return False


def _are_usable(numbers: Array) -> bool:
    """Whether their squares are finite, and so they themselves."""
    return bool(np.all(np.abs(numbers) < LARGEST))


def _sample(evidence: Evidence) -> Mask:
    size = evidence.array.size
    mask = np.ones(size, np.bool_)
    if evidence.differences.groups > EVALUATIONS and size > SAMPLES:
        mask[:] = False
        mask[evidence.rng.choice(size, SAMPLES, replace=False)] = True
    return mask.reshape(evidence.array.shape)
