"""From a wrong gradient to its cause: each hypothesis predicts the numbers, and the one that fits is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.causes import WORDS
from numpy_nn.gradcheck.explain.hypotheses import hypotheses, of_wrong_shape
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.report import Diagnosis


def diagnose(evidence: Evidence) -> Diagnosis:
    """The best explanation of a wrong gradient."""
    found: list[tuple[str, str]] = []
    gradient = evidence.gradient
    if gradient is None:
        found.append(("zero", "no gradient was written"))
    elif gradient.shape != evidence.array.shape:
        found += of_wrong_shape(evidence)
    elif not np.isfinite(gradient).all():
        where = np.argwhere(~np.isfinite(gradient))[0].tolist()
        found.append(("not_finite", f"{(~np.isfinite(gradient)).sum()} of {gradient.size}, the first at {where}"))
    else:
        found += hypotheses(evidence)
    if not found:
        return Diagnosis("unknown", _UNKNOWN, pattern(evidence), _LOOK, False)
    cause, text = found[0]
    others = list(dict.fromkeys(name for name, _ in found[1:] if name != cause))
    statement, remedy = WORDS[cause]
    return Diagnosis(cause, statement, text, remedy, not (others or evidence.partial), others)


_UNKNOWN = "none of the known mistakes explains these numbers"
_LOOK = "compare the rows and columns named above with the formula; check one layer at a time"


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
