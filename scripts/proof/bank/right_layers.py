"""Layers as people write them from scratch, in plain NumPy and float64, each with the right gradient.

They are what the ``wrong_`` modules spoil, and not part of numpy_nn. A layer is ``forward(x)`` and ``backward(g)``
with g = dL/d(output), parameters in the dict ``params`` and their gradients in ``grads`` (the form of joelnet). The
backward pass is cut into one method a formula (``dW``, ``db``, ``dx``, ``df``): a mistake in one of them is one line.

``draw(rng)`` of each class makes one with random shapes and data: the layer, its input, and None where a loss has its
targets. Batches have 2 to 9 rows, widths are 2 to 8; the sizes are all different nine times in ten, since dividing by
the batch size and by the number of classes look alike where they are equal.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Case = tuple[Any, Array, NDArray[Any] | None]


def sizes(rng: np.random.Generator, widths: int = 1) -> tuple[int, ...]:
    """A batch size and so many widths."""
    equal_is_fine = rng.random() < 0.1
    while True:
        drawn = int(rng.integers(2, 10)), *(int(width) for width in rng.integers(2, 9, widths))
        if equal_is_fine or len(set(drawn)) == len(drawn):
            return drawn


def both_signs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers, at least one in each row positive and one negative, none near 0, where many have a kink."""
    x = rng.standard_normal(shape)
    x += np.copysign(0.05, x)
    x[..., 0], x[..., 1] = np.abs(x[..., 0]), -np.abs(x[..., 1])
    return rng.permuted(x, axis=-1)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which is (1 + tanh(x / 2)) / 2."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softmax(z: Array) -> Array:
    """Each row of exp(z) divided by its sum."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Layer(ABC):
    """What every layer has."""

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}

    @abstractmethod
    def forward(self, x: Array) -> Array: ...

    @abstractmethod
    def backward(self, g: Array) -> Array: ...

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        return cls(), both_signs(rng, sizes(rng)), None


class Linear(Layer):
    """x W + b."""

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__()
        self.params = {"W": W, "b": b}

    @classmethod
    def of(cls, rng: np.random.Generator, fan_in: int, fan_out: int) -> Self:
        """A layer with random parameters."""
        return cls(rng.standard_normal((fan_in, fan_out)), rng.standard_normal(fan_out))

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, fan_out = sizes(rng, 2)
        return cls.of(rng, fan_in, fan_out), rng.standard_normal((batch, fan_in)), None

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dW(g), "b": self.db(g)}
        return self.dx(g)

    def dW(self, g: Array) -> Array:
        return self.x.T @ g

    def db(self, g: Array) -> Array:
        return g.sum(axis=0)

    def dx(self, g: Array) -> Array:
        return g @ self.params["W"].T


class Activation(Layer):
    """f entry by entry; ``df`` is f' from the input x or the output y."""

    @abstractmethod
    def f(self, x: Array) -> Array: ...

    @abstractmethod
    def df(self) -> Array: ...

    def forward(self, x: Array) -> Array:
        self.x = x
        self.y = self.f(x)
        return self.y

    def backward(self, g: Array) -> Array:
        return g * self.df()


class ReLU(Activation):
    """max(x, 0)."""

    def f(self, x: Array) -> Array:
        return np.maximum(x, 0.0)

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, 0.0)


class LeakyReLU(Activation):
    """x for x > 0, slope x elsewhere."""

    slope = 0.1

    def f(self, x: Array) -> Array:
        return np.where(x > 0.0, x, self.slope * x)

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, self.slope)


class Sigmoid(Activation):
    """s(x) = 1 / (1 + exp(-x)), s' = s (1 - s)."""

    def f(self, x: Array) -> Array:
        return sigmoid(x)

    def df(self) -> Array:
        return self.y * (1.0 - self.y)


class Tanh(Activation):
    """tanh(x), tanh' = 1 - tanh^2."""

    def f(self, x: Array) -> Array:
        return np.tanh(x)

    def df(self) -> Array:
        return 1.0 - self.y**2


class ELU(Activation):
    """x for x > 0, exp(x) - 1 elsewhere."""

    def f(self, x: Array) -> Array:
        return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, np.exp(np.minimum(self.x, 0.0)))


class Softplus(Activation):
    """log(1 + exp(x)), whose derivative is the sigmoid."""

    def f(self, x: Array) -> Array:
        return np.logaddexp(0.0, x)

    def df(self) -> Array:
        return sigmoid(self.x)


class SiLU(Activation):
    """x s(x)."""

    def f(self, x: Array) -> Array:
        return x * sigmoid(x)

    def df(self) -> Array:
        s = sigmoid(self.x)
        return s + self.x * s * (1.0 - s)


class Logarithm(Activation):
    """log(x + eps) of what is positive."""

    eps = 1e-3

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        return cls(), rng.uniform(0.05, 1.0, sizes(rng)), None

    def f(self, x: Array) -> Array:
        return np.log(x + self.eps)

    def df(self) -> Array:
        return 1.0 / (self.x + self.eps)


class GELU(Activation):
    """x (1 + tanh(c (x + 0.044715 x^3))) / 2 with c = sqrt(2 / pi)."""

    c = math.sqrt(2.0 / math.pi)

    def gate(self, x: Array) -> Array:
        return np.tanh(self.c * (x + 0.044715 * x**3))

    def f(self, x: Array) -> Array:
        return 0.5 * x * (1.0 + self.gate(x))

    def df(self) -> Array:
        x, t = self.x, self.gate(self.x)
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * self.c * (1.0 + 3.0 * 0.044715 * x * x)


