# ruff: noqa: D101, ARG002 - the name of a class is its mistake, which may be to ignore an argument
"""Activations, softmax and log-softmax, each with one mistake in its backward pass."""

from __future__ import annotations

from math import erf, pi

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.planting import OTHER, planted
from scripts.proof.bank.right_layers import (
    ELU,
    GELU,
    Array,
    Case,
    LeakyReLU,
    Logarithm,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    sigmoid,
)

# Activations: dx = g f'(x).


@planted("epsilon", "input")
class LogarithmEpsilonForgotten(Logarithm):
    def df(self) -> Array:
        return 1.0 / self.x


@planted("derivative_missing", "input")
class ReLUPassesAll(ReLU):
    def backward(self, g: Array) -> Array:
        return g


@planted("grad_output_ignored", "input")  # haifengl/smile #528
class ReLUIgnoresGradOutput(ReLU):
    def backward(self, g: Array) -> Array:
        return self.df()


@planted("mask_inverted", "input")
class ReLUMaskInverted(ReLU):
    def backward(self, g: Array) -> Array:
        return np.where(self.x > 0.0, 0.0, g)


@planted("mask_wrong_tensor", "input")
class ReLUMasksByGradOutput(ReLU):
    def backward(self, g: Array) -> Array:
        return np.where(g > 0.0, g, 0.0)


@planted("other_activation", "input")  # jeffheaton/encog-dotnet-core #124
class ReLUSigmoidDerivative(ReLU):
    def df(self) -> Array:
        return sigmoid(self.x) * (1.0 - sigmoid(self.x))


@planted("other_activation", "input")
class LeakyReLUSlopeForgotten(LeakyReLU):
    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, 0.0)


@planted("mask_inverted", "input")
class LeakyReLUInverted(LeakyReLU):
    def df(self) -> Array:
        return np.where(self.x < 0.0, 1.0, self.slope)


@planted("grad_output_ignored", "input")  # SilasMarvin/dnns-from-scratch-in-zig #5
class LeakyReLUSlopeAlone(LeakyReLU):
    """The negative side gets the slope, where it should get the slope times grad_output."""

    def backward(self, g: Array) -> Array:
        return np.where(self.x > 0.0, g, self.slope)


@planted("derivative_missing", "input")  # Bot-Academy/NeuralNetworkFromScratch #3
class SigmoidPassesAll(Sigmoid):
    def backward(self, g: Array) -> Array:
        return g


@planted("derivative_at_input", "input")  # PacktPublishing/Neural-Network-Projects-with-Python #4
class SigmoidOfInput(Sigmoid):
    def df(self) -> Array:
        return self.x * (1.0 - self.x)


@planted("derivative_at_output", "input")  # the change proposed in rasmusbergpalm/DeepLearnToolbox #165
class SigmoidTwice(Sigmoid):
    def df(self) -> Array:
        return sigmoid(self.y) * (1.0 - sigmoid(self.y))


@planted("derivative_twice", "input")
class SigmoidDerivativeTwice(Sigmoid):
    def backward(self, g: Array) -> Array:
        return g * self.df() * self.df()


@planted("sign", "input")
class SigmoidSign(Sigmoid):
    def df(self) -> Array:
        return self.y * (self.y - 1.0)


@planted("derivative_at_input", "input")
class TanhOfInput(Tanh):
    def df(self) -> Array:
        return 1.0 - self.x**2


@planted("derivative_at_output", "input")
class TanhTwice(Tanh):
    def df(self) -> Array:
        return 1.0 - np.tanh(self.y) ** 2


@planted("other_activation", "input")
class TanhSigmoidDerivative(Tanh):
    def df(self) -> Array:
        return sigmoid(self.x) * (1.0 - sigmoid(self.x))


@planted("derivative_in_part", "input")
class TanhUnsquared(Tanh):
    def df(self) -> Array:
        return 1.0 - self.y


@planted("derivative_at_output", "input")
class ELUOfOutput(ELU):
    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, np.exp(np.minimum(self.y, 0.0)))


@planted("derivative_at_output", "input")
class SoftplusOfOutput(Softplus):
    def df(self) -> Array:
        return sigmoid(self.y)


@planted("other_activation", "input")
class SoftplusStep(Softplus):
    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, 0.0)


@planted("other_activation", "input")
class SiLUHalfOfTheProduct(SiLU):
    """The product rule's second half is missing, which leaves the derivative of Softplus."""

    def df(self) -> Array:
        return sigmoid(self.x)


@planted("other_activation", "input")
class GELUExactDerivative(GELU):
    """The derivative of x Phi(x), of which forward computes the tanh approximation: they differ by 1e-3 at most."""

    def df(self) -> Array:
        cdf = np.vectorize(lambda v: 0.5 * (1.0 + erf(v / 2.0**0.5)))(self.x)
        return cdf + self.x * np.exp(-0.5 * self.x**2) / (2.0 * pi) ** 0.5


@planted("factor_constant", "input")
class GELUHalfOfTheProduct(GELU):
    def df(self) -> Array:
        return 0.5 * (1.0 + self.gate(self.x))


# Softmax: dx = y (g - sum_c g y). LogSoftmax: dx = g - softmax(x) sum_c g.


@planted("softmax_elementwise", "input")  # asked for in rasmusbergpalm/DeepLearnToolbox #113
class SoftmaxElementwise(Softmax):
    def backward(self, g: Array) -> Array:
        return g * self.y * (1.0 - self.y)


