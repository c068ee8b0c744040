"""Weights so small that the gradients of several losses are multiples of each other, to four digits and more."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

rng = np.random.default_rng(3)
X, Y = 0.01 * rng.standard_normal((4, 2)), 0.01 * rng.standard_normal((4, 6))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


class Net:
    """Steps by the squared error, which is not written; its outputs are all near 1/2."""

    def __init__(self, factor):
        draw = np.random.default_rng(0)
        self.input, self.y, self.factor = X, Y, factor
        self.weights1, self.weights2 = 0.01 * draw.standard_normal((2, 4)), 0.01 * draw.standard_normal((4, 6))
        self.output = np.zeros(Y.shape)

    def feedforward(self):
        self.hidden = sigmoid(self.input @ self.weights1)
        self.output = sigmoid(self.hidden @ self.weights2)
        return self.output

    def backprop(self):
        delta = 2.0 * (self.y - self.output) * self.output * (1.0 - self.output)
        hidden = delta @ self.weights2.T * self.hidden * (1.0 - self.hidden)
        self.weights2 += 0.1 * self.hidden.T @ delta
        self.weights1 += 0.1 * self.factor * self.input.T @ hidden


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_the_loss_is_that_of_which_gradients_are_at_other_weights_too(factor, verdict):
    report = check_gradients(Net(factor), X, Y)
    assert report.verdict == verdict
    assert factor != 1.0 or any("are judged as those of" in note and "(a - y)^2" in note for note in report.notes)
