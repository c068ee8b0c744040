# ruff: noqa: D101 - the name of a class is its mistake
"""Losses, each with one mistake in its gradient."""

from __future__ import annotations

import numpy as np

from scripts.proof.bank.planting import OTHER, planted
from scripts.proof.bank.right_layers import Array, Case, sigmoid, softmax
from scripts.proof.bank.right_losses import (
    MSE,
    BCEWithLogits,
    BinaryOfProbabilities,
    CategoricalOfProbabilities,
    CrossEntropy,
    CrossEntropyWithEpsilon,
    Hinge,
    OneColumn,
    one_hot,
)

# Losses: the gradient of the mean over the batch.


@planted("batch_mean_missing", "input")  # hunkim/DeepLearningZeroToAll #173
class CrossEntropyNotAveraged(CrossEntropy):
    def backward(self) -> Array:
        return self.gradient()


@planted("batch_mean_twice", "input")  # after d2l-ai/d2l-en #1000: the optimizer had divided already
class CrossEntropyAveragedTwice(CrossEntropy):
    def backward(self) -> Array:
        return self.gradient() / len(self.output) / len(self.output)


@planted("elements_mean", "input")
class CrossEntropyMeanOfElements(CrossEntropy):
    def backward(self) -> Array:
        return self.gradient() / self.output.size


@planted("wrong_axis_mean", "input")
class CrossEntropyMeanOfClasses(CrossEntropy):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        loss, z, labels = super().draw(rng)
        return (loss, z, labels) if z.shape[0] != z.shape[1] else cls.draw(rng)

    def backward(self) -> Array:
        return self.gradient() / self.output.shape[1]


@planted("target_minus_prediction", "input")  # davharris/mistnet #29
class CrossEntropySign(CrossEntropy):
    def gradient(self) -> Array:
        return self.one_hot() - softmax(self.output)


@planted("target_missing", "input")
class CrossEntropyTargetMissing(CrossEntropy):
    def gradient(self) -> Array:
        return softmax(self.output)


@planted("softmax_missing", "input")
class CrossEntropyOfScores(CrossEntropy):
    def gradient(self) -> Array:
        return self.output - self.one_hot()


@planted("partly_filled", "input")
class CrossEntropyTrueClassOnly(CrossEntropy):
    """1 is subtracted at the label, but the other columns are left at 0."""

    def gradient(self) -> Array:
        return (softmax(self.output) - 1.0) * self.one_hot()


@planted("factor", "input")  # Open-Deep-ML/DML-OpenProblem #54, davisking/dlib #1169
class MSETwoForgotten(MSE):
    def gradient(self) -> Array:
        return self.output - self.target


@planted("target_minus_prediction", "input")
class MSESign(MSE):
    def gradient(self) -> Array:
        return 2.0 * (self.target - self.output)


@planted("elements_mean", "input")
class MSEMeanOfElements(MSE):
    def backward(self) -> Array:
        return self.gradient() / self.output.size


@planted("factor", "input")
class MSEOneMillionth(MSE):
    def gradient(self) -> Array:
        return 2.0 * (1.0 + 1e-6) * (self.output - self.target)


@planted("derivative_twice", "input")
class BCESigmoidDerivative(BCEWithLogits):
    """Multiplies by s', which the cancellation in the formula has used up already."""

    def gradient(self) -> Array:
        s = sigmoid(self.output)
        return (s - self.target) * s * (1.0 - s)


@planted("softmax_missing", "input")
class BCEOfScores(BCEWithLogits):
    def gradient(self) -> Array:
        return self.output - self.target


@planted("target_missing", "input", also=("partly_filled",))
class HingeTargetColumnMissing(Hinge):
    """Adds the broken margins to the wrong classes, and does not take them from the right one."""

    def gradient(self) -> Array:
        return np.where(self.margins() > 0.0, 1.0, 0.0)


@planted("batch_mean_missing", "input")
class HingeNotAveraged(Hinge):
    def backward(self) -> Array:
        return self.gradient()


