"""Losses as people write them from scratch, in plain NumPy and float64, each with the right gradient.

As ``right_layers``: a loss is ``forward(output, target)``, a float, and ``backward()``, dL/d(output).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.right_layers import Array, Case, sigmoid, sizes, softmax


def one_hot(labels: NDArray[Any], classes: int) -> Array:
    """A row for each label, 1 at the label and 0 elsewhere."""
    return np.eye(classes)[labels]


class Loss(ABC):
    """The mean over the rows of the batch of each row's loss."""

    def forward(self, output: Array, target: NDArray[Any]) -> float:
        self.output, self.target = output, target
        return float(self.rows().mean())

    def backward(self) -> Array:
        return self.gradient() / len(self.output)

    @abstractmethod
    def rows(self) -> Array: ...

    @abstractmethod
    def gradient(self) -> Array:
        """The derivative of each row's loss by that row of the output."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = sizes(rng)
        return cls(), rng.standard_normal(shape), rng.standard_normal(shape)


class CrossEntropy(Loss):
    """-log softmax(z) at the label; the gradient is softmax(z) minus the one-hot row."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, classes = sizes(rng)
        return cls(), 1.5 * rng.standard_normal((batch, classes)), rng.integers(0, classes, batch)

    def one_hot(self) -> Array:
        return one_hot(self.target, self.output.shape[1])

    def rows(self) -> Array:
        return -np.log((softmax(self.output) * self.one_hot()).sum(axis=1))

    def gradient(self) -> Array:
        return softmax(self.output) - self.one_hot()


class MSE(Loss):
    """sum_c (o_c - t_c)^2."""

    def rows(self) -> Array:
        return ((self.output - self.target) ** 2).sum(axis=1)

    def gradient(self) -> Array:
        return 2.0 * (self.output - self.target)


class BCEWithLogits(Loss):
    """Sum over the columns of log(1 + exp(z)) - t z; the gradient is s(z) - t."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = sizes(rng)
        return cls(), 1.5 * rng.standard_normal(shape), rng.integers(0, 2, shape).astype(np.float64)

    def rows(self) -> Array:
        return (np.logaddexp(0.0, self.output) - self.target * self.output).sum(axis=1)

    def gradient(self) -> Array:
        return sigmoid(self.output) - self.target


class Hinge(Loss):
    """Sum over the wrong classes of max(0, z_c - z_y + 1): the multiclass hinge of CS231n."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, classes = sizes(rng)
        z = rng.standard_normal((batch, classes))
        labels = rng.integers(0, classes, batch)
        labels[0] = z[0].argmin()  # at least one margin is broken
        return cls(), z, labels

    def margins(self) -> Array:
        label = self.output[np.arange(len(self.output)), self.target][:, None]
        wrong = 1.0 - one_hot(self.target, self.output.shape[1])
        return np.maximum(0.0, self.output - label + 1.0) * wrong

    def rows(self) -> Array:
        return self.margins().sum(axis=1)

    def gradient(self) -> Array:
        broken = (self.margins() > 0.0) * 1.0
        return broken - broken.sum(axis=1, keepdims=True) * one_hot(self.target, self.output.shape[1])


class BinaryOfProbabilities(Loss):
    """-(t log p + (1 - t) log(1 - p)), summed over the columns, of probabilities p."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = sizes(rng)
        return cls(), rng.uniform(0.1, 0.9, shape), rng.integers(0, 2, shape).astype(np.float64)

    def rows(self) -> Array:
        p, t = self.output, self.target
        return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).sum(axis=1)

    def gradient(self) -> Array:
        return (self.output - self.target) / (self.output * (1.0 - self.output))


class CategoricalOfProbabilities(Loss):
    """-sum_c t_c log p_c of rows of probabilities."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, classes = sizes(rng)
        p = softmax(rng.standard_normal((batch, classes)))
        return cls(), p, one_hot(rng.integers(0, classes, batch), classes)

    def rows(self) -> Array:
        return -(self.target * np.log(self.output)).sum(axis=1)

    def gradient(self) -> Array:
        return -self.target / self.output


class CrossEntropyWithEpsilon(CrossEntropy):
    """-log(p + eps) at the label."""

    eps = 1e-7

    def rows(self) -> Array:
        return -np.log((softmax(self.output) * self.one_hot()).sum(axis=1) + self.eps)

    def gradient(self) -> Array:
        p = (softmax(self.output) * self.one_hot()).sum(axis=1, keepdims=True)
        return super().gradient() * p / (p + self.eps)


class OneColumn(Loss):
    """(o - t)^2 of one column o of shape (batch, 1), and targets of shape (batch,)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch = int(rng.integers(3, 10))
        return cls(), rng.standard_normal((batch, 1)), rng.standard_normal(batch)

    def goal(self) -> Array:
        return np.asarray(self.target.reshape(self.output.shape), np.float64)

    def rows(self) -> Array:
        return (self.output - self.goal()) ** 2

    def gradient(self) -> Array:
        return 2.0 * (self.output - self.goal())


class Flat(OneColumn):
    """(o - t)^2 with o and t of shape (batch,)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch = int(rng.integers(3, 10))
        return cls(), rng.standard_normal(batch), rng.standard_normal(batch)


LOSSES: tuple[type[Loss], ...] = (
    *(CrossEntropy, MSE, BCEWithLogits, Hinge, BinaryOfProbabilities, CategoricalOfProbabilities),
    *(CrossEntropyWithEpsilon, OneColumn, Flat),
)
