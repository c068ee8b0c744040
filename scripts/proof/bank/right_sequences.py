"""Embedding, attention, recurrence and other layers of sequences, each with the right gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.right_layers import Array, Case, Layer


class Embedding(Layer):
    """x + W[index]: rows of a table, some of them more than once."""

    def __init__(self, W: Array, index: NDArray[Any]) -> None:
        super().__init__()
        self.params, self.index = {"W": W}, index

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        words, width, length = int(rng.integers(4, 8)), int(rng.integers(2, 5)), int(rng.integers(4, 8))
        index = rng.integers(0, words, length)
        index[:3] = 0, 0, 1
        index[3:] = np.where(index[3:] == 1, 2, index[3:])
        return cls(rng.standard_normal((words, width)), index), rng.standard_normal((length, width)), None

    def forward(self, x: Array) -> Array:
        return x + self.params["W"][self.index]

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dW(g)}
        return g

    def dW(self, g: Array) -> Array:
        dW = np.zeros_like(self.params["W"])
        np.add.at(dW, self.index, g)
        return dW


class Gather(Layer):
    """Rows of the input, some of them more than once."""

    def __init__(self, index: NDArray[Any]) -> None:
        super().__init__()
        self.index = index

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        rows, width = int(rng.integers(4, 9)), int(rng.integers(2, 6))
        return cls(np.array([0, 0, 1, 2, 0, 3])), rng.standard_normal((rows, width)), None

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.tanh(x[self.index])

    def backward(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        self.put(dx, g * (1.0 - np.tanh(self.x[self.index]) ** 2))
        return dx

    def put(self, dx: Array, delta: Array) -> None:
        np.add.at(dx, self.index, delta)


class LayerNormOfSequences(Layer):
    """(x - mean) / sqrt(var + eps) over the last axis of (batch, time, features), without parameters."""

    eps = 1e-3

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = tuple(int(length) for length in rng.permutation([2, 3, 4, 5])[:2])
        return cls(), 1.0 + 2.0 * rng.standard_normal((*shape, int(rng.integers(3, 7)))), None

    def mean(self, a: Array) -> Array:
        return np.asarray(a.mean(axis=-1, keepdims=True))

    def root(self, variance: Array) -> Array:
        return np.sqrt(variance + self.eps)

    def forward(self, x: Array) -> Array:
        centered = x - self.mean(x)
        self.variance = self.mean(centered**2)
        self.std = self.root(self.variance)
        self.x_hat = centered / self.std
        return self.x_hat

    def backward(self, g: Array) -> Array:
        return (g - self.mean(g) - self.x_hat * self.mean(g * self.x_hat)) / self.std


class RMSNorm(Layer):
    """x / sqrt(mean(x^2) + eps) over the last axis of (batch, features)."""

    eps = 1e-3

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        return cls(), 2.0 * rng.standard_normal((int(rng.integers(2, 6)), int(rng.integers(3, 7)))), None

    def mean(self, a: Array) -> Array:
        return np.asarray(a.mean(axis=-1, keepdims=True))

    def root(self, squares: Array) -> Array:
        return np.sqrt(squares + self.eps)

    def forward(self, x: Array) -> Array:
        self.x = x
        self.r = self.root(self.mean(x**2))
        return x / self.r

    def backward(self, g: Array) -> Array:
        return g / self.r - self.x * self.mean(g * self.x) / self.r**3


class UnitLength(RMSNorm):
    """x / sqrt(sum(x^2) + eps), each row a vector of length 1."""

    def mean(self, a: Array) -> Array:
        return np.asarray(a.sum(axis=-1, keepdims=True))


class Attention(Layer):
    """softmax(Q K^T / sqrt(d)) V with Q = x Wq, K = x Wk, V = x Wv; x is (batch, time, features)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, time, width = (int(length) for length in rng.permutation([2, 3, 4]))
        layer = cls()
        layer.params = {name: rng.standard_normal((width, width)) for name in ("Wq", "Wk", "Wv")}
        return layer, rng.standard_normal((batch, time, width)), None

    def forward(self, x: Array) -> Array:
        p, self.x, self.scale = self.params, x, x.shape[-1] ** -0.5
        self.q, self.k, self.v = x @ p["Wq"], x @ p["Wk"], x @ p["Wv"]
        scores = self.scale * self.q @ self.k.swapaxes(1, 2)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self.weights = weights / weights.sum(axis=-1, keepdims=True)
        return self.weights @ self.v

    def backward(self, g: Array) -> Array:
        p, s = self.params, self.weights
        ds = g @ self.v.swapaxes(1, 2)
        dscores = self.scale * s * (ds - (ds * s).sum(axis=-1, keepdims=True))
        parts = {"Wq": dscores @ self.k, "Wk": dscores.swapaxes(1, 2) @ self.q, "Wv": s.swapaxes(1, 2) @ g}
        self.grads = {name: np.einsum("nti,nto->io", self.x, part) for name, part in parts.items()}
        return np.sum([part @ p[name].T for name, part in parts.items()], axis=0)


