"""Mistakes where x is divided by its length: y = gamma x / r, with r the root of a mean, or of a sum, of squares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from numpy_nn.gradcheck.explain.norms import EXACT, Axes, gammas, in_words, roots, subsets
from numpy_nn.gradcheck.explain.predictions import Prediction
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
