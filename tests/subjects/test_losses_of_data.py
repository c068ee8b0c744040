"""Objects whose loss takes no targets: autoencoders, factors, and losses of all that they are given."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG

rng = np.random.default_rng(0)
X = rng.uniform(0.1, 0.9, (5, 4))


class Autoencoder:
    """With a loss that is not that of its output alone, and a backward pass that takes no gradient."""

    kl = 1.0

    def __init__(self):
        self.W, self.V = rng.standard_normal((4, 3)), rng.standard_normal((3, 4))

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W)
        self.out = 1.0 / (1.0 + np.exp(-self.h @ self.V))
        return self.out

    def loss(self, x):
        out = self.forward(x)
        fit = -np.sum(x * np.log(out) + (1.0 - x) * np.log(1.0 - out))
        return (fit + 0.5 * np.sum(self.h**2)) / len(x)

    def backward(self):
        d = (self.out - self.x) / len(self.x)
        dh = d @ self.V.T + self.kl * self.h / len(self.x)
        self.grads = {"V": self.h.T @ d, "W": self.x.T @ (dh * (1.0 - self.h**2))}


class WithoutTheSecondTerm(Autoencoder):
    kl = 0.0


@pytest.mark.parametrize("targets", [None, X])
def test_a_loss_of_the_input_alone_is_the_loss_though_there_is_a_forward_pass(targets):
    assert check_gradients(Autoencoder(), X, targets).verdict == RIGHT
    report = check_gradients(WithoutTheSecondTerm(), X, targets)
    assert (report["W"].verdict, report["V"].verdict) == (WRONG, RIGHT)


class Factors:
    def __init__(self):
        self.W, self.b = rng.standard_normal((4, 2)), np.zeros(4)

    def loss(self, X):
        error = self.W @ self.W.T + self.b - X
        self.grads = {"W": 2.0 * (error + error.T) @ self.W, "b": self.of_bias(error)}
        return np.sum(error**2)

    def of_bias(self, error):
        return 2.0 * error.sum(axis=0)


class SumOfTheOtherAxis(Factors):
    def of_bias(self, error):
        return 2.0 * error.sum(axis=1)


def test_a_loss_without_targets_and_without_a_forward_pass():
    square = rng.standard_normal((4, 4))
    assert check_gradients(Factors(), square).verdict == RIGHT
    report = check_gradients(SumOfTheOtherAxis(), square)
    assert (report["W"].verdict, report["b"].verdict) == (RIGHT, WRONG)


class Regression:
    def __init__(self, C):
        self.C = C

    def _loss(self, w, X, y, sample_weight):
        return np.sum(sample_weight * np.logaddexp(0.0, -y * (X @ w))) + 0.5 / self.C * w @ w

    def _grad(self, w, X, y, sample_weight):
        return X.T @ (-y * sample_weight / (1.0 + np.exp(y * (X @ w)))) + w / self.C


class Forgetful(Regression):
    def _grad(self, w, X, y, sample_weight):
        return super()._grad(w, X, y, np.ones_like(sample_weight))


def test_a_loss_that_is_given_all_as_its_arguments():
    given = rng.standard_normal(4), X, np.array([1.0, -1.0, 1.0, 1.0, -1.0]), rng.uniform(0.5, 2.0, 5)
    assert check_gradients(Regression(0.7), given).verdict == RIGHT
    assert check_gradients(Forgetful(0.7), given).verdict == WRONG


class Rated:
    def __init__(self):
        self.U, self.V, self.b = rng.standard_normal((5, 2)), rng.standard_normal((4, 2)), np.zeros(5)

    def cost(self, ratings, seen):
        return 0.5 * np.sum((seen * (self.U @ self.V.T + self.b[:, None] - ratings)) ** 2)

    def gradients(self, ratings, seen):
        error = seen * (self.U @ self.V.T + self.b[:, None] - ratings)
        return error @ self.V, error.T @ self.U, error.sum(axis=1)


def test_of_several_arguments_the_last_may_be_targets_all_the_same():
    seen = (X > 0.4).astype(float)
    assert check_gradients(Rated(), (X, seen)).verdict == RIGHT


class Layer:
    """Its loss compares with the output that it has kept: what it is given are targets."""

    def __init__(self):
        self.W = rng.standard_normal((4, 3))

    def forward(self, x):
        self.x, self.out = x, x @ self.W
        return self.out

    def loss(self, y):
        return 0.5 * np.sum((self.out - y) ** 2)

    def backward(self, y):
        self.dW = self.x.T @ (self.out - y)


def test_a_loss_that_takes_targets_alone_is_none_of_the_data():
    assert check_gradients(Layer(), X, rng.standard_normal((5, 3))).verdict == RIGHT