class RNNStep(Layer):
    """tanh(x Wx + h Wh + b) for one step, from a hidden state that stays as it is."""

    def __init__(self, hidden: Array) -> None:
        super().__init__()
        self.hidden = hidden

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, width = (int(length) for length in rng.permutation([2, 3, 4, 5])[:3])
        layer = cls(rng.standard_normal((batch, width)))
        shapes = {"Wx": (fan_in, width), "Wh": (width, width), "b": (width,)}
        layer.params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        return layer, rng.standard_normal((batch, fan_in)), None

    def forward(self, x: Array) -> Array:
        self.x, p = x, self.params
        hidden = np.resize(self.hidden, (len(x), self.hidden.shape[1]))
        self.used, self.y = hidden, np.tanh(x @ p["Wx"] + hidden @ p["Wh"] + p["b"])
        return self.y

    def backward(self, g: Array) -> Array:
        delta = g * (1.0 - self.y**2)
        self.grads = {"Wx": self.x.T @ delta, "Wh": self.used.T @ delta, "b": delta.sum(axis=0)}
        return delta @ self.params["Wx"].T


class RNN(Layer):
    """h_t = tanh(x_t Wx + h_t-1 Wh + b) for x (batch, time, features); all h_t are the output."""

    back: int | None = None
    """So many steps does the gradient of an output go back; None for all of them."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, width = (int(length) for length in rng.permutation([2, 3, 4])[:3])
        layer = cls()
        shapes = {"Wx": (fan_in, width), "Wh": (width, width), "b": (width,)}
        layer.params = {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}
        return layer, rng.standard_normal((batch, int(rng.integers(4, 7)), fan_in)), None

    def forward(self, x: Array) -> Array:
        self.x, p = x, self.params
        self.h = np.zeros((x.shape[1] + 1, len(x), len(p["b"])))
        for t in range(x.shape[1]):
            self.h[t + 1] = np.tanh(x[:, t] @ p["Wx"] + self.h[t] @ p["Wh"] + p["b"])
        return self.output()

    def output(self) -> Array:
        return self.h[1:].swapaxes(0, 1).copy()

    def backward(self, g: Array) -> Array:
        return self.through_time(g)

    def through_time(self, g: Array) -> Array:
        p, steps = self.params, self.x.shape[1]
        self.grads = {name: np.zeros_like(array) for name, array in p.items()}
        dx = np.zeros_like(self.x)
        for last in range(steps):
            dh = g[:, last]
            first = 0 if self.back is None else max(0, last - self.back + 1)
            for t in range(last, first - 1, -1):
                delta = dh * (1.0 - self.h[t + 1] ** 2)
                self.grads["Wx"] += self.x[:, t].T @ delta
                self.grads["Wh"] += self.h[t].T @ delta
                self.grads["b"] += delta.sum(axis=0)
                dx[:, t] += delta @ p["Wx"].T
                dh = delta @ p["Wh"].T
        return dx


class LastOfRNN(RNN):
    """The last h_t alone."""

    def output(self) -> Array:
        return self.h[-1].copy()

    def backward(self, g: Array) -> Array:
        all_steps = np.zeros((len(g), self.x.shape[1], g.shape[1]))
        all_steps[:, -1] = g
        return self.through_time(all_steps)


class Scale(Layer):
    """x w, entry by entry, for x (batch, time, features)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = tuple(int(length) for length in rng.permutation([2, 3, 4, 5])[:3])
        layer = cls()
        layer.params = {"w": rng.standard_normal(shape[-1])}
        return layer, rng.standard_normal(shape), None

    def forward(self, x: Array) -> Array:
        self.x = x
        return x * self.params["w"]

    def backward(self, g: Array) -> Array:
        self.grads = {"w": self.dw(g)}
        return g * self.params["w"]

    def dw(self, g: Array) -> Array:
        return (g * self.x).sum(axis=(0, 1))


class Staircase(Layer):
    """round(2 x) / 2, which is constant between its steps."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = int(rng.integers(2, 10)), int(rng.integers(2, 9))
        return cls(), 0.5 * rng.integers(-4, 5, shape) + rng.uniform(-0.1, 0.1, shape), None

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.round(2.0 * x) / 2.0

    def backward(self, g: Array) -> Array:
        return np.zeros_like(g)


SEQUENCE_LAYERS: tuple[type[Layer], ...] = (
    *(Embedding, Gather, LayerNormOfSequences, RMSNorm, UnitLength),
    *(Attention, RNNStep, RNN, LastOfRNN, Scale, Staircase),
)
