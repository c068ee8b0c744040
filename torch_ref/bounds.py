"""How far the two engines may be apart: every formula once more, in :class:`~torch_ref.rounding.Rounded` arrays.

The formulas are those that torch evaluates, which for the tails of some activations are the less accurate ones; an
engine that computes the same quantity by a formula with less error stays within the bound as well. Two engines that
both do are at most twice the bound apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.elementwise import SELU_ALPHA, SELU_SCALE
from numpy_nn.gelu import TANH_CUBIC, TANH_SCALE
from torch_ref.rounding import Rounded, as_rounded

Gradients = tuple[Rounded, dict[str, Rounded]]


# The vectorised erf behind torch's float32 GELU is accurate absolutely, not relatively: formula 7.1.26 of Abramowitz
# and Stegun, as in ATen's vec512_float.h, has an error of its own of up to 1.5e-7.
ERF_FLOAT32 = 1.5e-7


def _erf(x: Rounded) -> Rounded:
    y = x.monotone(lambda v: torch.erf(torch.from_numpy(np.ascontiguousarray(v))).numpy())
    method = ERF_FLOAT32 if y.dtype == np.float32 else 0.0
    return Rounded(y.value, y.error + method, dtype=y.dtype)


def _constant(x: Rounded, value: float) -> Rounded:
    return x * 0.0 + value


def _sigmoid(x: Rounded) -> Rounded:
    # torch's 1 / (1 + exp(-x)) has no larger error than this, and is 0 where exp(-x) overflows: the true value there
    # is below the smallest normal number, which Rounded allows for.
    e = (-x.select(x, -x)).exp()
    return x.select(1.0 / (1.0 + e), e / (1.0 + e))


def _sigmoid_derivative(x: Rounded) -> Rounded:
    s = _sigmoid(x)
    return (1.0 - s) * s


def _tanh_derivative(x: Rounded) -> Rounded:
    t = x.tanh()
    return 1.0 - t * t


def _two_slopes(x: Rounded, slope: Any) -> Rounded:
    return x.select(x, x * slope)


def _two_slopes_derivative(x: Rounded, slope: Any) -> Rounded:
    return x.select(_constant(x, 1.0), x * 0.0 + slope)


def _elu(x: Rounded, alpha: float, scale: float = 1.0) -> Rounded:
    return x.select(x * scale, (x.minimum(0.0).exp() - 1.0) * alpha * scale)


def _elu_derivative(x: Rounded, alpha: float, scale: float = 1.0) -> Rounded:
    return x.select(_constant(x, scale), x.minimum(0.0).exp() * alpha * scale)


def _normal_cdf(x: Rounded) -> Rounded:
    return 0.5 * (1.0 + _erf(x * math.sqrt(0.5)))


def _normal_pdf(x: Rounded) -> Rounded:
    return (x * x * -0.5).exp() * (1.0 / math.sqrt(2.0 * math.pi))


def _gelu(x: Rounded, approximate: str) -> Rounded:
    if approximate == "none":
        return x * _normal_cdf(x)
    return 0.5 * x * (1.0 + _gelu_inner(x).tanh())


def _gelu_derivative(x: Rounded, approximate: str) -> Rounded:
    if approximate == "none":
        return _normal_cdf(x) + x * _normal_pdf(x)
    t = _gelu_inner(x).tanh()
    inner_derivative = TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * (x * x))
    return 0.5 * (1.0 + t) + 0.5 * x * ((1.0 - t * t) * inner_derivative)


def _gelu_inner(x: Rounded) -> Rounded:
    return TANH_SCALE * (x + TANH_CUBIC * (x * x * x))


def _silu_derivative(x: Rounded) -> Rounded:
    s = _sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def _softplus(x: Rounded, beta: float) -> Rounded:
    scaled = x * beta
    e = (-scaled.select(scaled, -scaled)).exp()
    return (scaled.maximum(0.0) + e.log1p()) / beta


def _hardtanh_derivative(x: Rounded, min_val: float, max_val: float) -> Rounded:
    return x.step(min_val) * (-x).step(-max_val)


def _or_ours(formula: Callable[..., Rounded]) -> Callable[..., Rounded]:
    """A formula of torch's that is better than ours somewhere, near 0 as a rule, with room for ours.

    ``tests/test_accuracy.py`` holds numpy_nn's own to 8 units in the last place, which are 16 u, of the truth.
    """

    def bound(x: Rounded, **options: Any) -> Rounded:
        y = formula(x, **options)
        return Rounded(y.value, y.error + 16.0 * y.u * np.abs(y.value), dtype=y.dtype)

    return bound


# Value and derivative. Where both engines only pick, add or multiply, the formula alone is the bound.
ACTIVATIONS: dict[str, tuple[Callable[..., Rounded], Callable[..., Rounded]]] = {
    "identity": (lambda x: x, lambda x: Rounded(np.ones(x.value.shape), dtype=x.dtype)),
    "sigmoid": (_or_ours(_sigmoid), _or_ours(_sigmoid_derivative)),
    "tanh": (_or_ours(lambda x: x.tanh()), _or_ours(_tanh_derivative)),
    "relu": (lambda x: x.maximum(0.0), lambda x: x.step()),
    "leaky_relu": (
        lambda x, negative_slope: _two_slopes(x, negative_slope),
        lambda x, negative_slope: _two_slopes_derivative(x, negative_slope),
    ),
    "prelu": (lambda x, weight: _two_slopes(x, weight), lambda x, weight: _two_slopes_derivative(x, weight)),
    "elu": (_or_ours(_elu), _or_ours(_elu_derivative)),
    "selu": (
        _or_ours(lambda x: _elu(x, SELU_ALPHA, SELU_SCALE)),
        _or_ours(lambda x: _elu_derivative(x, SELU_ALPHA, SELU_SCALE)),
    ),
    "gelu": (_or_ours(_gelu), _or_ours(_gelu_derivative)),
    "silu": (_or_ours(lambda x: x * _sigmoid(x)), _or_ours(_silu_derivative)),
    "softplus": (_or_ours(_softplus), _or_ours(lambda x, beta: _sigmoid(x * beta))),
    "hardtanh": (lambda x, min_val, max_val: x.maximum(min_val).minimum(max_val), _hardtanh_derivative),
}


def _shifted(x: Rounded) -> Rounded:
    return x - Rounded(x.value.max(axis=1, keepdims=True), x.error.max(axis=1, keepdims=True), dtype=x.dtype)


def softmax(x: Rounded) -> Rounded:
    """The softmax of each row."""
    e = _shifted(x).exp()
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(x: Rounded) -> Rounded:
    """The logarithm of the softmax of each row."""
    shifted = _shifted(x)
    return shifted - shifted.exp().sum(axis=1, keepdims=True).log()


def forward(layer: nn.Layer, x: Rounded) -> Rounded:
    """The output of the layer for ``x`` (for Dropout: with the mask of its last forward call)."""
    if isinstance(layer, nn.Linear):
        y = x @ layer.weight.data
        return y if layer.bias is None else y + layer.bias.data
    if isinstance(layer, nn.Flatten):
        return x.reshape(len(x.value), -1)
    if isinstance(layer, nn.Dropout):
        return x if layer.mask is None else x * layer.mask
    if isinstance(layer, nn.BatchNorm1d):
        # torch folds everything into one factor and one term for each column, which cancel where x is near the mean.
        mean, inv_std = _statistics(layer, x)
        factor = inv_std if layer.weight is None else inv_std * layer.weight.data
        return x * factor + ((0.0 if layer.bias is None else layer.bias.data) - mean * factor)
    if isinstance(layer, nn.LogSoftmax):
        return log_softmax(x)
    if isinstance(layer, nn.Softmax):
        return softmax(x)
    activation, options = _activation(layer)
    return ACTIVATIONS[activation][0](x, **options)


def backward(layer: nn.Layer, x: Rounded, g: Rounded) -> Gradients:
    """The gradient of the input and of each parameter, by its name, for the output's gradient ``g``."""
    if isinstance(layer, nn.Linear):
        gradients = {"weight": x.T @ g}
        if layer.bias is not None:
            gradients["bias"] = g.sum(axis=0)
        return g @ layer.weight.data.T, gradients
    if isinstance(layer, nn.Flatten):
        return g.reshape(*x.value.shape), {}
    if isinstance(layer, nn.Dropout):
        return (g if layer.mask is None else g * layer.mask), {}
    if isinstance(layer, nn.BatchNorm1d):
        return _batch_norm_backward(layer, x, g)
    if isinstance(layer, nn.LogSoftmax):
        return g - log_softmax(x).exp() * g.sum(axis=1, keepdims=True), {}
    if isinstance(layer, nn.Softmax):
        s = softmax(x)
        return s * (g - (g * s).sum(axis=1, keepdims=True)), {}
    activation, options = _activation(layer)
    gradient = g * ACTIVATIONS[activation][1](x, **options)
    if not isinstance(layer, nn.PReLU):
        return gradient, {}
    terms = g * x.minimum(0.0)
    return gradient, {"weight": terms.sum(axis=0) if layer.num_parameters > 1 else terms.sum().reshape(1)}


