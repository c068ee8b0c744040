"""The activations' values and derivatives, as torch evaluates them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numpy_nn.activations.elementwise import SELU_ALPHA, SELU_SCALE
from numpy_nn.activations.gelu import TANH_CUBIC, TANH_SCALE
from torch_ref.rounding import Array, Rounded
from torch_ref.twin import SOFTPLUS_THRESHOLD

# numpy_nn's own formulas are good to 8 units in the last place, which are at most 16 u of the value:
# ``tests/activations/test_accuracy.py`` holds them to that.
OURS = 16.0

# Formula 7.1.26 of Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964): erf(x) for x >= 0 is
# 1 - (a_1 t + ... + a_5 t^5) exp(-x^2) with t = 1 / (1 + p x), up to 1.5e-7.
ERF_P = 0.3275911
ERF_COEFFICIENTS = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


# What oneDNN, whose float32 GELU and its derivative torch takes, holds any kernel of theirs to in its own tests
# (tests/benchdnn/eltwise/eltwise.cpp), whichever polynomial that has for erf: this share of the value, or where
# 1 + erf, or what it is in the derivative, cancels to less than CANCELS, as much absolutely.
ONEDNN_GELU = 4e-6
CANCELS = 2.0**-22 / ONEDNN_GELU


def _erf(x: Rounded) -> Rounded:
    """erf(x); the one behind torch's vectorised float32 GELU is accurate absolutely, not relatively."""
    return x.erf().either(_erf_by_polynomial(x)) if x.dtype == np.float32 else x.erf()


def _erf_by_polynomial(x: Rounded) -> Rounded:
    size = x.select(x, -x)
    t = 1.0 / (size * ERF_P + 1.0)
    polynomial = x.lift(np.zeros(x.shape))
    for coefficient in reversed(ERF_COEFFICIENTS):
        polynomial = polynomial * t + coefficient
    y = 1.0 - polynomial * ((-(x * x)).exp() * t)
    return x.select(y, -y)


def _constant(x: Rounded, value: float) -> Rounded:
    return x.lift(np.full(x.shape, value))


def sigmoid(x: Rounded) -> Rounded:
    """1 / (1 + exp(-x)).

    torch's is 0 where exp(-x) overflows: the true value there is below the smallest normal number, for which Rounded
    allows.
    """
    e = (-x.select(x, -x)).exp()
    return x.select(1.0 / (1.0 + e), e / (1.0 + e))


def _sigmoid_derivative(x: Rounded) -> Rounded:
    s = sigmoid(x)
    return (1.0 - s) * s


def _tanh_derivative(x: Rounded) -> Rounded:
    t = x.tanh()
    return 1.0 - t * t


def _two_slopes(x: Rounded, slope: Any) -> Rounded:
    return x.select(x, x * slope)


def _two_slopes_derivative(x: Rounded, slope: Any) -> Rounded:
    return x.select(_constant(x, 1.0), x.lift(np.zeros(x.shape)) + slope)


def _elu(x: Rounded, alpha: float, scale: float = 1.0) -> Rounded:
    return x.select(x * scale, (x.minimum(0.0).exp() - 1.0) * alpha * scale)


def _elu_derivative(x: Rounded, alpha: float, scale: float = 1.0) -> Rounded:
    return x.select(_constant(x, scale), x.minimum(0.0).exp() * alpha * scale)


def _normal_cdf(x: Rounded) -> Rounded:
    return 0.5 * (1.0 + _erf(x * math.sqrt(0.5)))


def _normal_pdf(x: Rounded) -> Rounded:
    return (x * x * -0.5).exp() * (1.0 / math.sqrt(2.0 * math.pi))


def _as_onednn_has_it(y: Rounded, twice: Array) -> Rounded:
    """A quantity of float32 as any kernel of oneDNN computes it; ``twice`` is what tells whether it cancels."""
    if y.dtype != np.float32:
        return y
    size = np.abs(y.value)
    return y.or_off_by(ONEDNN_GELU * np.where(np.abs(twice) <= CANCELS, np.maximum(1.0, size), size))


def _gelu(x: Rounded, approximate: str) -> Rounded:
    if approximate == "none":
        cdf = _normal_cdf(x)
        return _as_onednn_has_it(x * cdf, 2.0 * cdf.value)
    return 0.5 * x * (1.0 + _gelu_inner(x).tanh())


def _gelu_derivative(x: Rounded, approximate: str) -> Rounded:
    if approximate == "none":
        slope = _normal_cdf(x) + x * _normal_pdf(x)
        return _as_onednn_has_it(slope, 2.0 * slope.value)
    t = _gelu_inner(x).tanh()
    inner_derivative = TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * (x * x))
    return 0.5 * (1.0 + t) + 0.5 * x * ((1.0 - t * t) * inner_derivative)


def _gelu_inner(x: Rounded) -> Rounded:
    return TANH_SCALE * (x + TANH_CUBIC * (x * x * x))


