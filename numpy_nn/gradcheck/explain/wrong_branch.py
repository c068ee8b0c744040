"""An elementwise function with several branches, of which one has another derivative than the gradient says."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np

from numpy_nn.gradcheck.explain.causes import WORDS
from numpy_nn.gradcheck.explain.predictions import Found
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.differences import ShapeError
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import OFF
from numpy_nn.gradcheck.measure.verdicts import examine
from numpy_nn.gradcheck.report import Diagnosis
from numpy_nn.subjects.subject import SubjectError

# A branch is a range of numbers, or one on each side of 0.
RANGES = 2

# At the point given, numbers that are wrong for another reason must lie so by no more than such a chance.
CHANCE = 0.01

# Causes that tell more, of what is wrong at another point alone; and those that tell less, of what is wrong here, some
# of them where they fit the wrong coordinates alone.
KEPT = ("epsilon", "clipped", "norm_clipped", "straight_through")
REPLACED = ("unknown", "partly_filled", "derivative_missing+factor")
REPLACED_IN_PART = ("factor", "derivative_missing")


def with_branch(diagnosis: Diagnosis, evidence: Evidence, right_at: Array | None = None) -> Diagnosis:
    """The diagnosis, or that of a branch where it is that.

    ``right_at`` are numbers at which the same gradient is right, where the evidence is from another point.
    """
    elsewhere = right_at is not None
    tells_less = diagnosis.cause in REPLACED or (evidence.partial and diagnosis.cause in REPLACED_IN_PART)
    if (diagnosis.cause in KEPT) if elsewhere else not tells_less:
        return diagnosis
    found = of_a_branch(evidence, right_at if right_at is not None else np.zeros(0))
    if found is None:
        return diagnosis
    if not (elsewhere or found.sure):
        found = _of_numbers_around(evidence) or found
    if not (elsewhere or found.sure):
        others = [*diagnosis.alternatives, "branch"]
        return diagnosis if diagnosis.cause == "unknown" else replace(diagnosis, confident=False, alternatives=others)
    statement, remedy = WORDS["branch"]
    return Diagnosis("branch", statement, found.text, remedy, elsewhere)


def of_a_branch(evidence: Evidence, right_at: Array) -> Found | None:
    """Whether an elementwise gradient is wrong in a range of numbers alone; sure if that is not by chance."""
    x, claimed, status = evidence.differences.home, evidence.gradient, evidence.status
    if claimed is None or status is None or claimed.shape != x.shape or not evidence.differences.elementwise:
        return None
    off = evidence.looked_at & (status == OFF)
    right = np.concatenate([right_at.ravel(), x[evidence.looked_at & ~off]])
    values = np.sort(x[off])
    if not values.size or not right.size:
        return None
    # Between two wrong numbers of one range there is no right one.
    between = [int(np.sum((right >= a) & (right <= b))) for a, b in pairwise(values)]
    ranges = np.split(values, 1 + np.flatnonzero(between))
    if len(ranges) > RANGES or np.isin(values, right).any():
        return None
    text = f"wrong where {evidence.name} is {' and '.join(map(_range, ranges))}"
    outermost = values[0] < right.min() and values[-1] > right.max()
    surrounded = len(ranges) > 1 or (right.min() < values[0] and right.max() > values[-1])
    text += ", right elsewhere" if surrounded else f", right where it is {_range(np.sort(right))}"
    if evidence.output.shape == x.shape and all(own == out for own, out in evidence.differences.aligned):
        worst = np.unravel_index(int(np.argmax(np.where(off, np.abs(claimed - evidence.truth), -1.0))), x.shape)
        g = evidence.grad_output[worst]
        slope = evidence.truth[worst] if abs(evidence.truth[worst]) > evidence.numerical.bound[worst] else 0.0
        slopes = f"{slope / g + 0.0:.4g}, and not {claimed[worst] / g + 0.0:.4g}"
        text += f"; at {x[worst]:.4g} the derivative is {slopes}"
    # What lies outside of all that is right, where the function is flat, is clipped.
    outside = np.all((values < right.min()) | (values > right.max()))
    is_clipped = bool(outside and np.all(np.abs(evidence.truth[off]) <= evidence.numerical.bound[off]))
    is_so = _chance(values.size, right.size) <= CHANCE and (outermost or len(ranges) == 1)
    return Found("branch", text, is_so or is_clipped)


def _of_numbers_around(evidence: Evidence) -> Found | None:
    """The same of as many numbers between the right ones around the wrong, of which few happen to be in a branch."""
    x, off = evidence.differences.home, evidence.looked_at & (evidence.status == OFF)
    right, low, high = np.sort(x[evidence.looked_at & ~off]), x[off].min(), x[off].max()
    below, above = right[right < low], right[right > high]
    if not (below.size and above.size) or below.size + above.size < right.size:
        return None
    around = np.linspace(below[-1], above[0], x.size).reshape(x.shape)
    with evidence.subject.at({evidence.name: around}):
        try:
            there = _evidence_here(evidence)
        except (SubjectError, ShapeError):
            return None
        more = None if there is None else of_a_branch(there, right)
    return more if more is not None and more.sure else None


def _evidence_here(evidence: Evidence) -> Evidence | None:
    """What is found of the same gradient where its subject is now."""
    subject, name, grad_output = evidence.subject, evidence.name, evidence.grad_output
    output, claimed = subject.output_and_gradients(grad_output)
    gradient = claimed[name]
    if gradient is None or gradient.size != evidence.array.size or not np.isfinite(gradient).all():
        return None
    gradient, x = gradient.reshape(evidence.array.shape), evidence.x.copy()
    there = Evidence(subject, name, gradient, grad_output, output, {}, x, grad_output, evidence.rng)
    there.at_point_given = False
    if share := evidence.differences.seen_coarseness:
        there.differences.assume(share)
    there.slopes, there.status = examine(there, np.ones(gradient.shape, np.bool_))
    return there


def _chance(wrong: int, right: int) -> float:
    """How likely so many, chosen among all in their order, are neighbours, or the outermost on both sides."""
    return (right + 1 + wrong - 1) / math.comb(wrong + right, wrong)


def _range(values: Array) -> str:
    low, high = f"{values[0]:.4g}", f"{values[-1]:.4g}"
    return low if low == high else f"from {low} to {high}"
