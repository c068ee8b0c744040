"""Gradients that are right in part: partly 0, or clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

# So many entries of exactly one size are more than chance.
CLIPPED = 3

# So many entries that are off by one factor.
FILLED = 4


def partly_filled(e: Evidence) -> Iterator[Found]:
    """Some rows or columns right, or off by one factor, the others 0."""
    assert e.gradient is not None
    empty = (e.gradient == 0.0) & (np.abs(e.truth) > 1e-9 * e.size)
    filled = ~empty & e.looked_at
    factor = e.common_ratio(e.gradient[filled], e.truth[filled]) if filled.sum() >= FILLED else 1.0
    if not empty.any() or empty.all() or not factor or not e.fits(np.where(empty, 0.0, factor * e.truth)):
        return
    where = ""
    for axis in range(empty.ndim):
        others = tuple(a for a in range(empty.ndim) if a != axis)
        lines = np.flatnonzero(empty.any(axis=others))
        if len(lines) < empty.shape[axis]:
            kind = ("rows", "columns")[axis] if empty.ndim == 2 else "entries"
            where = f", in {kind} {', '.join(map(str, lines[:8]))}{' ...' if len(lines) > 8 else ''}"
    others_are = "right" if e.fits(np.where(empty, 0.0, e.truth)) else f"{factor:.4g} times the numerical one"
    text = f"0 at {int(empty.sum())} of {empty.size} coordinates{where}, {others_are} at the others"
    yield Found("partly_filled", text)


def without_an_output(e: Evidence) -> Iterator[Prediction]:
    """Of a function with several outputs, what comes from all but one of these."""
    for number, grad_output in enumerate(e.subject.without_each_output(e.grad_output), start=1):
        formula = f"that with nothing from output {number}"
        yield Prediction("output_left_out", formula, e.vjp(grad_output))


def clipped(e: Evidence) -> Iterator[Found]:
    """No entry beyond some c, and those that should be, at c exactly."""
    assert e.gradient is not None
    a, n = e.gradient[e.looked_at], e.truth[e.looked_at]
    limit = float(np.abs(a).max())
    at_limit = np.abs(a) >= (1.0 - 1e-12) * limit  # a step over its rate is rounded
    number = int(at_limit.sum())
    if limit == 0.0 or a.size == 1:
        return  # a number by itself is always its own limit
    text = f"{number} of {a.size} entries are exactly {limit:.6g} in size, and none is larger"
    beyond = bool(np.all(np.abs(n[at_limit]) > (1.0 - e.fit) * limit))
    if number == 1 and not _is_written(limit):
        return  # the largest entry is always at the limit that it is: wrong, and smaller than it should be
    if beyond and e.fits(np.clip(e.truth, -limit, limit)):
        # A single entry at the limit could be there by another mistake, and if all are, there is nothing to compare.
        # A limit that right entries have by themselves is no limit: numbers are counted, or are all of one size.
        by_itself = np.any(np.abs(np.abs(n) - limit) <= e.fit * limit)
        others = "; the others are right" if number < a.size else ": clipped, or the signs alone are left"
        yield Found("clipped", text + others, 2 <= number < a.size and not by_itself)
    elif np.abs(n[at_limit]).min() <= e.fit * limit:
        return  # what is 0 is within every limit
    elif number >= CLIPPED and _differ(np.abs(n[at_limit]), e.fit) and _both_signs(a[at_limit]):
        if number == a.size and np.array_equal(np.sign(a), np.sign(n)):
            yield Found(
                "sign_alone", f"{text}: of the numerical ones the signs alone are left, as where a step is by these"
            )
            return
        text += "; the others are not the numerical ones" if number < a.size else ""
        yield Found("clipped", text, sure=False)


def _is_written(limit: float) -> bool:
    """Whether it is a number of few digits, as those are that people write."""
    return abs(float(f"{limit:.2g}") - limit) <= 1e-12 * limit


def _differ(sizes: Array, fit: float) -> bool:
    return bool(np.ptp(sizes) > fit * sizes.max())


def _both_signs(a: Array) -> bool:
    return bool((a > 0.0).any() and (a < 0.0).any())
