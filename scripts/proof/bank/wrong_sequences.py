# ruff: noqa: D101 - the name of a class is its mistake
"""Embedding, recurrence and other layers of sequences, each with one mistake in its backward pass."""

from __future__ import annotations

import numpy as np

from scripts.proof.bank.planting import OTHER, planted
from scripts.proof.bank.right_layers import Array
from scripts.proof.bank.right_sequences import (
    RNN,
    Attention,
    Embedding,
    Gather,
    LastOfRNN,
    LayerNormOfSequences,
    RMSNorm,
    Scale,
    Staircase,
    UnitLength,
)


@planted("repeated_index", "W")
class EmbeddingLastWins(Embedding):
    def dW(self, g: Array) -> Array:
        dW = np.zeros_like(self.params["W"])
        dW[self.index] = g
        return dW


@planted("repeated_index", "W")
class EmbeddingCountsOnce(Embedding):
    """``+=`` with an index adds once, whatever comes up twice in it."""

    def dW(self, g: Array) -> Array:
        dW = np.zeros_like(self.params["W"])
        dW[self.index] += g
        return dW


@planted("repeated_index", "input")
class GatherLastWins(Gather):
    def put(self, dx: Array, delta: Array) -> None:
        dx[self.index] = delta


@planted("picked", "input")
class GatherFirstWins(Gather):
    def put(self, dx: Array, delta: Array) -> None:
        dx[self.index[::-1]] = delta[::-1]


@planted("truncated", "input", "Wx", "Wh", "b")
class RNNTruncatedAfterTwo(RNN):
    back = 2


@planted("truncated", "input", "Wx", "Wh", "b")
class RNNOneStepBack(RNN):
    back = 1


@planted("truncated", "input", also=("partly_filled",))
class LastOfRNNTruncated(LastOfRNN):
    """Right for the last two steps; the parameters, from all steps, are right."""

    def backward(self, g: Array) -> Array:
        dx = super().backward(g)
        dx[:, :-2] = 0.0
        return dx


@planted(OTHER, "Wh")
class RNNWeightOfNextState(RNN):
    """The recurrent weight's gradient from the state after the step."""

    def backward(self, g: Array) -> Array:
        dx = super().backward(g)
        self.grads["Wh"] = self.grads["Wh"] + 0.1 * self.h[1].T @ g[:, 0]
        return dx


@planted(OTHER, "input", "Wq", "Wk")
class AttentionSoftmaxDiagonal(Attention):
    """The terms off the diagonal of softmax's Jacobian left out."""

    def backward(self, g: Array) -> Array:
        p, s = self.params, self.weights
        dscores = self.scale * s * (1.0 - s) * (g @ self.v.swapaxes(1, 2))
        parts = {"Wq": dscores @ self.k, "Wk": dscores.swapaxes(1, 2) @ self.q, "Wv": s.swapaxes(1, 2) @ g}
        self.grads = {name: np.einsum("nti,nto->io", self.x, part) for name, part in parts.items()}
        return np.sum([part @ p[name].T for name, part in parts.items()], axis=0)


@planted("batch_norm_mean_constant", "input")
class LayerNormOfSequencesMeanConstant(LayerNormOfSequences):
    def backward(self, g: Array) -> Array:
        return (g - self.x_hat * self.mean(g * self.x_hat)) / self.std


@planted("epsilon", "input")
class LayerNormOfSequencesEpsilonOutside(LayerNormOfSequences):
    def root(self, variance: Array) -> Array:
        return np.sqrt(variance) + self.eps


@planted("epsilon", "input")
class LayerNormOfSequencesEpsilonForgotten(LayerNormOfSequences):
    def backward(self, g: Array) -> Array:
        std = np.sqrt(self.variance)
        x_hat = self.x_hat * self.std / std
        return (g - self.mean(g) - x_hat * self.mean(g * x_hat)) / std


@planted("length_constant", "input")
class RMSNormLengthConstant(RMSNorm):
    def backward(self, g: Array) -> Array:
        return g / self.r


@planted("epsilon", "input")
class RMSNormEpsilonOutside(RMSNorm):
    def backward(self, g: Array) -> Array:
        r = np.sqrt(self.mean(self.x**2)) + self.eps
        return g / r - self.x * self.mean(g * self.x) / r**3


@planted("length_constant", "input")
class UnitLengthConstant(UnitLength):
    def backward(self, g: Array) -> Array:
        return g / self.r


@planted("epsilon", "input")
class UnitLengthEpsilonForgotten(UnitLength):
    def backward(self, g: Array) -> Array:
        r = np.sqrt(self.mean(self.x**2))
        return g / r - self.x * self.mean(g * self.x) / r**3


@planted("broadcast_not_summed", "w")
class ScaleNotSummed(Scale):
    def dw(self, g: Array) -> Array:
        return g * self.x


@planted("straight_through", "input")
class StaircasePassesAll(Staircase):
    def backward(self, g: Array) -> Array:
        return g


@planted("straight_through", "input")
class StaircasePassesMiddle(Staircase):
    """As a clipped straight-through estimator does."""

    def backward(self, g: Array) -> Array:
        return np.where(np.abs(self.x) <= np.median(np.abs(self.x)), g, 0.0)
