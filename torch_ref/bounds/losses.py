"""The losses' values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.losses.labels import LabelLoss
from torch_ref.bounds import label_losses
from torch_ref.bounds.activations import sigmoid
from torch_ref.rounding import Rounded


def loss_terms(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The terms of the loss, and the derivative of each by the outputs it depends on."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return label_losses.cross_entropy(loss, o, target)
    if isinstance(loss, nn.NLLLoss):
        return label_losses.nll(loss, o, target)
    if isinstance(loss, nn.MSELoss):
        difference = o - target
        return difference * difference, difference * 2.0
    if isinstance(loss, nn.L1Loss):
        difference = o - target
        return difference.select(difference, -difference), difference.step() - (-difference).step()
    if isinstance(loss, nn.HuberLoss):
        return _huber(o - target, loss.delta)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return _binary_cross_entropy(loss, o, target)
    if isinstance(loss, nn.PerceptronLoss):
        y = target.astype(o.dtype)
        return (-(o * y)).maximum(0.0), (1.0 - (o * y).step()) * -y
    raise TypeError(f"loss: torch_ref has no error bound for {type(loss).__name__}")


def reduced_loss(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The loss after its reduction, and its gradient with respect to the output (for "none": that of the sum)."""
    terms, gradient = loss_terms(loss, o, target)
    if loss.reduction == "none":
        return terms, gradient
    scale: Rounded | float = 1.0
    if loss.reduction == "mean":
        size = label_losses.denominator(loss, o, target) if isinstance(loss, LabelLoss) else float(terms.value.size)
        value = terms.mean() if isinstance(size, float) else terms.sum() / size
        scale = 1.0 / size
        gradient = gradient * scale
    else:
        value = terms.sum()
    if isinstance(loss, nn.CrossEntropyLoss) and label_losses.is_written_down(loss, target):
        theirs = label_losses.torchs_cross_entropy(loss, o, target, scale)
        return value.either(theirs[0]), gradient.either(theirs[1])
    return value, gradient


def _huber(difference: Rounded, delta: float) -> tuple[Rounded, Rounded]:
    size = difference.select(difference, -difference)
    cut = size.minimum(delta)
    # torch asks on which side of delta the error is, and takes one of two formulas.
    theirs = (size - delta).select(delta * (size - 0.5 * delta), 0.5 * size * size)
    return (cut * (size - cut * 0.5)).either(theirs), difference.maximum(-delta).minimum(delta)


def _binary_cross_entropy(loss: nn.BCEWithLogitsLoss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """Ours is torch's s - t with fewer digits lost near s = t, and more roundings where s is far below t."""
    size = o.select(o, -o)
    no, log1p, s = o.lift(1.0 - target), (-size).exp().log1p(), sigmoid(o)
    if loss.pos_weight is None:
        terms = (no * o + ((-o).maximum(0.0) + log1p)).either(no * o.maximum(0.0) + target * (-o).maximum(0.0) + log1p)
        gradient = (s - target).either(no * s - target * sigmoid(-o))
    else:
        pos_weight = o.lift(np.broadcast_to(loss.pos_weight, o.shape))
        # What torch multiplies log s(z) with is 1 - t + p t, made so that digits are lost where p is small.
        yes, log_weight = pos_weight * target, (pos_weight - 1.0) * target + 1.0
        theirs = no * o + log_weight * ((-o).maximum(0.0) + log1p)
        terms = theirs.either(no * o.maximum(0.0) + yes * (-o).maximum(0.0) + (no + yes) * log1p)
        gradient = ((yes + 1.0 - target) * s - yes).either(no * s - yes * sigmoid(-o))
    if loss.weight is None:
        return terms, gradient
    weight = np.broadcast_to(loss.weight, o.shape)
    return terms * weight, gradient * weight
