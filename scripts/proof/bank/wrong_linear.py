# ruff: noqa: D101, ARG002 - the name of a class is its mistake, which may be to ignore an argument
"""x W + b, each with one mistake in its backward pass."""

from __future__ import annotations

import numpy as np

from scripts.proof.bank.planting import OTHER, planted
from scripts.proof.bank.right_layers import Array, Case, Linear

# dW = x^T g, db = sum of g over the batch, dx = g W^T.


@planted("zero", "b")
class LinearBiasForgotten(Linear):
    def db(self, g: Array) -> Array:
        return np.zeros_like(self.params["b"])


@planted("zero", "input")
class LinearInputForgotten(Linear):
    def dx(self, g: Array) -> Array:
        return np.zeros_like(self.x)


@planted("sign", "W")
class LinearDescentDirection(Linear):
    def dW(self, g: Array) -> Array:
        return -self.x.T @ g


@planted("learning_rate", "W", "b")
class LinearLearningRateInside(Linear):
    lr = 0.01

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.lr * self.dW(g), "b": self.lr * self.db(g)}
        return self.dx(g)


@planted("batch_mean_twice", "W", "b", also=("bias_averaged",))  # after heyxhh/nnet-numpy #1
class LinearAverages(Linear):
    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dW(g) / len(g), "b": self.db(g) / len(g)}
        return self.dx(g)


@planted("bias_averaged", "b")  # kvfrans/notes #5
class LinearBiasMean(Linear):
    def db(self, g: Array) -> Array:
        return g.mean(axis=0)


@planted("bias_not_summed", "b")  # mlpack/mlpack #3679, jimfleming/differentiation #1
class LinearBiasUnsummed(Linear):
    def db(self, g: Array) -> Array:
        return g


@planted("wrong_axis_sum", "b")  # rasbt/stat453-deep-learning-ss21 #5
class LinearBiasOneSum(Linear):
    def db(self, g: Array) -> Array:
        return np.asarray(g.sum())


@planted("wrong_axis_sum", "b")  # after deeplearning4j/deeplearning4j #364: "on wrong dimension"
class LinearBiasWrongAxis(Linear):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        return (layer, x, None) if len(x) != len(layer.params["b"]) else cls.draw(rng)

    def db(self, g: Array) -> Array:
        return g.sum(axis=1)


@planted("transposed", "W")
class LinearWeightTransposed(Linear):
    def dW(self, g: Array) -> Array:
        return g.T @ self.x


@planted("transposed", "input")
class LinearInputTransposed(Linear):
    def dx(self, g: Array) -> Array:
        return self.params["W"] @ g.T


@planted("transposed", "input")
class LinearSquareNotTransposed(Linear):
    """Only a square W lets it through."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, width = int(rng.integers(2, 10)), int(rng.integers(2, 9))
        return cls.of(rng, width, width), rng.standard_normal((batch, width)), None

    def dx(self, g: Array) -> Array:
        return g @ self.params["W"]


@planted("stale_input", "W")
class LinearFirstBatchKept(Linear):
    """Stores its input only once, and has seen a batch already."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        layer.forward(rng.standard_normal(x.shape))
        return layer, x, None

    def forward(self, x: Array) -> Array:
        if not hasattr(self, "x"):
            self.x = x.copy()
        return x @ self.params["W"] + self.params["b"]


@planted("stale_input", "W")
class LinearPreviousBatch(Linear):
    """Stores its input after the old one was put aside for backward."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        layer.x = rng.standard_normal(x.shape)
        return layer, x, None

    def forward(self, x: Array) -> Array:
        self.previous = self.x
        return super().forward(x.copy())

    def dW(self, g: Array) -> Array:
        return self.previous.T @ g


@planted("accumulated", "W", "b")  # after karpathy/micrograd #53
class LinearAccumulates(Linear):
    """Has had one backward pass already."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        layer.grads = {name: rng.standard_normal(p.shape) for name, p in layer.params.items()}
        return layer, x, None

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.grads["W"] + self.dW(g), "b": self.grads["b"] + self.db(g)}
        return self.dx(g)


@planted("weight_decay", "W")
class LinearDecays(Linear):
    def dW(self, g: Array) -> Array:
        return self.x.T @ g + 0.01 * self.params["W"]


