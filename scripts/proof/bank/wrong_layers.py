# ruff: noqa: D101, ARG002 - the name of a class is its mistake, which may be to ignore an argument
"""Dropout, normalization and a small network, each with one mistake in its backward pass."""

from __future__ import annotations

import numpy as np

from scripts.proof.bank.planting import OTHER, planted
from scripts.proof.bank.right_layers import MLP, Array, BatchNorm, Case, Dropout, LayerNorm, sigmoid

# Dropout: dx = g mask / keep.


@planted("dropout_mask", "input")  # ddbourgin/numpy-ml #94
class DropoutScaleOnly(Dropout):
    def backward(self, g: Array) -> Array:
        return g / self.keep


@planted("dropout_mask", "input")  # rohitg00/ai-engineering-from-scratch #17
class DropoutPassesAll(Dropout):
    def backward(self, g: Array) -> Array:
        return g


@planted("dropout_scale", "input")
class DropoutScaleForgotten(Dropout):
    def backward(self, g: Array) -> Array:
        return g * self.mask


@planted("mask_inverted", "input")
class DropoutMaskInverted(Dropout):
    def backward(self, g: Array) -> Array:
        return g * (1.0 - self.mask) / self.keep


@planted(OTHER, "input")
class DropoutNewMask(Dropout):
    """Draws another mask for backward."""

    def backward(self, g: Array) -> Array:
        return g * self.new_mask(g.shape, self.seed + 1) / self.keep


# Normalization: with h = g gamma, dx = (h - mean(h) - x^ mean(h x^)) / std.


@planted("batch_norm_constant_statistics", "input")
class BatchNormConstantStatistics(BatchNorm):
    def dx(self, g: Array) -> Array:
        return g * self.params["gamma"] / self.std


@planted("batch_norm_mean_constant", "input")
class BatchNormMeanConstant(BatchNorm):
    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - self.x_hat * self.mean(h * self.x_hat)) / self.std


@planted("batch_norm_variance_constant", "input")  # abhiskk/ladder #2: the variance is detached
class BatchNormVarianceConstant(BatchNorm):
    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - self.mean(h)) / self.std


@planted("bias_averaged", "beta")
class BatchNormShiftAveraged(BatchNorm):
    def dbeta(self, g: Array) -> Array:
        return g.mean(axis=0)


@planted(OTHER, "input")  # denizyuret/Knet.jl #288
class BatchNormScaleForgotten(BatchNorm):
    def dx(self, g: Array) -> Array:
        return super().dx(g / self.params["gamma"])


@planted(OTHER, "gamma")
class BatchNormScaleOfInput(BatchNorm):
    """The gradient of gamma from x in place of the normalized x."""

    def dgamma(self, g: Array) -> Array:
        return (g * self.x).sum(axis=0)


@planted("wrong_axis_mean", "input")
class LayerNormMeanOverBatch(LayerNorm):
    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - h.mean(axis=0) - self.x_hat * (h * self.x_hat).mean(axis=0)) / self.std


@planted("batch_norm_constant_statistics", "input")
class LayerNormConstantStatistics(LayerNorm):
    def dx(self, g: Array) -> Array:
        return g * self.params["gamma"] / self.std


@planted("bias_not_summed", "beta")
class LayerNormShiftUnsummed(LayerNorm):
    def dbeta(self, g: Array) -> Array:
        return g


@planted(OTHER, "input")  # tenstorrent/tt-metal #53204
class LayerNormMeanTwice(LayerNorm):
    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - 2.0 * self.mean(h) - self.x_hat * self.mean(h * self.x_hat)) / self.std


# A network with one hidden layer. A wrong delta spoils everything before it.


@planted("derivative_missing", "W1", "b1", "input")
class MLPNoDerivative(MLP):
    def delta(self, g: Array) -> Array:
        return g @ self.params["W2"].T


@planted("derivative_at_output", "W1", "b1", "input")
class MLPDerivativeOfOutput(MLP):
    def df(self) -> Array:
        return sigmoid(self.h) * (1.0 - sigmoid(self.h))


@planted("derivative_at_input", "W1", "b1", "input")
class MLPDerivativeOfInput(MLP):
    def df(self) -> Array:
        return self.z * (1.0 - self.z)


