"""Gradients that count on targets which sum to 1 for each sample, as softmax's fused with its loss: p - y."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numpy_nn.gradcheck.report import CLOSE, RIGHT, WRONG, GradientReport
from numpy_nn.subjects.subject import SubjectError

# A check that took longer is not made again with other targets, of which there are up to four.
SECONDS = 5.0

JUDGED = "judged with targets that are "


def unless_targets_do_not_sum_to_one(
    report: GradientReport, targets: Any, again: Callable[[Any], GradientReport]
) -> GradientReport:
    """The report; of gradients that are wrong at these targets alone, that with targets that sum to 1, and a problem.

    Of a cross-entropy of softmax p - y is the gradient where y sums to 1, and else p sum(y) - y.
    """
    is_all_wrong = report.verdict == WRONG and all(entry.verdict == WRONG for entry in report.entries)
    if report.seconds > SECONDS or not is_all_wrong:
        return report  # what p - y is wrong for is all that comes after it
    for axis, kind, others in _summing_to_one(targets):
        try:
            found = again(others)
        except (SubjectError, TypeError, ValueError, IndexError):
            continue
        if found.verdict in (RIGHT, CLOSE):
            found.problems.append(
                f"{JUDGED}{kind} along axis {axis}, where all is right; those given do not sum to "
                "1 there, and with them the gradients are not those of the loss, as p - y of a softmax is not: give "
                "one-hot targets, or probabilities"
            )
            return found
    return report


def as_a_note(report: GradientReport) -> None:
    """Have it be no problem that the targets given were others, which nobody asked for by their kind."""
    told = [problem for problem in report.problems if problem.startswith(JUDGED)]
    report.problems = [problem for problem in report.problems if problem not in told]
    report.notes += told


def _summing_to_one(targets: Any) -> Iterator[tuple[int, str, np.ndarray[Any, Any]]]:
    """Targets near to these that sum to 1 along an axis; none of those that do so, or can be no probabilities."""
    try:
        y = np.asarray(targets)
    except ValueError:
        return
    if y.ndim != 2 or y.dtype.kind not in "fiub" or min(y.shape) < 2 or not np.all((y >= 0) & (y <= 1)):
        return
    y = y.astype(np.float64)
    if any(np.allclose(y.sum(axis=axis), 1.0) for axis in (0, 1)):
        return
    for axis in (1, 0):
        more = y + 0.125
        yield axis, "probabilities", more / more.sum(axis=axis, keepdims=True)
        largest = np.expand_dims(y.argmax(axis=axis), axis)
        yield axis, "one-hot", (np.indices(y.shape)[axis] == largest).astype(np.float64)
