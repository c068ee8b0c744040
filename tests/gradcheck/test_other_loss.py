"""Networks that compute one loss and differentiate another: that is said, for each of their parameters."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

RNG = np.random.default_rng(0)
X, Y, LABELS = RNG.standard_normal((6, 4)), (RNG.random((6, 3)) > 0.5) * 1.0, np.array([0, 1, 2, 2, 1, 0])
ONE_HOT = np.eye(3)[LABELS]


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


class Net:
    """Two layers, what the output is squashed by, a loss, and the gradient with respect to the last scores."""

    def __init__(self, squash, loss, delta):
        rng = np.random.default_rng(1)
        self.W1, self.b1, self.W2 = rng.standard_normal((4, 5)), rng.standard_normal(5), rng.standard_normal((5, 3))
        self.squash, self.of_output, self.delta = squash, loss, delta

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W1 + self.b1)
        self.o = self.squash(self.h @ self.W2)
        return self.o

    def loss(self, x, y):
        return self.of_output(self.forward(x), y)

    def backward(self, y):
        delta = self.delta(self.o, y)
        self.dW2 = self.h.T @ delta
        delta = delta @ self.W2.T * (1.0 - self.h**2)
        self.dW1, self.db1 = self.x.T @ delta, delta.sum(axis=0)


def logistic(o, y):
    return -np.mean(np.sum(y * np.log(o) + (1.0 - y) * np.log(1.0 - o), axis=1))


def squared(o, y):
    return np.mean((o - (y if y.ndim == 2 else ONE_HOT)) ** 2)


def of_squares(o, y):
    return (o - y) * o * (1.0 - o) / len(y)


def fused(o, y):
    return (o - (y if y.ndim == 2 else ONE_HOT)) / len(y)


@pytest.mark.parametrize(
    ("squash", "loss", "delta", "targets", "formula"),
    [
        (sigmoid, logistic, of_squares, Y, "sum((a - y)^2) / 2"),
        (sigmoid, squared, fused, Y, "-sum(y log a + (1 - y) log(1 - a))"),
        (softmax, squared, fused, LABELS, "-sum(log a[label])"),
        (sigmoid, logistic, fused, Y, ""),
        (sigmoid, logistic, lambda o, y: fused(o, y) * o, Y, "unknown"),
    ],
)
def test_the_loss_of_which_it_is_the_gradient_is_named(squash, loss, delta, targets, formula):
    report = check_gradients(Net(squash, loss, delta), X, targets)
    if not formula:
        assert report.ok
        return
    for entry in report.entries:
        found = diagnosed(entry)
        assert found.cause == ("unknown" if formula == "unknown" else "other_loss")
        assert formula == "unknown" or f"times that of {formula}, with a for the output" in found.evidence
