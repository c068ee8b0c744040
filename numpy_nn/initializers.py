"""Initial values, written in place: each function fills a parameter (or an array) and returns nothing.

Values are drawn in float64 and rounded to the parameter's dtype, so that one seed gives the same network in float32
and float64. A weight is (in_features, out_features), so fan_in is its first dimension, fan_out its second.
"""

from __future__ import annotations

import math

import numpy as np

from numpy_nn._support.checks import Seed, choice, generator, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.parameter import Parameter

Target = Parameter | FloatArray


def normal_(target: Target, mean: float = 0.0, std: float = 1.0, *, rng: Seed = None) -> None:
    """N(mean, std^2)."""
    mean, std = number(mean, "mean"), number(std, "std", low=0.0)
    data = _data(target)
    data[...] = generator(rng).normal(mean, std, data.shape)


def uniform_(target: Target, low: float = 0.0, high: float = 1.0, *, rng: Seed = None) -> None:
    """Uniform on [low, high)."""
    low, high = number(low, "low"), number(high, "high", low=low)
    data = _data(target)
    data[...] = generator(rng).uniform(low, high, data.shape)


def zeros_(target: Target) -> None:
    """0 everywhere."""
    _data(target).fill(0.0)


def xavier_uniform_(target: Target, gain: float = 1.0, *, rng: Seed = None) -> None:
    """Uniform on [-a, a], a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, eq. 16)."""
    bound = number(gain, "gain") * math.sqrt(6.0 / sum(_fans(target)))
    uniform_(target, -abs(bound), abs(bound), rng=rng)


def xavier_normal_(target: Target, gain: float = 1.0, *, rng: Seed = None) -> None:
    """N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out))."""
    normal_(target, 0.0, abs(number(gain, "gain")) * math.sqrt(2.0 / sum(_fans(target))), rng=rng)


def kaiming_uniform_(
    target: Target, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Seed = None
) -> None:
    """Uniform on [-b, b], b = gain sqrt(3 / fan) (He et al., 2015); gain as in :func:`calculate_gain`."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(target, mode))
    uniform_(target, -bound, bound, rng=rng)


def kaiming_normal_(
    target: Target, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Seed = None
) -> None:
    """N(0, std^2), std = gain / sqrt(fan) (He et al., 2015, eq. 10 for fan_in and 14 for fan_out)."""
    normal_(target, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(target, mode)), rng=rng)


def calculate_gain(nonlinearity: str, a: float = 0.0) -> float:
    """The factor by which an activation is thought to shrink a signal, as torch.nn.init.calculate_gain has it.

    1 for "linear" and "sigmoid", 5/3 for "tanh", sqrt(2) for "relu", sqrt(2 / (1 + a^2)) for "leaky_relu", 3/4 for
    "selu". Raises ValueError for any other name.
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + number(a, "a") ** 2)),
        "selu": 0.75,
    }
    return gains[choice(nonlinearity, "nonlinearity", gains)]


def linear_default_(weight: Target, bias: Target | None = None, *, rng: Seed = None) -> None:
    """torch.nn.Linear's default: weight and bias uniform on [-b, b], b = 1 / sqrt(fan_in).

    (In torch it is written kaiming_uniform_ with a = sqrt(5), which comes to the same bound.)
    """
    rng = generator(rng)
    bound = 1.0 / math.sqrt(_fans(weight)[0])
    uniform_(weight, -bound, bound, rng=rng)
    if bias is not None:
        uniform_(bias, -bound, bound, rng=rng)


def _data(target: Target) -> FloatArray:
    data = target.data if isinstance(target, Parameter) else target
    if not (isinstance(data, np.ndarray) and np.issubdtype(data.dtype, np.floating)):
        raise TypeError(f"target: expected a Parameter or an array of floats, got {type(target).__name__}")
    return data


def _fans(target: Target) -> tuple[int, int]:
    shape = _data(target).shape
    if len(shape) != 2:
        raise ValueError(f"target: expected shape (in_features, out_features), got {shape}")
    return shape[0], shape[1]


def _fan(target: Target, mode: str) -> int:
    fan_in, fan_out = _fans(target)
    return fan_in if choice(mode, "mode", ("fan_in", "fan_out")) == "fan_in" else fan_out
