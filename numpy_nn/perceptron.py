"""Rosenblatt's perceptron: the update rule, its loss, and the bound on its mistakes.

The decision is the sign of f(x) = w . x + b. A point (x, y) with y in {-1, +1} is right if y f(x) > 0. The rule,

    while some point is not right: w <- w + lr y x, b <- b + lr y

is stochastic gradient descent with batch size 1 on max(0, -y f(x)), :class:`~numpy_nn.losses.PerceptronLoss`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from numpy_nn._support.checks import Seed, count, float_dtype, generator, number, same_dtype
from numpy_nn._support.workspace import FloatArray


@dataclass
class PerceptronHistory:
    """What :meth:`Perceptron.fit` did: the mistakes (updates) of each epoch, and whether the last epoch had none."""

    mistakes: list[int] = field(default_factory=list)
    converged: bool = False

    @property
    def total_mistakes(self) -> int:
        """The number of updates, which Novikoff's theorem bounds."""
        return sum(self.mistakes)


class Perceptron:
    """A linear classifier of points x of shape (n_features,) into two classes.

    Labels are -1 and +1, or 0 and 1 (0 then means -1); :meth:`predict` answers in the labels last fitted with, -1 and
    +1 before. ``weight`` has shape (n_features,), ``bias`` shape (); both begin at 0, as Novikoff's bound wants it.
    """

    def __init__(self, n_features: int, lr: float = 1.0, *, dtype: DTypeLike = np.float32) -> None:
        self.n_features = count(n_features, "n_features")
        self.lr = number(lr, "lr", above=0.0)
        self.dtype = float_dtype(dtype)
        self.weight = np.zeros(self.n_features, self.dtype)
        self.bias = np.zeros((), self.dtype)
        self._negative_label = -1

    def decision_function(self, x: ArrayLike) -> FloatArray:
        """f(x) = x . w + b for each row of ``x``, of shape (batch, n_features) and the perceptron's dtype."""
        return self._points(x) @ self.weight + self.bias

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """The class of each row: the positive one where f(x) > 0."""
        return np.where(self.decision_function(x) > 0, 1, self._negative_label)

    def update(self, x: ArrayLike, y: int) -> bool:
        """Rosenblatt's rule for one point ``x`` of shape (n_features,): returns whether it was a mistake."""
        point = self._points(np.asarray(x)[None])[0]
        return self._update(point, _signs([y])[0][0])

    def _update(self, point: FloatArray, sign: np.int64) -> bool:
        if sign * (point @ self.weight + self.bias) > 0:
            return False
        step = self.dtype.type(self.lr * sign)
        self.weight += step * point
        self.bias += step
        return True

    def fit(
        self, x: ArrayLike, y: ArrayLike, max_epochs: int = 1000, *, shuffle: bool = False, rng: Seed = None
    ) -> PerceptronHistory:
        """Apply the rule to point after point until an epoch has no mistake, or for ``max_epochs`` epochs.

        Goes on from the present weights. The order is that of the rows, or a new one each epoch with ``shuffle``.
        ValueError for labels that are neither -1 and +1 nor 0 and 1, shapes that do not fit, no points, or points
        that are not finite.
        """
        points = self._points(x)
        signs, self._negative_label = _signs(y, len(points))
        if not np.isfinite(points).all():
            raise ValueError("Perceptron: expected finite points, got nan or inf")
        rng = generator(rng)
        history = PerceptronHistory()
        for _ in range(count(max_epochs, "max_epochs")):
            order = rng.permutation(len(points)) if shuffle else range(len(points))
            history.mistakes.append(sum(self._update(points[i], signs[i]) for i in order))
            if history.mistakes[-1] == 0:
                history.converged = True
                break
        return history

    def loss(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """max(0, -y f(x)) for each row."""
        f = self.decision_function(x)
        return np.maximum(-_signs(y, len(f))[0].astype(self.dtype) * f, 0)

    def margin(self, x: ArrayLike, y: ArrayLike) -> float:
        """The least y f(x) / |w|: the distance of the nearest point from the line, negative if it is misclassified.

        ValueError if w is 0, which defines no line.
        """
        norm = float(np.linalg.norm(self.weight.astype(np.float64)))
        if norm == 0.0:
            raise ValueError("Perceptron: the margin needs a weight other than 0")
        f = self.decision_function(x).astype(np.float64)
        return float((_signs(y, len(f))[0] * f).min()) / norm

    def novikoff_bound(self, x: ArrayLike, y: ArrayLike) -> float:
        """(R / gamma)^2 with the present weights as the separator; see :func:`novikoff_bound`."""
        points = self._points(x).astype(np.float64)
        return novikoff_bound(points, y, self.weight.astype(np.float64), float(self.bias))

    def _points(self, x: ArrayLike) -> FloatArray:
        points = same_dtype(x, self.dtype, "Perceptron: x")
        if points.ndim != 2 or points.shape[1] != self.n_features or points.shape[0] == 0:
            raise ValueError(
                f"Perceptron: expected x of shape (batch, {self.n_features}) with at least one row, got {points.shape}"
            )
        return points

    def __repr__(self) -> str:
        return f"Perceptron(n_features={self.n_features}, lr={self.lr:g}, dtype={self.dtype})"


def novikoff_bound(x: ArrayLike, y: ArrayLike, weight: ArrayLike, bias: float) -> float:
    """The most mistakes that a perceptron starting from 0 can make on these points: (R / gamma)^2.

    The bias counts as the weight of a constant feature 1: with x~ = (x, 1) and w~ = (w, b), R is the largest |x~| and
    gamma the least y w~ . x~ / |w~|, for any separator w~; the one with the largest gamma gives the sharpest bound.
    It holds for every learning rate and every order (Novikoff, "On convergence proofs on perceptrons", 1962). inf if
    (weight, bias) does not separate the points.
    """
    points = np.asarray(x, np.float64)
    separator = np.append(np.asarray(weight, np.float64), bias)
    if points.ndim != 2 or points.shape[0] == 0 or separator.shape != (points.shape[1] + 1,):
        raise ValueError(f"x: expected shape (batch, {separator.size - 1}) with at least one row, got {points.shape}")
    signs, _ = _signs(y, len(points))
    augmented = np.hstack([points, np.ones((len(points), 1))])
    norm = np.linalg.norm(separator)
    gamma = float((signs * (augmented @ separator)).min() / norm) if norm > 0 else 0.0
    if gamma <= 0.0:
        return math.inf
    return float(np.square(augmented).sum(axis=1).max()) / gamma**2


def _signs(y: ArrayLike, rows: int | None = None) -> tuple[NDArray[np.int64], int]:
    """The labels as -1 and +1, and which number stood for -1."""
    labels: NDArray[Any] = np.asarray(y)
    if labels.dtype.kind not in "iuf":
        raise TypeError(f"y: expected labels -1 and +1 or 0 and 1, got an array of {labels.dtype}")
    if rows is not None and labels.shape != (rows,):
        raise ValueError(f"y: expected shape ({rows},), got {labels.shape}")
    for negative in (-1, 0):
        if np.isin(labels, (negative, 1)).all():
            return np.where(labels == 1, 1, -1), negative
    raise ValueError(f"y: expected labels -1 and +1 or 0 and 1, got {np.unique(labels)[:5].tolist()}")
