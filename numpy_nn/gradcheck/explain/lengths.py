"""Mistakes where x is divided by its length: y = gamma x / r, with r the root of a mean, or of a sum, of squares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from numpy_nn.gradcheck.explain.norms import EXACT, Axes, gammas, in_words, roots, subsets
from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

# By how much an eps may change the output, as a share of its largest entry.
CHANGED = 0.2


def lengths(e: Evidence) -> Iterator[Prediction]:
    """r taken as a constant, and the place of eps, as in RMS normalization and in vectors of length 1."""
    x, y = e.x, e.output
    if not e.is_input or not 1 <= x.ndim <= 4 or y.shape != x.shape or e.differences.elementwise:
        return
    for axes in subsets(x.ndim, most=x.ndim):
        for word, average in (("mean", np.mean), ("sum", np.sum)):

            def along(values: Array, axes: Axes = axes, average: Callable[..., Array] = average) -> Array:
                return average(values, axis=axes, keepdims=True)

            squares = along(x**2)
            if not squares.all():
                continue
            for gamma in gammas(e):
                if np.abs(y - gamma * x / np.sqrt(squares)).max() <= CHANGED * np.abs(y).max():
                    yield from _of_length(e, gamma, squares, along, f"{word} of squares over {in_words(axes, x.ndim)}")


def _of_length(
    e: Evidence, gamma: Array, squares: Array, along: Callable[[Array], Array], name: str
) -> Iterator[Prediction]:
    """dx = h / r - x mean(h x) / r^3 with h = dy gamma, or with a sum in the mean's place."""
    x, y, h = e.x, e.output, e.grad_output * gamma

    def is_forward(r: Array) -> bool:
        return bool(np.abs(y - gamma * x / r).max() <= max(EXACT, e.grain) * np.abs(y).max())

    for root in roots(squares, "s", is_forward):
        r = root.used
        if root.backward == root.forward:
            yield Prediction("length_constant", f"that for a {name} held fixed", h / r)
        formula = f"the usual formula with r = {root}, s the {name}"
        yield Prediction("epsilon", formula, h / r - x * along(h * x) / r**3)


def lengths_within(e: Evidence) -> Iterator[Found]:
    """The same in any function that something divides by its length before, as of directions and rotations.

    It stays the same whatever the length is: its gradient stands at right angles to the array, and what is claimed has
    a part along it.
    """
    assert e.gradient is not None
    x, n, off = e.array, e.truth, e.gradient - e.truth
    if not e.looked_at.all() or x.size < 2 or not np.any(n):
        return
    for axis in [None, *range(x.ndim if x.ndim > 1 else 0)]:
        squares, along = (np.sum(x * values, axis=axis, keepdims=True) for values in (x, off))
        if not squares.all() or np.any(np.abs(np.sum(n * x, axis=axis)) > e.fit * np.sqrt(np.sum(n**2) * np.sum(x**2))):
            continue
        if np.abs(off - along / squares * x).max() > e.fit * np.abs(off).max():
            continue
        with e.subject.at({e.name: x * np.random.default_rng(3).uniform(0.5, 2.0, squares.shape)}):
            there = e.subject.output()
        if there.shape == e.output.shape and e.recognises(there, e.output):
            of = "" if axis is None else f" along axis {axis}"
            text = f"right but for a part along {e.name}, whose length{of} changes nothing,"
            yield Found("length_constant", e.everywhere(text))
            return