@planted(OTHER, "W1", "b1", "input")  # joelgrus/data-science-from-scratch #31, CodingTrain/Toy-Neural-Network-JS #72
class MLPUpdatesTooEarly(MLP):
    """Takes the step in W2 before it propagates through it; here without keeping the step."""

    def delta(self, g: Array) -> Array:
        updated = self.params["W2"] - 0.1 * self.h.T @ g
        return (g @ updated.T) * self.df()


@planted("zero", "gamma")
class LayerNormScaleForgotten(LayerNorm):
    def dgamma(self, g: Array) -> Array:
        return np.zeros_like(self.params["gamma"])


@planted("mask_wrong_tensor", "input")
class DropoutMasksByGradOutput(Dropout):
    def backward(self, g: Array) -> Array:
        return np.where(g > 0.0, g, 0.0) / self.keep


@planted("dropout_scale", "input", also=("factor",))
class DropoutScaleInverted(Dropout):
    """Multiplies by what it should divide by."""

    def backward(self, g: Array) -> Array:
        return g * self.mask * self.keep


@planted("batch_norm_mean_constant", "input")
class LayerNormMeanConstant(LayerNorm):
    def dx(self, g: Array) -> Array:
        h = g * self.params["gamma"]
        return (h - self.x_hat * self.mean(h * self.x_hat)) / self.std


@planted(OTHER, "input")
class BatchNormVarianceForStd(BatchNorm):
    """Divides by the variance, where the standard deviation belongs."""

    def dx(self, g: Array) -> Array:
        return super().dx(g) / self.std


@planted("batch_mean_twice", "gamma", "beta", also=("bias_averaged",))
class BatchNormAverages(BatchNorm):
    def dgamma(self, g: Array) -> Array:
        return (g * self.x_hat).mean(axis=0)

    def dbeta(self, g: Array) -> Array:
        return g.mean(axis=0)


@planted("derivative_twice", "W1", "b1", "input")
class MLPDerivativeTwice(MLP):
    def delta(self, g: Array) -> Array:
        return super().delta(g) * self.df()


@planted("stale_input", "W2")
class MLPHiddenOfPreviousBatch(MLP):
    """The output layer's gradient from the hidden values of the call before."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        network, x, _ = super().draw(rng)
        network.forward(rng.standard_normal(x.shape))
        return network, x, None

    def forward(self, x: Array) -> Array:
        self.previous = getattr(self, "h", None)
        return super().forward(x)

    def backward(self, g: Array) -> Array:
        dx = super().backward(g)
        if self.previous is not None and self.previous.shape == self.h.shape:
            self.grads["W2"] = self.previous.T @ g
        return dx


@planted(OTHER, "W1", "b1", "input")
class MLPBackThroughHiddenBias(MLP):
    """The derivative at the pre-activation without its bias."""

    def df(self) -> Array:
        s = sigmoid(self.z - self.params["b1"])
        return s * (1.0 - s)


# Two mistakes at once.


@planted("derivative_missing+batch_mean_twice", "W1", also=("derivative_missing+bias_averaged",))
class MLPNoDerivativeAveraged(MLP):
    def backward(self, g: Array) -> Array:
        dx = super().backward(g)
        self.grads["W1"] = self.x.T @ (g @ self.params["W2"].T) / len(g)
        return dx


@planted("derivative_at_output+sign", "W1", "b1", "input")
class MLPDerivativeOfOutputSign(MLP):
    def df(self) -> Array:
        return -sigmoid(self.h) * (1.0 - sigmoid(self.h))


@planted("dropout_mask+sign", "input", also=("derivative_missing+sign",))
class DropoutPassesAllSign(Dropout):
    def backward(self, g: Array) -> Array:
        return -g / self.keep


@planted("gamma_outside", "input")
class LayerNormGammaOutside(LayerNorm):
    """Right for batch norm, where gamma is the same along the batch."""

    def dx(self, h: Array) -> Array:
        means = h - self.mean(h) - self.x_hat * self.mean(h * self.x_hat)
        return self.params["gamma"] * means / self.std


@planted("gamma_missing", "input")
class LayerNormGammaMissing(LayerNorm):
    def dx(self, h: Array) -> Array:
        return (h - self.mean(h) - self.x_hat * self.mean(h * self.x_hat)) / self.std


@planted("gamma_missing", "input")
class BatchNormGammaMissing(BatchNorm):
    def dx(self, h: Array) -> Array:
        return (h - self.mean(h) - self.x_hat * self.mean(h * self.x_hat)) / self.std
