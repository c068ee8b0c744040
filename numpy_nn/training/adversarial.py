"""Adversarial training: every batch as it is, and once more with each row moved to where its loss grows fastest.

Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples" (2015), section 6, with the step of a
given Euclidean length of Miyato et al., "Distributional smoothing with virtual adversarial training" (2016).
It needs the one gradient that training throws away, that of the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss, Score
from numpy_nn.parameter import holders
from numpy_nn.training.loop import compute_gradients

# No row may be moved further: far beyond any image, and far from what would overflow.
LIMIT = 1e6


def perturb(x: FloatArray, gradient: FloatArray, epsilon: float) -> FloatArray:
    """x + epsilon g / ||g||, for each row x of length ``epsilon`` in the direction of its gradient g, of ``x``'s shape.

    To first order it is the step of this length that raises a loss most. A row whose gradient is 0 stays.
    """
    rows = gradient.reshape(len(gradient), -1)
    # Gradients at rows that are right long since are tiny: squares of them would underflow.
    peak = np.abs(rows).max(axis=1, keepdims=True)
    peak[peak == 0.0] = 1.0
    with np.errstate(invalid="ignore"):  # of a run that diverges, which fit reports
        direction = rows / peak
        length = np.sqrt((direction * direction).sum(axis=1, keepdims=True))
        length[length == 0.0] = 1.0
        direction *= epsilon / length
    return x + direction.reshape(x.shape)


class AdversarialTraining:
    """A function for ``fit(..., gradients=)``: the gradients of (L(x) + L(x')) / 2, with x' = :func:`perturb` of x.

    ``epsilon`` is how far each row is moved, in the units of the network's input. g is dL/dx in training mode, and x'
    counts as a constant. The second pass draws masks of its own in Dropout, and moves the running statistics of
    BatchNorm1d once more. The loss is the mean of the two; right answers are counted on x'.

    TypeError or ValueError unless ``epsilon`` is a number > 0 and at most 1e6.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = number(epsilon, "epsilon", above=0.0, high=LIMIT)

    def __call__(self, net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Score:
        """The loss and the right answers; the gradients are left in the parameters' ``grad``."""
        value = float(loss(net(x), y))
        moved = perturb(x, net.backward(loss.backward()), self.epsilon)
        first = [holder.grad.copy() for holder in holders(net.parameters())]
        score = compute_gradients(net, loss, moved, y)
        for holder, one in zip(holders(net.parameters()), first, strict=True):
            grad = holder.grad
            grad += one
            grad *= 0.5
        return score._replace(loss=0.5 * (value + score.loss))

    def __repr__(self) -> str:
        return f"AdversarialTraining(epsilon={self.epsilon:g})"