@planted("derivative_missing", "input")
class SoftmaxPassesAll(Softmax):
    def backward(self, g: Array) -> Array:
        return g


@planted("wrong_axis_mean", "input")
class SoftmaxSumsColumns(Softmax):
    def backward(self, g: Array) -> Array:
        return self.y * (g - (g * self.y).sum(axis=0))


@planted("log_softmax_row_sum", "input")
class LogSoftmaxSumTakenAsOne(LogSoftmax):
    """Right where the rows of g sum to 1, as they do not."""

    def backward(self, g: Array) -> Array:
        return g - self.p


@planted(OTHER, "input")  # uxlfoundation/oneDNN #616
class LogSoftmaxDot(LogSoftmax):
    def backward(self, g: Array) -> Array:
        return g - (g * np.log(self.p)).sum(axis=1, keepdims=True)


@planted("mask_inverted", "input")
class ELUSidesSwapped(ELU):
    def df(self) -> Array:
        return np.where(self.x > 0.0, np.exp(-np.abs(self.x)), 1.0)


@planted("derivative_at_input", "input")
class ELUInputPlusOne(ELU):
    """ELU's derivative is y + 1 on the negative side; here it is x + 1."""

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, self.x + 1.0)


@planted("other_activation", "input")
class ELUOfLeakyReLU(ELU):
    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, 0.01)


@planted("derivative_missing", "input")
class SiLUPassesAll(SiLU):
    def backward(self, g: Array) -> Array:
        return g


@planted("derivative_at_output", "input")
class SiLUOfOutput(SiLU):
    def df(self) -> Array:
        s = sigmoid(self.y)
        return s + self.y * s * (1.0 - s)


@planted("factor", "input")
class TanhHalf(Tanh):
    def df(self) -> Array:
        return 0.5 * (1.0 - self.y**2)


@planted("other_activation", "input")
class SoftplusLog(Softplus):
    """The logarithm differentiated, the exponential in it not: what is left is the derivative of LogSigmoid."""

    def df(self) -> Array:
        return 1.0 / (1.0 + np.exp(self.x))


@planted("branch", "input")
class SoftplusLinearTooEarly(Softplus):
    """Where x is large the derivative is 1, to all digits; here it is said to be from 0 on."""

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, super().df())


@planted("branch", "input")
class SiLUFlatBelowZero(SiLU):
    """As ReLU is; SiLU is not."""

    def df(self) -> Array:
        return np.where(self.x > 0.0, super().df(), 0.0)


@planted("partly_filled", "input")
class SoftmaxFirstRow(Softmax):
    def backward(self, g: Array) -> Array:
        dx = np.zeros_like(g)
        dx[0] = super().backward(g)[0]
        return dx


@planted("derivative_at_input", "input")
class SoftmaxOfInput(Softmax):
    """The formula in terms of the output is given the input."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return super().forward(x)

    def backward(self, g: Array) -> Array:
        return self.x * (g - (g * self.x).sum(axis=1, keepdims=True))


@planted("factor", "input")
class GELUOneMillionth(GELU):
    def df(self) -> Array:
        return super().df() * (1.0 - 1e-6)


# Masks of nothing, and two mistakes at once.


@planted("zero", "input")
class ReLUMaskOfZeros(ReLU):
    """The mask is made in an array that is never filled."""

    def df(self) -> Array:
        return np.where(np.zeros_like(self.x) > 0.0, 1.0, 0.0)


@planted("stale_input", "input")
class ReLUMaskOfFirstBatch(ReLU):
    """Makes its mask only once, and has seen a batch already."""

    mask: NDArray[np.bool_]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        layer.mask = rng.permuted(x > 0.0, axis=1)
        return (layer, x, None) if np.any(layer.mask != (x > 0.0)) else cls.draw(rng)

    def df(self) -> Array:
        return np.where(self.mask, 1.0, 0.0)


@planted("derivative_missing+sign", "input")
class TanhPassesAllSign(Tanh):
    def backward(self, g: Array) -> Array:
        return -g


@planted("derivative_at_input+factor", "input")
class SigmoidOfInputHalved(Sigmoid):
    def df(self) -> Array:
        return 0.5 * self.x * (1.0 - self.x)


@planted("sign+factor", "input")
class TanhMinusTwo(Tanh):
    def df(self) -> Array:
        return -2.0 * (1.0 - self.y**2)


# Causes that come with one function alone.


@planted("alpha_missing", "input")
class ELUOutputAsDerivative(ELU):
    """Below 0 the derivative is y + alpha; here it is y."""

    def df(self) -> Array:
        return np.where(self.x > 0.0, 1.0, self.y)


@planted("not_finite", "input")
class ReLUQuotient(ReLU):
    """1 as a quotient of the output by itself, which is 0 / 0 where the unit is off."""

    def df(self) -> Array:
        with np.errstate(invalid="ignore"):
            return self.y / self.y


@planted("derivative_at_input", "input")
class SoftmaxSlopeOfScores(Softmax):
    """x (1 - x), as of the sigmoid's output, and of the scores at that."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return super().forward(x)

    def backward(self, g: Array) -> Array:
        return g * self.x * (1.0 - self.x)


@planted("other_activation", "input")
class GELUExactWithSlopeOfTanh(GELU):
    """x Phi(x) in forward, and the derivative of the approximation by tanh."""

    def f(self, x: Array) -> Array:
        return x * np.vectorize(lambda v: 0.5 * (1.0 + erf(v / 2.0**0.5)))(x)
