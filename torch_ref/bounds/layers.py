"""The layers' outputs and gradients.

A layer's parameters are exact, unless ``parameters`` gives them with errors of their own: after some steps, say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy_nn as nn
from torch_ref.bounds.activations import ACTIVATIONS, log_softmax, softmax
from torch_ref.rounding import Rounded

Parameters = Mapping[str, Rounded]
Gradients = tuple[Rounded, dict[str, Rounded]]


def _exact(layer: nn.Layer, x: Rounded) -> Parameters:
    return {name: x.lift(p.data) for name, p in layer.named_parameters()}


def forward(layer: nn.Layer, x: Rounded, parameters: Parameters | None = None) -> Rounded:
    """The output of the layer for ``x`` (for Dropout: with the mask of its last forward call)."""
    p = _exact(layer, x) if parameters is None else parameters
    if isinstance(layer, nn.Linear):
        return x.linear(p["weight"], p.get("bias"))
    if isinstance(layer, nn.Flatten):
        return x.reshape(x.shape[0], -1)
    if isinstance(layer, nn.Dropout):
        return x if layer.mask is None else x * layer.mask
    if isinstance(layer, nn.BatchNorm1d):
        return _batch_norm(layer, x, p)
    if isinstance(layer, nn.LayerNorm):
        return _layer_norm(layer, x, p)
    if isinstance(layer, nn.LogSoftmax):
        return log_softmax(x)
    if isinstance(layer, nn.Softmax):
        return softmax(x)
    activation, options = _activation(layer, p)
    return ACTIVATIONS[activation][0](x, **options)


def backward(layer: nn.Layer, x: Rounded, g: Rounded, parameters: Parameters | None = None) -> Gradients:
    """The gradient of the input and of each parameter, by its name, for the output's gradient ``g``."""
    p = _exact(layer, x) if parameters is None else parameters
    if isinstance(layer, nn.Linear):
        gradients = {"weight": x.T @ g}
        if layer.bias is not None:
            gradients["bias"] = g.sum(axis=0)
        return g @ p["weight"].T, gradients
    if isinstance(layer, nn.Flatten):
        return g.reshape(*x.shape), {}
    if isinstance(layer, nn.Dropout):
        return (g if layer.mask is None else g * layer.mask), {}
    if isinstance(layer, nn.BatchNorm1d):
        return _batch_norm_backward(layer, x, g, p)
    if isinstance(layer, nn.LayerNorm):
        return _layer_norm_backward(layer, x, g, p)
    if isinstance(layer, nn.LogSoftmax):
        return g - log_softmax(x).exp() * g.sum(axis=1, keepdims=True), {}
    if isinstance(layer, nn.Softmax):
        s = softmax(x)
        return s * (g - (g * s).sum(axis=1, keepdims=True)), {}
    activation, options = _activation(layer, p)
    gradient = g * ACTIVATIONS[activation][1](x, **options)
    if not isinstance(layer, nn.PReLU):
        return gradient, {}
    terms = g * x.minimum(0.0)
    return gradient, {"weight": terms.sum(axis=0) if layer.num_parameters > 1 else terms.sum().reshape(1)}


