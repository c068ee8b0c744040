"""Convolution, pooling, upsampling and norms of images as people write them from scratch, each with the right gradient.

As ``right_layers``: images are (N, C, H, W), except where channels are said to be last.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from scripts.proof.bank.right_layers import Array, Case, Layer


def apart(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of which no two are close, so that the largest of a window is the same one nearby."""
    size = int(np.prod(shape))
    return (0.1 * (rng.permutation(size) - size / 2) + 0.02 * rng.random(size)).reshape(shape)


class Windowed(Layer):
    """Square windows of ``size``, ``stride`` apart, over images: what happens in each is a subclass's."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        size, stride = (3, 2) if rng.random() < 0.5 else (2, 2)
        counts = [int(count) for count in rng.permutation([2, 3])]
        shape = (int(rng.integers(2, 4)), int(rng.integers(1, 3)), *((count - 1) * stride + size for count in counts))
        return cls(size, stride), apart(rng, shape), None

    def places(self, rows: int, columns: int) -> list[tuple[int, int, tuple[Any, ...]]]:
        """Row and column of each output with the place of its window."""
        found = []
        for row in range(rows):
            for column in range(columns):
                top, left = self.corner(row, column)
                found.append((row, column, (..., slice(top, top + self.size), slice(left, left + self.size))))
        return found

    def corner(self, row: int, column: int) -> tuple[int, int]:
        return row * self.stride, column * self.stride

    def counts(self, x: Array) -> tuple[int, int]:
        return (x.shape[2] - self.size) // self.stride + 1, (x.shape[3] - self.size) // self.stride + 1

    @abstractmethod
    def value(self, window: Array) -> Array: ...

    @abstractmethod
    def share(self, window: Array) -> Array:
        """The derivative of the value by each entry of the window."""

    def forward(self, x: Array) -> Array:
        self.x = x
        y = np.zeros((*x.shape[:2], *self.counts(x)))
        for row, column, _ in self.places(*y.shape[2:]):
            top, left = row * self.stride, column * self.stride
            y[:, :, row, column] = self.value(x[:, :, top : top + self.size, left : left + self.size])
        return y

    def backward(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        for row, column, place in self.places(*g.shape[2:]):
            self.write(dx, place, self.share(self.x[place]) * g[:, :, row, column][:, :, None, None])
        return dx

    def write(self, dx: Array, place: tuple[Any, ...], part: Array) -> None:
        dx[place] += part


class MaxPool(Windowed):
    """The largest of each window."""

    def value(self, window: Array) -> Array:
        return np.asarray(window.max(axis=(2, 3)))

    def share(self, window: Array) -> Array:
        return (window == window.max(axis=(2, 3), keepdims=True)) * 1.0


class AveragePool(Windowed):
    """The mean of each window."""

    def value(self, window: Array) -> Array:
        return np.asarray(window.mean(axis=(2, 3)))

    def share(self, window: Array) -> Array:
        return np.full(window.shape, 1.0 / window[0, 0].size)


class Conv2d(Layer):
    """Cross-correlation with kernels W (out, in, size, size), and a bias."""

    def __init__(self, W: Array, b: Array, stride: int) -> None:
        super().__init__()
        self.params = {"W": W, "b": b}
        self.stride = stride

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, channels, out = (int(number) for number in rng.permutation([2, 3, 4]))
        size, stride = int(rng.integers(2, 4)), int(rng.integers(1, 3))
        counts = [int(count) for count in rng.permutation([2, 3])]
        x = rng.standard_normal((batch, channels, *((count - 1) * stride + size for count in counts)))
        return cls(rng.standard_normal((out, channels, size, size)), rng.standard_normal(out), stride), x, None

    def window(self, row: int, column: int, stride: int) -> tuple[Any, ...]:
        size = self.params["W"].shape[2]
        return (..., slice(row * stride, row * stride + size), slice(column * stride, column * stride + size))

    def places(self, g: Array, stride: int) -> list[tuple[int, int, tuple[Any, ...]]]:
        return [(r, c, self.window(r, c, stride)) for r in range(g.shape[2]) for c in range(g.shape[3])]

    def forward(self, x: Array) -> Array:
        self.x, W = x, self.params["W"]
        rows, columns = ((length - W.shape[2]) // self.stride + 1 for length in x.shape[2:])
        y = np.zeros((len(x), len(W), rows, columns))
        for row, column, place in self.places(y, self.stride):
            y[:, :, row, column] = np.einsum("ncij,ocij->no", x[place], W) + self.params["b"]
        return y

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dW(g), "b": self.db(g)}
        return self.dx(g)

    def dW(self, g: Array) -> Array:
        places = self.places(g, self.stride)
        return np.sum([np.einsum("no,ncij->ocij", g[:, :, r, c], self.x[place]) for r, c, place in places], axis=0)

    def db(self, g: Array) -> Array:
        return g.sum(axis=(0, 2, 3))

    def dx(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        for row, column, place in self.places(g, self.stride):
            dx[place] += np.einsum("no,ocij->ncij", g[:, :, row, column], self.params["W"])
        return dx


class UpSample(Layer):
    """Each pixel as a square of 2 x 2."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        height, width = (int(length) for length in rng.permutation([2, 3, 4])[:2])
        return cls(), rng.standard_normal((int(rng.integers(2, 4)), int(rng.integers(1, 3)), height, width)), None

    def forward(self, x: Array) -> Array:
        return x.repeat(2, axis=2).repeat(2, axis=3)

    def backward(self, g: Array) -> Array:
        n, c, height, width = g.shape
        return g.reshape(n, c, height // 2, 2, width // 2, 2).sum(axis=(3, 5))


class NormOfImages(Layer):
    """gamma x^ + beta with x^ = (x - mean) / root, mean and variance over ``axes``; a scale for each channel."""

    axes: tuple[int, ...] = (0, 2, 3)
    eps = 1e-3

    def __init__(self, gamma: Array, beta: Array) -> None:
        super().__init__()
        self.params = {"gamma": gamma, "beta": beta}

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = tuple(int(length) for length in rng.permutation([2, 3, 4, 2]))
        layer = cls(rng.uniform(0.5, 2.0, shape[1]), rng.standard_normal(shape[1]))
        return layer, 2.0 * rng.standard_normal(shape) + 1.0, None

    def mean(self, a: Array) -> Array:
        return np.asarray(a.mean(axis=self.axes, keepdims=True))

    def root(self, variance: Array) -> Array:
        return np.sqrt(variance + self.eps)

    def by_channel(self, name: str) -> Array:
        return self.params[name][:, None, None]

    def forward(self, x: Array) -> Array:
        self.x = x
        centered = x - self.mean(x)
        self.variance = self.mean(centered**2)
        self.std = self.root(self.variance)
        self.x_hat = centered / self.std
        return self.by_channel("gamma") * self.x_hat + self.by_channel("beta")

    def backward(self, g: Array) -> Array:
        self.grads = {"gamma": (g * self.x_hat).sum(axis=(0, 2, 3)), "beta": g.sum(axis=(0, 2, 3))}
        return self.dx(g * self.by_channel("gamma"))

    def dx(self, h: Array) -> Array:
        return (h - self.mean(h) - self.x_hat * self.mean(h * self.x_hat)) / self.std


class BatchNorm2d(NormOfImages):
    """Over the batch and the pixels."""


class LayerNormOfImages(NormOfImages):
    """Over everything in one image."""

    axes = (1, 2, 3)


IMAGE_LAYERS: tuple[type[Layer], ...] = (*(MaxPool, AveragePool, Conv2d, UpSample, BatchNorm2d, LayerNormOfImages),)