@planted("batch_mean_missing", "input")
class BCENotAveraged(BCEWithLogits):
    def backward(self) -> Array:
        return self.gradient()


@planted("target_minus_prediction", "input")
class BCESign(BCEWithLogits):
    def gradient(self) -> Array:
        return self.target - sigmoid(self.output)


@planted("target_missing", "input")
class MSETargetMissing(MSE):
    def gradient(self) -> Array:
        return 2.0 * self.output


@planted("sign", "input", also=("target_minus_prediction",))
class HingeSign(Hinge):
    def gradient(self) -> Array:
        return -super().gradient()


@planted("wrong_axis_mean", "input")
class MSEMeanOfColumns(MSE):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        loss, output, target = super().draw(rng)
        return (loss, output, target) if output.shape[0] != output.shape[1] else cls.draw(rng)

    def backward(self) -> Array:
        return self.gradient() / self.output.shape[1]


@planted(OTHER, "input")
class HingeCountsOnce(Hinge):
    """Takes 1 from the right class, however many margins are broken."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        loss, scores, labels = super().draw(rng)
        loss.forward(scores, labels)
        left_out = np.maximum((loss.margins() > 0.0).sum(axis=1) - 1, 0)
        # If each row leaves out as much as the others, the numbers are those of a target that is missing.
        return (loss, scores, labels) if len(np.unique(left_out)) > 1 else cls.draw(rng)

    def gradient(self) -> Array:
        broken = np.where(self.margins() > 0.0, 1.0, 0.0)
        return broken - np.minimum(broken.sum(axis=1, keepdims=True), 1.0) * one_hot(self.target, self.output.shape[1])


# Losses of probabilities, with the gradient by the scores.


@planted("fused_activation", "input")
class BinaryFusedWithSigmoid(BinaryOfProbabilities):
    def gradient(self) -> Array:
        return self.output - self.target


@planted("fused_activation", "input")
class CategoricalFusedWithSoftmax(CategoricalOfProbabilities):
    def gradient(self) -> Array:
        return self.output - self.target


@planted("fused_activation+batch_mean_missing", "input")
class CategoricalFusedNotAveraged(CategoricalOfProbabilities):
    def backward(self) -> Array:
        return self.output - self.target


@planted("target_minus_prediction", "input")
class BinaryOfProbabilitiesSign(BinaryOfProbabilities):
    def gradient(self) -> Array:
        return -super().gradient()


# Shapes and epsilons.


@planted("target_broadcast", "input")
class OneColumnForwardBroadcasts(OneColumn):
    """The difference of (batch, 1) and (batch,) is (batch, batch)."""

    def rows(self) -> Array:
        return (self.output - self.target) ** 2


@planted("target_broadcast", "input")
class OneColumnBackwardBroadcasts(OneColumn):
    def gradient(self) -> Array:
        return 2.0 * (self.output - self.target)


@planted("epsilon", "input")
class CrossEntropyEpsilonForgotten(CrossEntropyWithEpsilon):
    def gradient(self) -> Array:
        return softmax(self.output) - self.one_hot()


@planted("epsilon", "input")
class CrossEntropyEpsilonInBackward(CrossEntropyWithEpsilon):
    """Forward without it."""

    def rows(self) -> Array:
        return -np.log((softmax(self.output) * self.one_hot()).sum(axis=1))


# Two mistakes at once.


@planted("target_minus_prediction+batch_mean_missing", "input")
class CrossEntropySignNotAveraged(CrossEntropy):
    def backward(self) -> Array:
        return self.one_hot() - softmax(self.output)


@planted("target_minus_prediction+factor", "input")
class MSESignWithoutTwo(MSE):
    def gradient(self) -> Array:
        return self.target - self.output


@planted("derivative_twice+batch_mean_missing", "input")
class BCESigmoidDerivativeNotAveraged(BCEWithLogits):
    def backward(self) -> Array:
        s = sigmoid(self.output)
        return (s - self.target) * s * (1.0 - s)