def _activation(layer: nn.Layer, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    name = next((name for name, kind in nn.ACTIVATION_LAYERS.items() if type(layer) is kind), "")
    if name not in ACTIVATIONS:
        raise TypeError(f"{layer.label}: torch_ref has no error bound for {type(layer).__name__}")
    return name, {**parameters} if isinstance(layer, nn.PReLU) else getattr(layer, "options", {})


def _mean_and_centered(x: Rounded, axis: int = 0) -> tuple[Rounded, Rounded]:
    """The mean along an axis, and what is left without it; numpy_nn takes the mean of that away once more."""
    mean = x.mean(axis=axis, keepdims=axis > 0)
    centered = x - mean
    rest = centered.mean(axis=axis, keepdims=axis > 0)
    return mean.either(mean + rest), centered.either(centered - rest)


def _statistics(layer: nn.BatchNorm1d, x: Rounded) -> tuple[Rounded, Rounded, Rounded]:
    """Mean, x - mean and 1 / sqrt(var + eps), of the batch or the running ones as the layer's mode says."""
    if layer.training or layer.running_mean is None or layer.running_var is None:
        mean, centered = _mean_and_centered(x)
        var = (centered * centered).mean(axis=0)
    else:
        mean, var = x.lift(layer.running_mean), x.lift(layer.running_var)
        centered = x - mean
    # On CUDA it is one function, rsqrt, good to 2 units in the last place (CUDA C++ Programming Guide, section on
    # mathematical functions).
    return mean, centered, (1.0 / (var + layer.eps).sqrt()).or_within(4.0)


def _batch_norm(layer: nn.BatchNorm1d, x: Rounded, p: Parameters) -> Rounded:
    mean, centered, inv_std = _statistics(layer, x)
    output = centered * inv_std
    if not p:
        return output.either(x * inv_std + (0.0 - mean * inv_std))
    # torch folds everything into one factor and one term for each column, which cancel where x is near the mean.
    factor = inv_std * p["weight"]
    return (output * p["weight"] + p["bias"]).either(x * factor + (p["bias"] - mean * factor))


def _batch_norm_backward(layer: nn.BatchNorm1d, x: Rounded, g: Rounded, p: Parameters) -> Gradients:
    _, centered, inv_std = _statistics(layer, x)
    x_hat = centered * inv_std
    # torch sums g (x - mean) before it divides by the deviation, and multiplies with the weight last.
    product = (g * centered).sum(axis=0)
    gradients = {}
    h, factor = g, inv_std
    if p:
        gradients = {"weight": (g * x_hat).sum(axis=0).either(product * inv_std), "bias": g.sum(axis=0)}
        h, factor = g * p["weight"], inv_std * p["weight"]
    if not (layer.training or layer.running_mean is None):
        return (h * inv_std).either(g * factor), gradients
    ours = (h - h.mean(axis=0) - x_hat * (h * x_hat).mean(axis=0)) * inv_std
    slope = product * inv_std * inv_std * (1.0 / x.shape[0])
    theirs = (g - g.mean(axis=0) - centered * slope) * factor
    return ours.either(theirs), gradients


def running_statistics(layer: nn.BatchNorm1d, x: Rounded, before: Mapping[str, Any]) -> dict[str, Rounded]:
    """The running statistics after a forward call in training mode, from those before it."""
    if not before:
        return {}
    mean, centered = _mean_and_centered(x)
    var = (centered * centered).sum(axis=0) / (x.shape[0] - 1.0)
    rate = 1.0 / (int(before["num_batches_tracked"]) + 1) if layer.momentum is None else layer.momentum
    return {
        "running_mean": (1.0 - rate) * x.lift(before["running_mean"]) + rate * mean,
        "running_var": (1.0 - rate) * x.lift(before["running_var"]) + rate * var,
    }


def _rows(layer: nn.LayerNorm, x: Rounded) -> tuple[Rounded, Rounded, Rounded, Rounded]:
    """The input as rows of what is normalized together; of each row the mean, x - mean and 1 / sqrt(var + eps)."""
    rows = x.reshape(-1, math.prod(layer.normalized_shape))
    mean, centered = _mean_and_centered(rows, axis=1)
    var = (centered * centered).mean(axis=1, keepdims=True)
    return rows, mean, centered, (1.0 / (var + layer.eps).sqrt()).or_within(4.0)


def _layer_norm(layer: nn.LayerNorm, x: Rounded, p: Parameters) -> Rounded:
    _, _, centered, inv_std = _rows(layer, x)
    output = centered * inv_std
    if p:
        output = output * p["weight"].reshape(-1)
    if "bias" in p:
        output = output + p["bias"].reshape(-1)
    return output.reshape(*x.shape)


def _layer_norm_backward(layer: nn.LayerNorm, x: Rounded, g: Rounded, p: Parameters) -> Gradients:
    rows, mean, centered, inv_std = _rows(layer, x)
    x_hat, g = centered * inv_std, g.reshape(*rows.shape)
    gradients, h = {}, g
    if p:
        theirs = rows * inv_std + (0.0 - mean * inv_std)
        total = (g * x_hat).sum(axis=0).either((g * theirs).sum(axis=0))
        gradients, h = {"weight": total.reshape(*layer.normalized_shape)}, g * p["weight"].reshape(-1)
    if "bias" in p:
        gradients["bias"] = g.sum(axis=0).reshape(*layer.normalized_shape)
    ours = (h - h.mean(axis=1, keepdims=True) - x_hat * (h * x_hat).mean(axis=1, keepdims=True)) * inv_std
    # torch on a CPU sums h x and h, and has its result as r h + b x + c, which cancels where x is far from 0.
    share = 1.0 / rows.shape[1]
    products, total_h = (h * rows).sum(axis=1, keepdims=True), h.sum(axis=1, keepdims=True)
    b = (total_h * mean - products) * inv_std * inv_std * inv_std * share
    c = 0.0 - b * mean - total_h * inv_std * share
    return ours.either(inv_std * h + b * rows + c).reshape(*x.shape), gradients
