"""Every activation of the registry in mpmath's arithmetic, and where floating point is held to it.

The definitions below are the textbook ones, without regard to rounding: mpmath has digits enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
from mpmath import exp, mpf
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.activations import ACTIVATIONS, Activation
from scripts.accuracy.ulp import DIGITS, Array, Truth, truth

Pair = tuple[Any, Any]

# Of "Self-Normalizing Neural Networks" (2017), eq. 14, in all the digits that are given there.
SELU_ALPHA, SELU_SCALE = "1.6732632423543772848170429916717", "1.0507009873554804934193349852946"


def _sigmoid(x: Any) -> Pair:
    return 1 / (1 + exp(-x)), 1 / (1 + exp(-x)) / (1 + exp(x))


def _two_slopes(x: Any, slope: Any) -> Pair:
    return (x, mpf(1)) if x > 0 else (slope * x, slope)


def _elu(x: Any, alpha: Any) -> Pair:
    return (x, mpf(1)) if x > 0 else (alpha * mpmath.expm1(x), alpha * exp(x))


def _selu(x: Any) -> Pair:
    value, derivative = _elu(x, mpf(SELU_ALPHA))
    return mpf(SELU_SCALE) * value, mpf(SELU_SCALE) * derivative


def _gelu(x: Any, approximate: str) -> Pair:
    if approximate == "none":
        cdf = mpmath.ncdf(max(mpf(-1000), min(mpf(1000), x)))  # mpmath gives up far outside
        return x * cdf, cdf + x * exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)
    scale, cubic = 2 * mpmath.sqrt(2 / mpmath.pi), mpf("0.044715")
    gate, slope = _sigmoid(scale * (x + cubic * x**3))
    return x * gate, gate + x * slope * scale * (1 + 3 * cubic * x**2)


def _silu(x: Any) -> Pair:
    s, slope = _sigmoid(x)
    return x * s, s + x * slope


def _softplus(x: Any, beta: Any) -> Pair:
    return mpmath.log1p(exp(beta * x)) / beta, 1 / (1 + exp(-beta * x))


def _hardtanh(x: Any, min_val: Any, max_val: Any) -> Pair:
    return max(min_val, min(max_val, x)), mpf(min_val < x < max_val)


def _hardsigmoid(x: Any) -> Pair:
    return max(mpf(0), min(mpf(6), x + 3)) / 6, mpf(-3 < x < 3) / 6


def _hardswish(x: Any) -> Pair:
    return x * _hardsigmoid(x)[0], (2 * x + 3) / 6 if -3 < x < 3 else mpf(x >= 3)


def _mish(x: Any) -> Pair:
    x_ = min(x, mpf(10_000))  # where tanh is 1 to many digits more than are asked for, and exp has no end
    t, s = mpmath.tanh(mpmath.log1p(exp(x_))), _sigmoid(x_)[0]
    return x * t, t + x_ * s * mpmath.sech(mpmath.log1p(exp(x_))) ** 2


# Value and derivative at a number; at a kink the derivative that torch takes.
EXACT: dict[str, Callable[..., Pair]] = {
    "identity": lambda x: (x, mpf(1)),
    "sigmoid": _sigmoid,
    "tanh": lambda x: (mpmath.tanh(x), mpmath.sech(x) ** 2),
    "relu": lambda x: _two_slopes(x, mpf(0)),
    "leaky_relu": lambda x, negative_slope: _two_slopes(x, negative_slope),
    "prelu": lambda x, weight: _two_slopes(x, weight),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": _softplus,
    "hardtanh": _hardtanh,
    "relu6": lambda x: _hardtanh(x, mpf(0), mpf(6)),
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "mish": _mish,
    "softsign": lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
    "logsigmoid": lambda x: (-mpmath.log1p(exp(-x)), 1 / (1 + exp(x))),
}


def _softmax(row: list[Any]) -> tuple[list[Any], list[Any]]:
    """Value and Jacobian, flattened row by row."""
    e = [exp(v - max(row)) for v in row]
    s = [v / mpmath.fsum(e) for v in e]
    jacobian = [[-a * b for b in s] for a in s]
    for i, a in enumerate(s):
        jacobian[i][i] = a * mpmath.fsum(s[:i] + s[i + 1 :])
    return s, [entry for line in jacobian for entry in line]


def _log_softmax(row: list[Any]) -> tuple[list[Any], list[Any]]:
    """Value and Jacobian, flattened row by row."""
    i, others = row.index(max(row)), [exp(v - max(row)) for v in row]
    del others[i]
    log_sum = mpmath.log1p(mpmath.fsum(others))
    s, jacobian = _softmax(row)
    n = len(s)
    entries = [jacobian[k] / s[k // n] for k in range(n * n)]
    return [v - row[i] - log_sum for v in row], entries


ROWS: dict[str, Callable[[list[Any]], tuple[list[Any], list[Any]]]] = {"softmax": _softmax, "log_softmax": _log_softmax}


Limits = tuple[float, float]


@dataclass(frozen=True)
class ActivationCase:
    """An activation at certain options, and the errors in ulp that its value and its derivative may have, by dtype.

    Options count as rounded to the dtype, which is what either engine computes with. ``exponent(x)`` is E where the
    definition has the exponential exp(-E): |x| but for functions whose exponential is another.
    """

    activation: Activation
    options: dict[str, Any] = field(default_factory=dict)
    float32: Limits = (4.0, 4.0)
    float64: Limits = (4.0, 4.0)
    exponent: Callable[[Array], Array] = np.abs
    zero: bool = False  # whether the derivative has a zero of its own, between -2 and 0

    def arguments(self, dtype: Any) -> dict[str, Any]:
        """The keyword arguments of numpy_nn's functions: PReLU's slopes are an array."""
        return {name: np.full(1, v, dtype) if name == "weight" else v for name, v in self.options.items()}

    def layer(self, dtype: Any) -> nn.Layer:
        """The activation as a layer."""
        if self.activation.name == "prelu":
            return nn.PReLU(1, self.options["weight"], dtype=dtype)
        return nn.ACTIVATION_LAYERS[self.activation.name](**self.options)

    def limits(self, dtype: Any) -> Limits:
        """Of value and derivative."""
        return self.float32 if dtype == np.float32 else self.float64

    def truth(self, x: Array) -> tuple[Truth, Truth]:
        """Value and derivative at ``x``, exact; for softmax those of each row, flattened."""
        with mpmath.workdps(DIGITS):
            if self.activation.elementwise:
                options = {n: v if isinstance(v, str) else mpf(float(x.dtype.type(v))) for n, v in self.options.items()}
                exact = [EXACT[self.activation.name](mpf(float(v)), **options) for v in x]
                values, derivatives = [value for value, _ in exact], [derivative for _, derivative in exact]
            else:
                exact = [ROWS[self.activation.name]([mpf(float(v)) for v in row]) for row in x]
                values, derivatives = [v for row, _ in exact for v in row], [d for _, row in exact for d in row]
            return truth(values, x.dtype), truth(derivatives, x.dtype)

    def held(self, x: Array, exact: Truth) -> NDArray[np.bool_]:
        """Where the limits hold: the result and the exponential in it are normal numbers.

        For softmax that exponential is the smallest of the row.
        """
        with np.errstate(over="ignore", under="ignore"):
            exponent = self.exponent(x.astype(np.float64))
            if not self.activation.elementwise:
                exponent = np.repeat(np.ptp(x.astype(np.float64), axis=1), exact.rounded.size // len(x))
            tiny = np.finfo(x.dtype).tiny
            return (np.abs(exact.rounded) >= tiny) & (np.exp(-exponent) >= tiny)

    def errors(self, x: Array, exact: tuple[Truth, Truth], computed: tuple[Array, Array]) -> tuple[Array, Array]:
        """The errors of value and derivative in ulp.

        Next to a derivative's own zero, where |x| < 2 and the derivative is below 1/8, its two terms cancel: an
        absolute error of at most 2^-23, in float64 2^-52, counts as none.
        """
        value, derivative = (e.error(c.ravel()) for e, c in zip(exact, computed, strict=True))
        if self.zero:
            near = (x < 0.0) & (x > -2.0) & (np.abs(exact[1].rounded) < 0.125)
            derivative[near & (derivative * exact[1].ulp <= np.finfo(x.dtype).eps)] = 0.0
        return value, derivative


def _gelu_tanh_exponent(x: Array) -> Array:
    return np.abs(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


# The limit in float32 where an exponential makes the result. NumPy's float32 exp is off by up to 2.5 ulp (measured, on
# AVX-512). An ulp is relatively twice as large just above a power of two as just below it, so these count as 5 in a
# result that is a little smaller than the exponential. In sigmoid's derivative two numbers in a hundred thousand are
# beyond 4 for that reason. An exponential in float64 would mend it, and the function would take twice as long.
EXP = 6.0

CASES: dict[str, ActivationCase] = {
    "identity": ActivationCase(ACTIVATIONS["identity"]),
    "sigmoid": ActivationCase(ACTIVATIONS["sigmoid"], float32=(4.0, EXP)),
    "tanh": ActivationCase(ACTIVATIONS["tanh"], float32=(4.0, EXP)),
    "relu": ActivationCase(ACTIVATIONS["relu"]),
    "leaky_relu": ActivationCase(ACTIVATIONS["leaky_relu"], {"negative_slope": 0.01}),
    "prelu": ActivationCase(ACTIVATIONS["prelu"], {"weight": 0.3}),
    "elu": ActivationCase(ACTIVATIONS["elu"], {"alpha": 1.0}),
    "elu_1.7": ActivationCase(ACTIVATIONS["elu"], {"alpha": 1.7}),
    "selu": ActivationCase(ACTIVATIONS["selu"]),
    "gelu": ActivationCase(
        ACTIVATIONS["gelu"],
        {"approximate": "none"},
        float64=(8.0, 8.0),
        exponent=lambda x: x * x / 2 + np.log(2 * np.pi) / 2,
        zero=True,
    ),
    "gelu_tanh": ActivationCase(
        ACTIVATIONS["gelu"], {"approximate": "tanh"}, float64=(4.0, 6.0), exponent=_gelu_tanh_exponent, zero=True
    ),
    "silu": ActivationCase(ACTIVATIONS["silu"], float32=(EXP, 8.0), float64=(4.0, 6.0), zero=True),
    "softplus": ActivationCase(ACTIVATIONS["softplus"], {"beta": 1.0}),
    "softplus_0.3": ActivationCase(
        ACTIVATIONS["softplus"], {"beta": 0.3}, float32=(EXP, EXP), exponent=lambda x: np.abs(0.3 * x)
    ),
    "hardtanh": ActivationCase(ACTIVATIONS["hardtanh"], {"min_val": -1.0, "max_val": 1.0}),
    "relu6": ActivationCase(ACTIVATIONS["relu6"]),
    "hardsigmoid": ActivationCase(ACTIVATIONS["hardsigmoid"]),
    "hardswish": ActivationCase(ACTIVATIONS["hardswish"]),
    "mish": ActivationCase(ACTIVATIONS["mish"], zero=True),
    "softsign": ActivationCase(ACTIVATIONS["softsign"]),
    "logsigmoid": ActivationCase(ACTIVATIONS["logsigmoid"]),
    # An entry of the Jacobian is a product of two probabilities, each with an error of its own.
    "softmax": ActivationCase(ACTIVATIONS["softmax"], float64=(4.0, 8.0)),
    "log_softmax": ActivationCase(ACTIVATIONS["log_softmax"]),
}