def _activation(layer: nn.Layer) -> tuple[str, dict[str, Any]]:
    name = next((name for name, kind in nn.ACTIVATION_LAYERS.items() if type(layer) is kind), "")
    if name not in ACTIVATIONS:
        raise TypeError(f"{layer.label}: torch_ref has no error bound for {type(layer).__name__}")
    return name, {"weight": layer.weight.data} if isinstance(layer, nn.PReLU) else getattr(layer, "options", {})


def _statistics(layer: nn.BatchNorm1d, x: Rounded) -> tuple[Rounded, Rounded]:
    """The mean and 1 / sqrt(var + eps), of the batch or the running ones as the layer's mode says."""
    if layer.training or layer.running_mean is None or layer.running_var is None:
        mean = x.mean(axis=0)
        centered = x - mean
        var = (centered * centered).mean(axis=0)
    else:
        mean, var = as_rounded(layer.running_mean), as_rounded(layer.running_var)
    return mean, 1.0 / (var + layer.eps).sqrt()


def _batch_norm_backward(layer: nn.BatchNorm1d, x: Rounded, g: Rounded) -> Gradients:
    mean, inv_std = _statistics(layer, x)
    x_hat = (x - mean) * inv_std
    gradients = {}
    if layer.weight is not None:
        gradients = {"weight": (g * x_hat).sum(axis=0), "bias": g.sum(axis=0)}
        g = g * layer.weight.data
    if layer.training or layer.running_mean is None:
        g = g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0)
    return g * inv_std, gradients