def _silu_derivative(x: Rounded) -> Rounded:
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def _softplus(x: Rounded, beta: float) -> Rounded:
    scaled = x * beta
    e = (-scaled.select(scaled, -scaled)).exp()
    split = (scaled.maximum(0.0) + e.log1p()) / beta
    theirs = scaled.minimum(SOFTPLUS_THRESHOLD).exp().log1p() / beta
    return split.either((scaled - SOFTPLUS_THRESHOLD).select(split, theirs))


def _hardtanh_derivative(x: Rounded, min_val: float, max_val: float) -> Rounded:
    return x.step(min_val) * (-x).step(-max_val)


# torch multiplies by 1 / 6 as float32 has it, in float64 too: on a CPU in Hardsigmoid's derivative, on CUDA also in the
# values of Hardsigmoid and Hardswish.
TORCHS_SIXTH = float(np.float32(1.0) / np.float32(6.0))


def _sixth(x: Rounded) -> Rounded:
    return (x / 6.0).either(x * TORCHS_SIXTH)


def _hardsigmoid(x: Rounded) -> Rounded:
    return _sixth((x + 3.0).maximum(0.0).minimum(6.0))


def _hardswish(x: Rounded) -> Rounded:
    return (x * _hardsigmoid(x)).either(_sixth(x * (x + 3.0).maximum(0.0).minimum(6.0)))


def _hardswish_derivative(x: Rounded) -> Rounded:
    # torch's sum cancels near its zero at -3/2, ours is exact there.
    inside = ((x * 2.0 + 3.0) / 6.0).either(x / 3.0 + 0.5)
    return (x + 3.0).select((3.0 - x).select(inside, _constant(x, 1.0)), _constant(x, 0.0))


# From 40 on tanh(log(1 + exp(x))) is 1 in either dtype, and exp overflows further up.
MISH_REACH = 40.0


def _mish_gate(x: Rounded) -> Rounded:
    return x.minimum(MISH_REACH).exp().log1p().tanh()


def _mish_derivative(x: Rounded) -> Rounded:
    t = _mish_gate(x)
    return t + x * sigmoid(x) * (1.0 - t * t)


def _softsign_derivative(x: Rounded) -> Rounded:
    # torch has the derivative of the quotient as a difference, which cancels far from 0.
    size = x.select(x, -x)
    d = 1.0 + size
    return (1.0 / d / d).either(1.0 / d - size / d / d)


def _logsigmoid(x: Rounded) -> Rounded:
    return x.minimum(0.0) - (-x.select(x, -x)).exp().log1p()


def _logsigmoid_derivative(x: Rounded) -> Rounded:
    e = (-x.select(x, -x)).exp()
    share = e / (1.0 + e)
    return x.select(share, 1.0 - share)


def _or_ours(formula: Callable[..., Rounded]) -> Callable[..., Rounded]:
    """A formula of torch's that is better than ours somewhere, near 0 as a rule, with room for ours."""
    return lambda x, **options: formula(x, **options).or_within(OURS)


# Value and derivative. Where both engines only pick, add or multiply, the formula alone is the bound.
ACTIVATIONS: dict[str, tuple[Callable[..., Rounded], Callable[..., Rounded]]] = {
    "identity": (lambda x: x, lambda x: _constant(x, 1.0)),
    "sigmoid": (_or_ours(sigmoid), _or_ours(_sigmoid_derivative)),
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
    "silu": (_or_ours(lambda x: x * sigmoid(x)), _or_ours(_silu_derivative)),
    "softplus": (_or_ours(_softplus), _or_ours(lambda x, beta: sigmoid(x * beta))),
    "hardtanh": (lambda x, min_val, max_val: x.maximum(min_val).minimum(max_val), _hardtanh_derivative),
    "relu6": (lambda x: x.maximum(0.0).minimum(6.0), lambda x: _hardtanh_derivative(x, 0.0, 6.0)),
    "hardsigmoid": (_hardsigmoid, lambda x: _sixth(_hardtanh_derivative(x, -3.0, 3.0))),
    "hardswish": (_hardswish, _hardswish_derivative),
    "mish": (_or_ours(lambda x: x * _mish_gate(x)), _or_ours(_mish_derivative)),
    "softsign": (lambda x: x / (1.0 + x.select(x, -x)), _softsign_derivative),
    "logsigmoid": (_or_ours(_logsigmoid), _or_ours(_logsigmoid_derivative)),
}


def softmax(x: Rounded) -> Rounded:
    """The softmax of each row."""
    e = (x - x.max(axis=1)).exp()
    total = e.sum(axis=1, keepdims=True)
    return (e / total).either(e * (1.0 / total)).or_within(OURS)


def log_softmax(x: Rounded) -> Rounded:
    """The logarithm of the softmax of each row."""
    shifted = x - x.max(axis=1)
    return (shifted - shifted.exp().sum(axis=1, keepdims=True).log()).or_within(OURS)
