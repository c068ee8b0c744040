"""Gradient accumulation: the gradients of a large batch from small ones, for what memory would not hold at once.

    gradients = nn.GradientAccumulation(4)
    nn.fit(net, loss, optimizer, batches, epochs, gradients=gradients)

or, in a loop of one's own, for each large batch::

    gradients(net, loss, x, y)
    optimizer.step()
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import count
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss, Score
from numpy_nn.parameter import holders
from numpy_nn.training.loop import GradientFunction, compute_gradients


class GradientAccumulation:
    """A function for ``fit(..., gradients=)``: a batch's loss and gradients, made of those of ``batches`` parts of it.

    With the loss's reduction "mean" the parts count as their rows do, (n_1 g_1 + n_2 g_2 + ...) / n, or as the weights
    of their rows, where the loss weighs them; with "sum" the gradients are added. Both are the gradients of the whole
    batch, but for rounding, for BatchNorm1d, which normalizes each part by itself, and for Dropout, which draws masks
    for each. Parts differ by one row at most; a batch of fewer rows than ``batches`` is taken row by row. ``gradients``
    computes a part's. ValueError for a loss with reduction "none", and for x and y of different numbers of rows.
    """

    def __init__(self, batches: int, gradients: GradientFunction = compute_gradients) -> None:
        self.batches = count(batches, "batches")
        self.gradients = gradients

    def __call__(self, net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Score:
        """The loss and the right answers; the gradients are left in the parameters' ``grad``."""
        if loss.reduction == "none":
            raise ValueError(f'{loss!r}: expected reduction "mean" or "sum"')
        x, y = np.asarray(x), np.asarray(y)
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
            raise ValueError(f"expected x and y with equally many rows, at least one, got {x.shape}, {y.shape}")
        mean, scores, sums = loss.reduction == "mean", list[Score](), list[FloatArray]()
        parts = min(self.batches, len(x))
        for part in range(parts):
            rows = slice(part * len(x) // parts, (part + 1) * len(x) // parts)
            scores.append(self.gradients(net, loss, x[rows], y[rows]))
            if scores[-1].weight == 0.0:  # no row counts, and the gradient may be NaN
                continue
            weight = scores[-1].weight if mean else 1.0
            # A backward pass may find the parameters elsewhere than the one before.
            grads = [weight * holder.grad for holder in holders(net.parameters())]
            sums = [one + other for one, other in zip(sums, grads, strict=True)] if sums else grads
        whole = sum(score.weight for score in scores)
        for index, holder in enumerate(holders(net.parameters())):
            holder.grad[...] = sums[index] / (whole if mean else 1.0) if sums else 0.0
        counted = [score for score in scores if score.weight]
        value = sum(score.loss * (score.weight / whole if mean else 1.0) for score in counted) if counted else math.nan
        right = [score.correct for score in scores if score.correct is not None]
        correct = sum(right) if len(right) == len(scores) else None
        return Score(value, correct, sum(score.answers for score in scores), whole)

    def __repr__(self) -> str:
        return f"GradientAccumulation(batches={self.batches})"
