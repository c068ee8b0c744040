"""Models with a penalty in their loss, layers that take their own steps, and networks of several layers, wrong."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.planting import planted
from scripts.proof.bank.right_layers import Array, Case, Layer, Linear, sizes


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


class DeepNet(Layer):
    """Three layers tanh(x W + b) of one width after another, and x W + b at the end."""

    def __init__(self, rng: np.random.Generator, widths: list[int]) -> None:
        super().__init__()
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths), 1):
            self.params[f"W{layer}"] = rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
            self.params[f"b{layer}"] = 0.1 * rng.standard_normal(fan_out)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, hidden, fan_out = sizes(rng, 3)
        return cls(rng, [fan_in, *[hidden] * 3, fan_out]), rng.standard_normal((batch, fan_in)), None

    def forward(self, x: Array) -> Array:
        self.h, p = [x], self.params
        for layer in (1, 2, 3):
            self.h.append(np.tanh(self.h[-1] @ p[f"W{layer}"] + p[f"b{layer}"]))
        return self.h[-1] @ p["W4"] + p["b4"]

    def backward(self, g: Array) -> Array:
        for layer in (4, 3, 2, 1):
            delta = g if layer == 4 else g * self.derivative(layer)
            self.grads |= {f"W{layer}": self.taken(layer).T @ delta, f"b{layer}": delta.sum(axis=0)}
            self.got = g
            g = self.handed_on(layer, delta)
        return g

    def derivative(self, layer: int) -> Array:
        return np.asarray(1.0 - self.h[layer] ** 2)

    def taken(self, layer: int) -> Array:
        """What the layer takes for its input."""
        return np.asarray(self.h[layer - 1])

    def handed_on(self, layer: int, delta: Array) -> Array:
        """What the layer hands on, where ``got`` is what it was handed."""
        return np.asarray(delta @ self.weights(layer).T)

    def weights(self, layer: int) -> Array:
        return self.params[f"W{layer}"]


@planted("other_layer", "W2", "b2", "W1", "b1", "input")
class DeepNetDerivativeOfNextLayer(DeepNet):
    """1 - h3^2 in the second layer."""

    def derivative(self, layer: int) -> Array:
        return super().derivative(3 if layer == 2 else layer)


@planted("other_layer", "W2")
class DeepNetOwnOutput(DeepNet):
    """The second layer's output where its input belongs."""

    def taken(self, layer: int) -> Array:
        return super().taken(3 if layer == 2 else layer)


@planted("before_activation", "W2")
class DeepNetBeforeActivation(DeepNet):
    """h1 W2 with atanh(h1), which tanh got, in the place of h1."""

    def taken(self, layer: int) -> Array:
        return np.arctanh(super().taken(layer)) if layer == 2 else super().taken(layer)


@planted("other_layer", "W2", "b2", "W1", "b1", "input")
class DeepNetWeightsOfOtherLayer(DeepNet):
    """W2 for W3."""

    def weights(self, layer: int) -> Array:
        return super().weights(2 if layer == 3 else layer)


@planted("weights_missing", "W2", "b2", "W1", "b1", "input")
class DeepNetWithoutWeights(DeepNet):
    """The third layer hands its delta on."""

    def handed_on(self, layer: int, delta: Array) -> Array:
        return delta if layer == 3 else super().handed_on(layer, delta)


@planted("layer_skipped", "W1", "b1", "input")
class DeepNetLayerSkipped(DeepNet):
    """The second layer hands on what it got."""

    def handed_on(self, layer: int, delta: Array) -> Array:
        return self.got if layer == 2 else super().handed_on(layer, delta)


class Residual(Layer):
    """x + tanh(x W)."""

    def __init__(self, W: Array) -> None:
        super().__init__()
        self.params = {"W": W}

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, width = sizes(rng, 1)
        return cls(rng.standard_normal((width, width)) / np.sqrt(width)), rng.standard_normal((batch, width)), None

    def forward(self, x: Array) -> Array:
        self.x, self.h = x, np.tanh(x @ self.params["W"])
        return x + self.h

    def backward(self, g: Array) -> Array:
        delta = g * (1.0 - self.h**2)
        self.grads = {"W": self.x.T @ delta}
        return self.skip(g) + delta @ self.params["W"].T

    def skip(self, g: Array) -> Array:
        """What x hands on by itself."""
        return g


@planted("skip_missing", "input")
class ResidualWithoutSkip(Residual):
    """Without dy itself."""

    def skip(self, g: Array) -> Array:
        return np.zeros_like(g)
