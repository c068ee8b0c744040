"""From what coordinates are found to be to the verdict on an array, with its reason in words and its worst place."""

from __future__ import annotations

import warnings

import numpy as np

from numpy_nn.gradcheck.explain.diagnosis import diagnose
from numpy_nn.gradcheck.explain.wrong_branch import with_branch
from numpy_nn.gradcheck.measure.derivatives import UNIT_ROUNDOFF, Array
from numpy_nn.gradcheck.measure.evidence import NOISE_OF_FLOAT32, Evidence
from numpy_nn.gradcheck.measure.kinds import (
    AGREES,
    COARSE,
    ELSEWHERE,
    FLAT,
    INDEPENDENT,
    KINK,
    LOST,
    NEARLY,
    OFF,
    UNRESOLVED,
    Status,
)
from numpy_nn.gradcheck.measure.resolution import OF_FLOAT64
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.gradcheck.measure.verdicts import NEAR, off_by, sizes
from numpy_nn.gradcheck.report import CLOSE, UNDECIDED, WRONG, Diagnosis, Entry
from numpy_nn.subjects.subject import SubjectError

# Along so many random directions, in which all coordinates move, what a sample has left out is looked at as a whole.
DIRECTIONS = 3

# The shares of a number that rounding to float32, once or some hundred times, is seen to leave in it.
FINER_THAN_FLOAT32, COARSER_THAN_FLOAT32 = NOISE_OF_FLOAT32

# What a coordinate that is right has for a note, if it is not simply within a small bound.
WEAKER = {
    COARSE: "rounding hides all but a few digits, which agree",
    FLAT: "the output does not move beyond its rounding, nor would it by the claimed gradient",
    LOST: "the claimed gradient, or the function, has lost digits to cancellation; another formula could keep them",
    INDEPENDENT: "the output does not depend on it, so that the gradient is 0: so is the claimed one, but for rounding",
    ELSEWHERE: "rounding hides the derivative here; the formula is right at a multiple of this input",
}


def judge(entry: Entry, evidence: Evidence, slopes: Slopes, status: Status) -> None:
    """The verdict on an array from those on its coordinates, and the diagnosis if it is wrong."""
    assert evidence.gradient is not None
    entry.checked = int((status != "").sum())
    entry.wrong, entry.undecided, entry.kinks = (int((status == kind).sum()) for kind in (OFF, UNRESOLVED, KINK))
    if entry.wrong:
        entry.verdict = WRONG
        evidence.slopes, evidence.status = slopes, status
        entry.diagnosis = diagnosis(evidence)
        if entry.wrong < entry.checked:
            entry.reason = f"wrong at {entry.wrong:,} of {entry.checked:,} coordinates"
    elif entry.undecided:
        entry.verdict = UNDECIDED
        entry.reason = _why_undecided(evidence)
    elif (status == NEARLY).any():
        entry.verdict = CLOSE
        with np.errstate(divide="ignore", invalid="ignore"):
            error, size = off_by(evidence.gradient, slopes)
            shares = error / size
            share = np.where(shares <= NEAR, shares, error / sizes(slopes))[status == NEARLY].max()
        entry.digits = float(-np.log10(share))
        entry.reason = _why_close(evidence, slopes, status, float(share))
    elif entry.checked < entry.size and not _right_along(evidence):
        entry.verdict = WRONG
        entry.reason = "right where it was looked at, but not along a random direction: look at more samples"


def _why_undecided(evidence: Evidence) -> str:
    computes = computes_in(evidence.differences.coarseness)
    return f"{evidence.reason}; the forward pass {computes}" if computes else str(evidence.reason)


def computes_in(coarseness: float) -> str:
    """What a function does whose output moves in steps of this share of it."""
    if coarseness <= OF_FLOAT64:
        return ""
    if coarseness < COARSER_THAN_FLOAT32:
        return "computes in float32" if coarseness > FINER_THAN_FLOAT32 else "rounds to fewer digits than float64 has"
    return "rounds to float16 or to a few decimals"


def _why_close(evidence: Evidence, slopes: Slopes, status: Status, share: float) -> str:
    """What differs between the passes, as far as the numbers tell, where they agree to five digits and more."""
    assert evidence.gradient is not None
    off = f"claimed and numerical differ by up to {share:.1e} of a coordinate"
    if computes := computes_in(evidence.differences.coarseness):
        return f"{off}: the forward pass {computes}"
    if evidence.in_float32:
        return f"{off}: backward computes in float32"
    look = status == NEARLY
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (evidence.gradient[look] / slopes.value[look]) - 1.0
    if look.sum() > 1 and np.ptp(ratios) <= 0.01 * np.abs(ratios).max():
        more = float(np.median(ratios))
        factor = f"{1.0 + more:.10g}" if abs(more) > 1e-8 else f"1 {'+' if more > 0 else '-'} {abs(more):.1e}"
        return f"{off}, all by the factor {factor}: a constant with few digits, or a small term in a divisor"
    rounding = "rounding to float32, " if share <= 2.0**-23 else ""
    return f"{off}: {rounding}an epsilon, or a constant with few digits, that one pass has and the other has not"


def name_worst(entry: Entry, evidence: Evidence, slopes: Slopes, status: Status) -> None:
    """Of the coordinates of the kind that the verdict is about, the one with the largest error."""
    gradient = evidence.gradient
    assert gradient is not None
    error = np.abs(gradient - slopes.value) if entry.wrong else off_by(gradient, slopes)[0]
    kind = OFF if entry.wrong else UNRESOLVED if entry.undecided else NEARLY if entry.verdict == CLOSE else AGREES
    worst = np.where(status == kind, np.nan_to_num(error, nan=np.inf), -1.0)
    if not np.any(worst > 0.0):
        worst = np.where(status != "", np.abs(gradient), -1.0)
    index = tuple(int(i) for i in np.unravel_index(int(worst.argmax()), gradient.shape))
    entry.index, entry.error, entry.bound = index, float(error[index]), float(slopes.bound[index])
    entry.analytic, entry.numerical = float(gradient[index]), float(slopes.value[index])


def _right_along(evidence: Evidence) -> bool:
    """Whether the slope along a few random directions is the claimed one; what has a kink there is not counted."""
    gradient, scale = evidence.gradient, evidence.differences.scales["wide"]
    assert gradient is not None
    for _ in range(DIRECTIONS):
        direction = scale * evidence.rng.uniform(-1.0, 1.0, gradient.shape)
        slope, bound, kink = evidence.differences.along(direction, evidence.grad_output)
        terms = gradient * direction
        rounding = gradient.size * UNIT_ROUNDOFF * float(np.abs(terms).sum())
        if not kink and abs(float(terms.sum()) - slope) > bound + rounding:
            return False
    return True


def diagnosis(evidence: Evidence, right_at: Array | None = None) -> Diagnosis:
    """The diagnosis of a wrong gradient; that it is wrong stands also where its target takes no further questions.

    At another point ``right_at`` are the numbers of the array at which it is right.
    """
    try:
        # Numbers made up for a hypothesis may overflow, or be too much alike for a fit.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return with_branch(diagnose(evidence), evidence, right_at)
    except SubjectError as error:
        text = f"the target's own code raised at an input made up to find the cause: {error}"
        return Diagnosis("unknown", "the cause was not found", text, "check at another input", False)