def running_statistics(layer: nn.BatchNorm1d, x: Rounded) -> dict[str, Rounded]:
    """The running statistics after a forward call in training mode, from the layer's present ones."""
    if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
        return {}
    n = len(x.value)
    mean = x.mean(axis=0)
    centered = x - mean
    var = (centered * centered).sum(axis=0) / (n - 1.0)
    rate = 1.0 / (int(layer.num_batches_tracked) + 1) if layer.momentum is None else layer.momentum
    return {
        "running_mean": (1.0 - rate) * as_rounded(layer.running_mean) + rate * mean,
        "running_var": (1.0 - rate) * as_rounded(layer.running_var) + rate * var,
    }


def loss_terms(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The terms of the loss, and the derivative of each by the outputs it depends on."""
    if isinstance(loss, nn.CrossEntropyLoss):
        # Both shares of q are numbers that the engines round, and the gradient is rounded after each is taken off.
        uniform, rest = loss.label_smoothing / o.value.shape[1], 1.0 - loss.label_smoothing
        label = np.zeros(o.value.shape, o.dtype)
        label[np.arange(len(target)), target] = 1.0
        q = uniform + rest * label.astype(np.float64)
        return -(log_softmax(o) * q).sum(axis=1), softmax(o) - uniform - rest * as_rounded(label)
    if isinstance(loss, nn.MSELoss):
        difference = o - target
        return difference * difference, difference * 2.0
    if isinstance(loss, nn.BCEWithLogitsLoss):
        size = o.select(o, -o)
        terms = (1.0 - target) * o + ((-o).maximum(0.0) + (-size).exp().log1p())
        # Ours is torch's s - t with fewer digits lost near s = t, and more roundings where s is far below t.
        torchs, ours = _sigmoid(o) - target, (1.0 - target) * _sigmoid(o) - target * _sigmoid(-o)
        return terms, Rounded(torchs.value, np.maximum(torchs.error, ours.error), dtype=o.dtype)
    if isinstance(loss, nn.PerceptronLoss):
        product = o * target.astype(np.float64)
        return (-product).maximum(0.0), (1.0 - product.step()) * -target.astype(np.float64)
    raise TypeError(f"loss: torch_ref has no error bound for {type(loss).__name__}")


def reduced_loss(loss: nn.Loss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The loss after its reduction, and its gradient by the output (for "none": that of the sum)."""
    terms, gradient = loss_terms(loss, o, target)
    if loss.reduction == "none":
        return terms, gradient
    if loss.reduction == "sum":
        return terms.sum(), gradient
    return terms.mean(), gradient * (1.0 / terms.value.size)


class OptimizerBound:
    """An optimizer's steps on one parameter: its value, and a bound on it, after each gradient."""

    def __init__(self, optimizer: nn.Optimizer, p: NDArray[Any]) -> None:
        self.optimizer, self.p, self.t = optimizer, Rounded(p.copy(), dtype=p.dtype), 0
        self.first = self.second = Rounded(np.zeros_like(p), dtype=p.dtype)

    def step(self, gradient: NDArray[Any]) -> Rounded:
        """One step with the settings that the optimizer has now; returns the parameter."""
        o, g, self.t = self.optimizer, as_rounded(gradient.copy()), self.t + 1
        decoupled = isinstance(o, nn.AdamW)
        if decoupled:
            self.p = self.p * (1.0 - o.lr * o.weight_decay)
        elif o.weight_decay:
            g = g + o.weight_decay * self.p
        if isinstance(o, nn.Adam):
            beta1, beta2 = o.betas
            # torch writes m + (1 - beta1) (g - m), we beta1 m + (1 - beta1) g; the former rounds the more.
            self.first = self.first + (1.0 - beta1) * (g - self.first)
            self.second = beta2 * self.second + (1.0 - beta2) * g * g
            root = self.second.sqrt() / math.sqrt(1.0 - beta2**self.t) + o.eps
            self.p = self.p - o.lr / (1.0 - beta1**self.t) * (self.first / root)
        elif isinstance(o, nn.SGD):
            if o.momentum:
                self.first = o.momentum * self.first + g
                g = g + o.momentum * self.first if o.nesterov else self.first
            self.p = self.p - o.lr * g
        else:
            raise TypeError(f"optimizer: torch_ref has no error bound for {type(o).__name__}")
        return self.p
