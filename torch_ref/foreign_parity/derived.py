"""The derived bounds, where they apply: both networks are numpy_nn's layers or torch's counterparts of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import numpy_nn as nn
from numpy_nn.subjects.state import in_float64
from torch_ref import bounds
from torch_ref.foreign_parity.sides import GRAD_OUTPUT, LOSS, OUTPUT, Array, Side, gradient_of
from torch_ref.rounding import as_rounded
from torch_ref.twin import from_torch, to_torch


def derived_bounds(given: tuple[Any, Any, Any], own: Side, values: dict[str, Array]) -> dict[str, Array]:
    """How far apart rounding may put each result of two such networks, by name; nothing where no bound applies.

    It is twice the error of a bound that is chained through my layers. No bound is derived for the steps.
    """
    mine, theirs, loss = given
    if not (_is_bounded(mine) and _is_bounded(theirs) and isinstance(loss, nn.Loss)):
        return {}
    net, x = in_float64(mine), as_rounded(own.network.arrays[own.network.input])
    found = {OUTPUT: bounds.forward(net, x)}
    found[LOSS], found[GRAD_OUTPUT] = bounds.reduced_loss(loss, found[OUTPUT], own.targets)
    found[gradient_of(own.network.input)], of_parameters = bounds.backward(net, x, found[GRAD_OUTPUT])
    found |= {gradient_of(name): bound for name, bound in of_parameters.items()}
    return {
        name: np.broadcast_to(2.0 * bound.error, values[name].shape) for name, bound in found.items() if name in values
    }


def _is_bounded(net: Any) -> bool:
    """Whether it is made of layers with counterparts, of which none draws a mask of its own."""
    try:
        if isinstance(net, torch.nn.Module):
            net = from_torch(net)
        elif isinstance(net, nn.Layer):
            to_torch(net)
        else:
            return False
    except (TypeError, ValueError):
        return False
    drops = any(isinstance(layer, nn.Dropout) and layer.training and layer.p > 0 for layer in net.modules())
    return not drops
