"""From a wrong gradient to its cause: each hypothesis predicts the numbers, and the one that fits is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.causes import WORDS
from numpy_nn.gradcheck.explain.columns import as_rows, in_columns
from numpy_nn.gradcheck.explain.hypotheses import hypotheses
from numpy_nn.gradcheck.explain.indices import rows_used_twice
from numpy_nn.gradcheck.explain.predictions import DROPPED, Found, ratio_at_another_batch
from numpy_nn.gradcheck.explain.shapes import of_wrong_shape
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.independence import has_no_influence
from numpy_nn.gradcheck.report import Diagnosis


def diagnose(evidence: Evidence) -> Diagnosis:
    """The best explanation of a wrong gradient; two causes, joined by +, where two mistakes explain it together.

    What the subject's code raises when it is asked leaves out the question.
    """
    found: list[Found] = []
    gradient, partial = evidence.gradient, False
    if gradient is None:
        found.append(Found("zero", "no gradient was written"))
    elif not np.isfinite(gradient).all() and gradient.shape == evidence.array.shape:
        where = np.argwhere(~np.isfinite(gradient))[0].tolist()
        found.append(Found("not_finite", f"{(~np.isfinite(gradient)).sum()} of {gradient.size}, the first at {where}"))
    else:
        for view in _views(evidence):
            found, partial = _explained(view), view.partial
            if view is not evidence:
                found = [Found(cause, f"{text}; {_AS_ROWS}", sure) for cause, text, sure in found]
            if found:
                break
        found = list(_by_columns(evidence, found)) or found
    if not found or (partial and found[0].cause == "factor") or "+" in found[0].cause:
        found = list(rows_used_twice(evidence)) or found
    if not found:
        found = list(_without_influence(evidence))
    if not found:
        return Diagnosis("unknown", _UNKNOWN, pattern(evidence), _LOOK, False)
    cause, text, sure = found[0]
    others = list(dict.fromkeys(other.cause for other in found[1:] if other.cause != cause))
    words = [WORDS[part] for part in cause.split("+")]
    statement, remedy = ("; and ".join(part[i] for part in words) for i in (0, 1))
    return Diagnosis(cause, statement, text, remedy, sure and not (others or partial), others)


_UNKNOWN = "none of the known mistakes explains these numbers"
_AS_ROWS = "written as for samples in rows, where this code has them in columns"
_LOOK = "compare the rows and columns named above with the formula; check one layer at a time"


def _without_influence(evidence: Evidence) -> Iterator[Found]:
    """A gradient that is claimed of what the output does not depend on, as of a bias whose mean is subtracted again."""
    gradient = evidence.gradient
    if gradient is None or gradient.shape != evidence.array.shape or not np.isfinite(gradient).all():
        return
    look = evidence.looked_at
    if np.abs(evidence.truth[look]).max(initial=0.0) > evidence.fit * np.abs(gradient[look]).max(initial=0.0):
        return
    try:
        if has_no_influence(evidence):
            largest = float(np.abs(gradient[look]).max())
            text = f"the output is the same wherever it is moved to, near and far; claimed are up to {largest:.3g}"
            yield Found("no_influence", text)
    except DROPPED:
        pass  # it takes no other values


def _by_columns(evidence: Evidence, found: list[Found]) -> Iterator[Found]:
    """A mere factor with the words that it goes with the number of columns, where it does."""
    if not found or found[0].cause.split("+")[-1] != "factor" or evidence.x.ndim != 2:
        return
    if evidence.gradient is None or evidence.gradient.shape != evidence.array.shape:
        return  # as of a bias that is not summed over the batch, and twice as large besides
    view = as_rows(evidence)
    try:
        other, ratio = ratio_at_another_batch(view), view.ratio()
    except DROPPED:
        return
    if other is None or ratio is None or abs(other[1] - ratio) <= evidence.fit * abs(ratio):
        return
    rows, factor = other
    of_columns = (
        f"; {factor:.6g} with {rows} columns instead of {view.batch}: the batch size, if samples are in columns"
    )
    yield Found(found[0].cause, found[0].text + of_columns, found[0].sure)
    yield from found[1:]


def _views(evidence: Evidence) -> Iterator[Evidence]:
    """The evidence as it is, and as if samples were in rows, if they are in columns: the likelier one first."""
    homes = {name: array.copy() for name, array in evidence.subject.arrays.items()}
    try:
        columns = in_columns(evidence)
    except DROPPED:
        columns = False
        for name, values in homes.items():
            evidence.subject.arrays[name][...] = values
    if columns is True:
        yield as_rows(evidence)
    yield evidence
    if columns is None:
        yield as_rows(evidence)


def _explained(evidence: Evidence) -> list[Found]:
    assert evidence.gradient is not None
    if evidence.gradient.shape == evidence.array.shape:
        return hypotheses(evidence)
    try:
        return list(of_wrong_shape(evidence))
    except DROPPED:
        text = f"shape {evidence.gradient.shape} instead of {evidence.array.shape}"
        return [Found("wrong_shape", text)]


def pattern(evidence: Evidence) -> str:
    """Which rows, columns and signs are wrong, and how the ratios are spread."""
    assert evidence.gradient is not None
    a, n = evidence.gradient, evidence.truth
    parts = list(_where(evidence))
    look = evidence.looked_at & (np.abs(n) > 1e-6 * evidence.size)
    if look.any():
        ratios = a[look] / n[look]
        low, quarter, middle, three, high = np.quantile(ratios, [0.0, 0.25, 0.5, 0.75, 1.0])
        parts.append(
            f"claimed / numerical is {low:.3g} .. {high:.3g}, half of it in {quarter:.3g} .. {three:.3g}, "
            f"median {middle:.3g}; the sign agrees at {np.mean(ratios > 0):.0%}"
        )
        if look.sum() > 2 and np.ptp(a[look]) > 0 and np.ptp(n[look]) > 0:
            parts.append(f"correlation {np.corrcoef(a[look], n[look])[0, 1]:.3f}")
    elif evidence.looked_at.any():
        largest, seen = (float(np.abs(array[evidence.looked_at]).max()) for array in (a, n)), evidence.looked_at.sum()
        parts.append("claimed is up to {:.3g}, numerical up to {:.3g} at {} coordinates".format(*largest, seen))
    return "; ".join(parts)


def _where(evidence: Evidence) -> Iterator[str]:
    if evidence.status is None:
        return
    wrong = evidence.status == "w"
    if wrong.ndim != 2 or wrong.all():
        return
    for axis, kind in ((1, "rows"), (0, "columns")):
        lines = np.flatnonzero(wrong.any(axis=axis))
        if len(lines) < wrong.shape[1 - axis]:
            yield f"wrong only in {kind} {', '.join(map(str, lines[:8]))}{' ...' if len(lines) > 8 else ''}"
