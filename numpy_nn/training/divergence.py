"""What to say when a training run diverges: where it happened, and which layer gave out first."""

from __future__ import annotations

import copy
import math

import numpy as np

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import Layer
from numpy_nn.optim.clipping import grad_norm


class Divergence(FloatingPointError):
    """The loss of a batch, or a parameter, is infinite or NaN.

    ``epoch`` and ``batch`` count from 1; ``layer`` is the name of the first layer that yields such a number ("" if
    none does, but the loss), ``gradient_norm`` the norm of the gradient of the whole network for that batch.
    """

    def __init__(self, message: str, epoch: int, batch: int, layer: str, gradient_norm: float) -> None:
        super().__init__(message)
        self.epoch, self.batch, self.layer, self.gradient_norm = epoch, batch, layer, gradient_norm


def check_loss(net: Layer, x: FloatArray, value: float, epoch: int, batch: int) -> None:
    """Divergence if ``value``, the loss on ``x``, is infinite or NaN; its gradients are there already."""
    if not math.isfinite(value):
        layer, what = _first_to_fail(net, x)
        raise _divergence(net, layer, f"the loss is {value:g}; {what}", epoch, batch)


def check_parameters(net: Layer, epoch: int, batch: int) -> None:
    """Divergence if a parameter is infinite or NaN."""
    for layer in net.leaves():
        if not _has_finite_parameters(layer):
            what = f"{layer.label} has a parameter that is infinite or NaN after the update"
            raise _divergence(net, layer, what, epoch, batch)


def _divergence(net: Layer, layer: Layer | None, what: str, epoch: int, batch: int) -> Divergence:
    norm = grad_norm(net.parameters())
    text = f"epoch {epoch}, step {batch}: {what}; the norm of the gradient is {norm:.3g}"
    if layer is not None and layer.parameters():
        text += f", of this layer's {grad_norm(layer.parameters()):.3g}"
    text += "; try a lower learning rate, or clip the gradient"
    return Divergence(text, epoch, batch, layer.name if layer is not None else "", norm)


def _has_finite_parameters(layer: Layer) -> bool:
    return all(np.isfinite(p.data).all() for p in layer.parameters())


def _first_to_fail(net: Layer, x: FloatArray) -> tuple[Layer | None, str]:
    """The first layer with a parameter or an output that is infinite or NaN, and which of the two it is."""
    if not np.isfinite(x).all():
        return None, "the batch itself holds an infinite number or NaN"
    # A copy, as a forward call moves running statistics. Its dropout draws another mask, which may hide the place.
    probe = copy.deepcopy(net)
    with np.errstate(all="ignore"):
        for layer, copied in zip(net.leaves(), probe.leaves(), strict=True):
            if not _has_finite_parameters(layer):
                return layer, f"{layer.label} is the first with a parameter that is infinite or NaN"
            x = copied(x)
            if not np.isfinite(x).all():
                return layer, f"{layer.label} is the first whose output holds an infinite number or NaN"
    return None, "every layer's output is finite"
