"""Functions that compute in few digits, at inputs of which most saturate: there a slope shows only across their steps.

Each is right at ``factor`` 1 and off by any other. Inputs are normal numbers times 0.1 to 10,000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[Callable[..., Any], Callable[..., Any]]

# What keeps a logarithm finite, and its derivative too: 1 / 1e-7 is more than float16 holds.
EPS = {"float32": 1e-7, "float16": 1e-3}


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def log_of_softmax(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """The mean of -log(p + eps) of random labels."""
    rows, labels = np.arange(shape[0]), rng.integers(0, shape[1], shape[0])
    one_hot, eps = np.eye(shape[1], dtype=dtype)[labels], np.asarray(EPS[dtype], dtype)

    def loss(z: Array) -> Any:
        return -np.log(_softmax(z.astype(dtype))[rows, labels] + eps).mean()

    def gradient(z: Array) -> Any:
        p = _softmax(z.astype(dtype))
        true = p[rows, labels]
        return factor * (p - one_hot) * (true / (true + eps))[:, None] / len(rows)

    return loss, gradient


def log_of_sigmoid(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """The mean binary cross-entropy of random labels, with the same eps in both logarithms."""
    y, eps = (rng.random(shape) > 0.5).astype(dtype), np.asarray(EPS[dtype], dtype)

    def loss(z: Array) -> Any:
        p = _sigmoid(z.astype(dtype))
        return -(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps)).mean()

    def gradient(z: Array) -> Any:
        p = _sigmoid(z.astype(dtype))
        return -factor * (y / (p + eps) - (1 - y) / (1 - p + eps)) * p * (1 - p) / p.size

    return loss, gradient


def log_sum_exp(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """Of each row."""
    del rng, shape

    def forward(z: Array) -> Any:
        z = z.astype(dtype)
        most = z.max(axis=1)
        return most + np.log(np.exp(z - most[:, None]).sum(axis=1))

    return forward, lambda g, z: factor * g[:, None] * _softmax(z.astype(dtype))


def tanh(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """Entry by entry."""
    del rng, shape
    return lambda z: np.tanh(z.astype(dtype)), lambda g, z: factor * g * (1 - np.square(np.tanh(z.astype(dtype))))


def layer_norm(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """Of each row, around a mean that may be far larger than what it varies by, but in float16 no larger than 10."""
    shift, eps = 10.0 ** rng.uniform(-1.0, 3.0 if dtype == "float32" else 1.0), np.asarray(1e-5, dtype)
    del shape

    def parts(z: Array) -> tuple[Array, Array]:
        z = (z + shift).astype(dtype)
        centered = z - z.mean(axis=1, keepdims=True)
        std = np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + eps)
        return centered / std, std

    def gradient(g: Array, z: Array) -> Any:
        h, std = parts(z)
        g = g.astype(dtype)
        return factor * (g - g.mean(axis=1, keepdims=True) - h * (g * h).mean(axis=1, keepdims=True)) / std

    return lambda z: parts(z)[0], gradient


def decimals(rng: np.random.Generator, shape: tuple[int, int], dtype: str, factor: float) -> Pair:
    """tanh(z W), rounded to 2 to 6 decimals in float64."""
    del dtype
    W, places = rng.standard_normal((shape[1], 3)), int(rng.integers(2, 7))
    return (
        lambda z: np.round(np.tanh(z @ W), places),
        lambda g, z: factor * (g * (1 - np.square(np.tanh(z @ W)))) @ W.T,
    )


KINDS = (
    *((function, "float32") for function in (log_of_softmax, log_of_sigmoid, log_sum_exp, tanh, layer_norm)),
    *((function, "float16") for function in (log_of_softmax, log_of_sigmoid, log_sum_exp, tanh, layer_norm)),
    (decimals, "float64"),
)


def saturated(seed: int, index: int, factor: float) -> tuple[str, Pair, Array]:
    """The case of that index, all kinds in turn: its name, the function with its gradient, and the input."""
    function, dtype = KINDS[index % len(KINDS)]
    rng = np.random.default_rng((seed, index))
    shape = int(rng.integers(1, 6)), int(rng.integers(2, 8))
    x = 10.0 ** rng.uniform(-1.0, 4.0) * rng.standard_normal(shape)
    return f"{function.__name__}, {dtype}", function(rng, shape, dtype, factor), x
