"""The losses' values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from torch_ref.bounds.activations import log_softmax, sigmoid, softmax
from torch_ref.rounding import Rounded


def loss_terms(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The terms of the loss, and the derivative of each by the outputs it depends on."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return _cross_entropy(loss, o, target)
    if isinstance(loss, nn.MSELoss):
        difference = o - target
        return difference * difference, difference * 2.0
    if isinstance(loss, nn.BCEWithLogitsLoss):
        size = o.select(o, -o)
        terms = (1.0 - target) * o + ((-o).maximum(0.0) + (-size).exp().log1p())
        split = (1.0 - target) * o.maximum(0.0) + target * (-o).maximum(0.0) + (-size).exp().log1p()
        # Ours is torch's s - t with fewer digits lost near s = t, and more roundings where s is far below t.
        theirs, ours = sigmoid(o) - target, (1.0 - target) * sigmoid(o) - target * sigmoid(-o)
        return terms.either(split), theirs.either(ours)
    if isinstance(loss, nn.PerceptronLoss):
        y = target.astype(o.dtype)
        return (-(o * y)).maximum(0.0), (1.0 - (o * y).step()) * -y
    raise TypeError(f"loss: torch_ref has no error bound for {type(loss).__name__}")


def reduced_loss(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The loss after its reduction, and its gradient by the output (for "none": that of the sum)."""
    terms, gradient = loss_terms(loss, o, target)
    if loss.reduction == "none":
        return terms, gradient
    if loss.reduction == "sum":
        value, scale = terms.sum(), 1.0
    else:
        value, scale = terms.mean(), 1.0 / terms.value.size
        gradient = gradient * scale
    if isinstance(loss, nn.CrossEntropyLoss) and loss.label_smoothing:
        theirs = _torchs_smoothed(loss.label_smoothing, o, target, scale)
        return value.either(theirs[0]), gradient.either(theirs[1])
    return value, gradient


def _one_hot(o: Rounded, labels: NDArray[Any]) -> Rounded:
    return o.lift(np.equal(np.arange(o.shape[1]), labels[:, None]).astype(o.dtype))


def _cross_entropy(loss: nn.CrossEntropyLoss, o: Rounded, labels: NDArray[Any]) -> tuple[Rounded, Rounded]:
    smoothing, one_hot = loss.label_smoothing, _one_hot(o, labels)
    # Ours: log sum exp(z - m) less the label's z - m. torch's: less the label's logarithm of the softmax.
    shifted, logs = o - o.max(axis=1), log_softmax(o)
    at_label = shifted.pick(labels)
    ours, theirs = shifted.exp().sum(axis=1).log() - at_label, -logs.pick(labels)
    if not smoothing:
        return ours.either(theirs), softmax(o).either(logs.exp()) - one_hot
    # We move z - m from the label's towards the mean of all, torch adds the mean of all logarithms.
    uniform = smoothing / o.shape[1]
    ours = ours - (shifted.mean(axis=1) - at_label) * smoothing
    theirs = theirs * (1.0 - smoothing) - logs.sum(axis=1) * uniform
    # Both shares of q are numbers that the engines round, and the gradient is rounded after each is taken off.
    return ours.either(theirs), softmax(o) - uniform - one_hot * (1.0 - smoothing)


def _torchs_smoothed(smoothing: float, o: Rounded, labels: NDArray[Any], scale: float) -> tuple[Rounded, Rounded]:
    """torch reduces the labels' terms and the uniform ones apart, and its gradient goes through the logarithms."""
    logs, uniform = log_softmax(o), smoothing / o.shape[1]
    of_labels, of_all = -logs.pick(labels).sum() * scale, -logs.sum(axis=1).sum() * scale
    g = _one_hot(o, labels) * ((1.0 - smoothing) * scale) + uniform * scale
    return of_labels * (1.0 - smoothing) + of_all * uniform, logs.exp() * g.sum(axis=1, keepdims=True) - g
