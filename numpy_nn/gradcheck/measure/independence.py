"""Whether the output depends on an array at all: the array is moved, near and far, and the output compared."""

from __future__ import annotations

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import UNIT_ROUNDOFF, Array
from numpy_nn.gradcheck.measure.evidence import OPERATIONS, Evidence
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import SubjectError

# Rounding errors of a formula, as a share of the numbers that it adds up.
OF_FORMULAS = OPERATIONS * UNIT_ROUNDOFF

# A gradient that is no larger than so many times its own noise is nothing but rounding; and so far an array is moved to
# see whether anything depends on it.
NOISES, FAR = 16.0, (1.0, -1.0, 30.0, -30.0, 1000.0, -1000.0)


def is_independent(evidence: Evidence) -> bool:
    """Whether the output stays what it is wherever the array is moved, and the claimed gradient is 0 but for rounding.

    So it is with a bias whose mean is subtracted again. What is flat only near by moves far away.
    """
    gradient = evidence.gradient
    assert gradient is not None
    rounding = max(OF_FORMULAS * evidence.working_size, NOISES * float(evidence.gradient_noise.max(initial=0.0)))
    return bool(np.abs(gradient).max(initial=0.0) <= rounding) and has_no_influence(evidence)


def has_no_influence(evidence: Evidence) -> bool:
    """Whether the output stays what it is wherever the array is moved, whatever is claimed."""
    points = moved_far(evidence)
    if not _stays(evidence, {}, points):
        return False
    size = float(np.abs(evidence.x).max(initial=0.0))
    return evidence.is_input or size <= 1.0 or _stays(evidence, {evidence.subject.input: evidence.x / size}, points)


def is_seen_to_move(evidence: Evidence) -> bool:
    """Whether the output changes, if only in its last bit, anywhere that the array is moved to."""
    return any(
        output is not None and not equal(output, evidence.output)
        for output in (_output_at(evidence, point) for point in moved_far(evidence))
    )


def _output_at(evidence: Evidence, point: Array) -> Array | None:
    """The output with the array moved there; None where the target does not take that."""
    with evidence.subject.at({evidence.name: point}):
        try:
            return evidence.subject.output()
        except SubjectError:
            return None


def moved_far(evidence: Evidence) -> list[Array]:
    """Other values of the array, near and far.

    Far away what saturates stays what it is, whether it depends on the array or not; around 0 it does not.
    """
    differences, rng = evidence.differences, evidence.rng
    shape = differences.home.shape
    scale = np.maximum(differences.scales["wide"], differences.scales["unit"])
    moves = [far * scale * rng.uniform(0.5, 1.0, shape) * rng.choice([-1.0, 1.0], shape) for far in FAR]
    return [*(differences.home + move for move in moves), rng.standard_normal(shape)]


def _stays(evidence: Evidence, moved: dict[str, Array], points: list[Array]) -> bool:
    """Whether the output, with some arrays moved, is the same with the one that is looked at at all of these points."""
    try:
        with evidence.subject.at(moved):
            home = evidence.subject.output()
        for point in points:
            with evidence.subject.at(moved | {evidence.name: point}):
                output = evidence.subject.output()
            if output.shape != home.shape or not evidence.recognises(output, home):
                return False
    except SubjectError:
        return False
    return True