class Softmax(Layer):
    """exp(x) divided by its sum over the row; dx = y (g - sum_c g y)."""

    def forward(self, x: Array) -> Array:
        self.y = softmax(x)
        return self.y

    def backward(self, g: Array) -> Array:
        return self.y * (g - (g * self.y).sum(axis=1, keepdims=True))


class LogSoftmax(Layer):
    """x - log sum_c exp(x_c); dx = g - softmax(x) sum_c g."""

    def forward(self, x: Array) -> Array:
        self.p = softmax(x)
        return np.log(self.p)

    def backward(self, g: Array) -> Array:
        return g - self.p * g.sum(axis=1, keepdims=True)


class Dropout(Layer):
    """x mask / keep. The mask comes from a seed, the same at each call, so that there is a derivative to speak of."""

    def __init__(self, seed: int, keep: float) -> None:
        super().__init__()
        self.seed, self.keep = seed, keep

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = int(rng.integers(4, 10)), int(rng.integers(3, 9))
        while True:
            layer = cls(int(rng.integers(1 << 30)), float(rng.choice([0.5, 0.6, 0.7, 0.75])))
            kept = layer.new_mask(shape, layer.seed).mean()
            if 0.0 < kept < 1.0:
                return layer, both_signs(rng, shape), None

    def new_mask(self, shape: tuple[int, ...], seed: int) -> Array:
        return np.where(np.random.default_rng(seed).random(shape) < self.keep, 1.0, 0.0)

    def forward(self, x: Array) -> Array:
        self.mask = self.new_mask(x.shape, self.seed)
        return x * self.mask / self.keep

    def backward(self, g: Array) -> Array:
        return g * self.mask / self.keep


class Normalization(Layer):
    """gamma x^ + beta with x^ = (x - mean) / sqrt(var + eps), mean and var along ``axis``."""

    axis: int
    eps = 1e-5

    def __init__(self, gamma: Array, beta: Array) -> None:
        super().__init__()
        self.params = {"gamma": gamma, "beta": beta}

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, width = sizes(rng)
        # Of two numbers the normalized ones are always -1 and 1, and so nearly without a gradient: take three.
        batch, width = max(batch, 3), max(width, 3)
        layer = cls(rng.uniform(0.5, 2.0, width) * rng.choice([-1.0, 1.0], width), rng.standard_normal(width))
        return layer, 2.0 * rng.standard_normal((batch, width)) + rng.standard_normal(width), None

    def mean(self, a: Array) -> Array:
        return a.mean(axis=self.axis, keepdims=True)

    def forward(self, x: Array) -> Array:
        self.x = x
        centered = x - self.mean(x)
        self.std = np.sqrt(self.mean(centered**2) + self.eps)
        self.x_hat = centered / self.std
        return self.params["gamma"] * self.x_hat + self.params["beta"]

    def backward(self, g: Array) -> Array:
        self.grads = {"gamma": self.dgamma(g), "beta": self.dbeta(g)}
        return self.dx(g)

    def dgamma(self, g: Array) -> Array:
        return (g * self.x_hat).sum(axis=0)

    def dbeta(self, g: Array) -> Array:
        return g.sum(axis=0)

    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - self.mean(h) - self.x_hat * self.mean(h * self.x_hat)) / self.std


class BatchNorm(Normalization):
    """Over the batch, in training mode."""

    axis = 0


class LayerNorm(Normalization):
    """Over the features of each row."""

    axis = 1


class MLP(Layer):
    """f(x W1 + b1) W2 + b2, with f the sigmoid."""

    def __init__(self, rng: np.random.Generator, fan_in: int, hidden: int, fan_out: int) -> None:
        super().__init__()
        shapes = {"W1": (fan_in, hidden), "b1": (hidden,), "W2": (hidden, fan_out), "b2": (fan_out,)}
        self.params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, hidden, fan_out = sizes(rng, 3)
        return cls(rng, fan_in, hidden, fan_out), rng.standard_normal((batch, fan_in)), None

    def f(self, z: Array) -> Array:
        return sigmoid(z)

    def df(self) -> Array:
        return self.h * (1.0 - self.h)

    def forward(self, x: Array) -> Array:
        p = self.params
        self.x, self.z = x, x @ p["W1"] + p["b1"]
        self.h = self.f(self.z)
        return self.h @ p["W2"] + p["b2"]

    def backward(self, g: Array) -> Array:
        delta = self.delta(g)
        self.grads = {"W1": self.x.T @ delta, "b1": delta.sum(axis=0), "W2": self.h.T @ g, "b2": g.sum(axis=0)}
        return delta @ self.params["W1"].T

    def delta(self, g: Array) -> Array:
        """What reaches the hidden layer's z."""
        return (g @ self.params["W2"].T) * self.df()


LAYERS: tuple[type[Layer], ...] = (
    *(Linear, ReLU, LeakyReLU, Sigmoid, Tanh, ELU, Softplus, SiLU, GELU, Logarithm, Softmax, LogSoftmax, Dropout),
    *(BatchNorm, LayerNorm, MLP),
)