@planted("partly_filled", "input")
class LinearLastRowMissed(Linear):
    def dx(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        for row in range(len(g) - 1):
            dx[row] = g[row] @ self.params["W"].T
        return dx


@planted("partly_filled", "W")
class LinearFirstColumnOnly(Linear):
    def dW(self, g: Array) -> Array:
        dW = np.zeros_like(self.params["W"])
        dW[:, 0] = self.x.T @ g[:, 0]
        return dW


@planted("grad_output_ignored", "W")
class LinearIgnoresGradOutput(Linear):
    def dW(self, g: Array) -> Array:
        return self.x.T @ np.ones_like(g)


@planted("factor", "W")
class LinearOneMillionth(Linear):
    def dW(self, g: Array) -> Array:
        return self.x.T @ g * (1.0 + 1e-6)


@planted("one_example", "W")
class LinearLastExample(Linear):
    """Written for one example at a time: the batch's last overwrites the others."""

    def dW(self, g: Array) -> Array:
        for x_row, g_row in zip(self.x, g, strict=True):
            dW = np.outer(x_row, g_row)
        return dW


@planted("sign", "b")
class LinearBiasSign(Linear):
    def db(self, g: Array) -> Array:
        return -g.sum(axis=0)


@planted("grad_output_ignored", "b")
class LinearBiasCountsRows(Linear):
    """The derivative of each output by its bias is 1, summed over the batch."""

    def db(self, g: Array) -> Array:
        return np.full(g.shape[1], float(len(g)))


@planted("transposed", "W")
class LinearReshaped(Linear):
    """The product the wrong way round, made to fit by a reshape."""

    def dW(self, g: Array) -> Array:
        return (g.T @ self.x).reshape(self.params["W"].shape)


@planted("one_example", "W")
class LinearFirstExample(Linear):
    def dW(self, g: Array) -> Array:
        return np.outer(self.x[0], g[0])


@planted(OTHER, "W")
class LinearCentered(Linear):
    """Takes the batch's mean off the input first, as its owner did with the data once."""

    def dW(self, g: Array) -> Array:
        return (self.x - self.x.mean(axis=0)).T @ g


# Sums over other axes, products entry by entry, clipping.


class Square(Linear):
    """As many rows as inputs and outputs, which lets much through."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        width = int(rng.integers(2, 8))
        return cls.of(rng, width, width), rng.standard_normal((width, width)), None


@planted("wrong_axis_sum", "b")
class LinearBiasSumsRows(Square):
    def db(self, g: Array) -> Array:
        return g.sum(axis=1)


@planted("wrong_axis_sum", "b")
class LinearBiasSumsAll(Linear):
    """Summed over everything and broadcast again."""

    def db(self, g: Array) -> Array:
        return np.full(g.shape[1], g.sum())


@planted("wrong_axis_sum", "W")
class LinearWeightSummed(Linear):
    """Summed over the inputs, and the same for each of them."""

    def dW(self, g: Array) -> Array:
        return np.broadcast_to((self.x.T @ g).sum(axis=0), self.params["W"].shape)


@planted("product_exchanged", "W")
class LinearWeightEntryByEntry(Square):
    def dW(self, g: Array) -> Array:
        return self.x.T * g


@planted("product_exchanged", "input")
class LinearInputEntryByEntry(Square):
    def dx(self, g: Array) -> Array:
        return g * self.params["W"].T


@planted("clipped", "W")
class LinearWeightClipped(Linear):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        fan_in, fan_out = int(rng.integers(4, 9)), int(rng.integers(4, 9))
        return cls.of(rng, fan_in, fan_out), rng.standard_normal((int(rng.integers(2, 10)), fan_in)), None

    def dW(self, g: Array) -> Array:
        right = self.x.T @ g
        return np.clip(right, -0.6, 0.6)


@planted("norm_clipped", "W")
class LinearWeightNormClipped(Linear):
    def dW(self, g: Array) -> Array:
        right = self.x.T @ g
        return right / max(1.0, float(np.linalg.norm(right)))


@planted("wrong_shape", "b")
class LinearBiasOfOneMore(Linear):
    def db(self, g: Array) -> Array:
        return np.append(g.sum(axis=0), 0.0)


@planted("argument_order", "input", "W")
class LinearArgumentsExchanged(Square):
    """The gradients of input and weight, each where the other belongs."""

    def backward(self, g: Array) -> Array:
        self.grads = {"W": self.dx(g), "b": self.db(g)}
        return self.dW(g)


# Two mistakes at once.


@planted("transposed+sign", "W")
class LinearTransposedSign(Linear):
    def dW(self, g: Array) -> Array:
        return -(g.T @ self.x)


@planted("sign+learning_rate", "W")
class LinearStep(Linear):
    def dW(self, g: Array) -> Array:
        return -0.1 * self.x.T @ g


@planted("one_example+sign", "W")
class LinearFirstExampleSign(Linear):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        batch, fan_in, fan_out = int(rng.integers(2, 10)), int(rng.integers(3, 9)), int(rng.integers(3, 9))
        return cls.of(rng, fan_in, fan_out), rng.standard_normal((batch, fan_in)), None

    def dW(self, g: Array) -> Array:
        return -np.outer(self.x[0], g[0])
