"""What the forms are made of: a register of them, and shapes, numbers and activations, fixed or drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]
Form = Callable[["Draws", float], tuple[tuple[Any, ...], dict[str, Any], str]]

FORMS: dict[str, Form] = {}

# Lengths that are drawn, by the length that a form is written with; a signal must be as long as its kernel.
LENGTHS = dict.fromkeys((2, 3, 4, 5, 6), (1, 7)) | {9: (7, 11)}
SCALES = (1.0, 1.0, 1.0, 1.5, 0.1, 0.01)


def form(function: Form) -> Form:
    """Put the form into the register, under its name."""
    FORMS[function.__name__] = function
    return function


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z))."""
    return np.asarray(1 / (1 + np.exp(-z)))


def softmax(z: Array) -> Array:
    """The softmax of each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sin": (np.sin, np.cos),
    "relu": (lambda z: np.maximum(0, z), lambda z: (z > 0).astype(z.dtype)),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "leaky relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda z: np.exp(np.minimum(z, 0))),
    "softplus": (lambda z: np.logaddexp(0, z), sigmoid),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "square": (np.square, lambda z: 2 * z),
}
"""f and f', by name."""

BOUNDED = ("tanh", "sin", "sigmoid")


class Draws:
    """The shapes and numbers of a form: those that it is written with, or, with a generator, drawn by it.

    A length then is replaced by a random one, the same wherever it stands, but for 1; an activation by any of
    ``ACTIVATIONS``. With the dtype float32 arrays are of float32, and activations and their derivatives compute in it.
    """

    def __init__(self, rng: np.random.Generator | None = None, dtype: str = "float64") -> None:
        self._rng, self._dtype = rng, np.dtype(dtype)
        self._lengths: dict[int, int] = {}
        self._scale = 1.0
        if rng is not None:
            self._lengths = {name: int(rng.integers(low, high + 1)) for name, (low, high) in LENGTHS.items()}
            self._scale = float(rng.choice(SCALES))

    def array(self, *shape: int, seed: int = 0) -> Array:
        """Numbers from N(0, 1), or a multiple of them; a fixed array hangs on its shape and the seed alone."""
        rng = np.random.default_rng(seed + sum(shape)) if self._rng is None else self._rng
        drawn = tuple(self._lengths.get(length, length) for length in shape)
        return (self._scale * rng.standard_normal(drawn)).astype(self._dtype)

    @staticmethod
    def fixed(*shape: int, seed: int = 0) -> Array:
        """Numbers from N(0, 1) that hang on the shape and the seed alone, for forms that hold with no other lengths."""
        return np.random.default_rng(seed + sum(shape)).standard_normal(shape)

    def labels(self, number: int, classes: int) -> NDArray[np.int64]:
        """So many labels, 0 .. classes - 1."""
        rng = np.random.default_rng(0) if self._rng is None else self._rng
        return rng.integers(0, self._lengths.get(classes, classes), self._lengths.get(number, number))

    def binary(self, number: int) -> Array:
        """So many targets, each 0 or 1."""
        rng = np.random.default_rng(0) if self._rng is None else self._rng
        return rng.integers(0, 2, self._lengths.get(number, number)).astype(np.float64)

    def activation(self, name: str, among: Sequence[str] = tuple(ACTIVATIONS)) -> tuple[Function, Function]:
        """An activation and its derivative: the one of this name, or any of those ``among`` which it is."""
        if self._rng is not None:
            name = str(self._rng.choice(among))
        (f, slope), dtype = ACTIVATIONS[name], self._dtype
        if dtype == np.float64:
            return f, slope
        return (lambda z: f(z.astype(dtype))), (lambda z: slope(z.astype(dtype)))
