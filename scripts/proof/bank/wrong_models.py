"""Models with a penalty in their loss, and layers that take their own steps: gradients of both, wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.planting import planted
from scripts.proof.bank.right_layers import Array, Case, Linear, sizes


class Ridge:
    """The squared errors of x W as a mean over the rows, and 0.5 reg times the sum of the squares of W."""

    def __init__(self, W: Array, reg: float) -> None:
        self.params, self.reg = {"W": W}, reg
        self.grads: dict[str, Array] = {}

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, fan_out = sizes(rng, 2)
        model = cls(rng.standard_normal((fan_in, fan_out)), float(rng.choice([0.1, 0.5, 2.0])))
        return model, rng.standard_normal((batch, fan_in)), rng.standard_normal((batch, fan_out))

    def forward(self, x: Array, target: NDArray[Any]) -> float:
        self.x, self.error = x, x @ self.params["W"] - target
        return float(np.sum(np.square(self.error)) / len(x) + 0.5 * self.reg * np.sum(np.square(self.params["W"])))

    def backward(self) -> Array:
        g = 2.0 * self.error / len(self.x)
        self.grads = {"W": self.x.T @ g + self.penalty()}
        return g @ self.params["W"].T

    def penalty(self) -> Array:
        return self.reg * self.params["W"]


@planted("penalty_factor", "W")
class RidgeWithoutTheHalf(Ridge):
    """reg W twice."""

    def penalty(self) -> Array:
        return 2.0 * self.reg * self.params["W"]


@planted("penalty_factor", "W")
class RidgeDividedByTheBatch(Ridge):
    """reg W over the number of rows."""

    def penalty(self) -> Array:
        return self.reg * self.params["W"] / len(self.x)


@planted("penalty_missing", "W")
class RidgeWithoutPenalty(Ridge):
    """Without reg W."""

    def penalty(self) -> Array:
        return np.zeros_like(self.params["W"])


@planted("updated_too_early", "input")
class LinearUpdatedTooEarly(Linear):
    """The step comes before the gradient of the input."""

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__(W, b)
        self.lr = 0.05

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dW(g), "b": self.db(g)}
        self.params["W"] -= self.lr * self.grads["W"]
        self.params["b"] -= self.lr * self.grads["b"]
        return self.dx(g)
