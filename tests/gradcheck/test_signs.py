"""A flipped sign of a loss: target minus prediction where there is such a difference, and else no more than that."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def squared(a, y):
    return np.square(a - y).sum(), 2.0 * (y - a)


def logistic(z, y):
    return (np.logaddexp(0.0, z) - y * z).sum(), y - 1.0 / (1.0 + np.exp(-z))


def hinge(z, y):
    sides = 2.0 * y - 1.0
    inside = 1.0 - sides * z > 0.0
    return np.where(inside, 1.0 - sides * z, 0.0).sum(), sides * inside


def of_scores_alone(z, y):
    """The log-likelihood of points with the densities exp(z) / (1 + exp(z))^2, whatever y is."""
    return (2.0 * np.logaddexp(0.0, z) - z + 0.0 * y).sum(), 1.0 - 2.0 / (1.0 + np.exp(-z))


@pytest.mark.parametrize(
    ("loss", "cause"),
    [
        (squared, "target_minus_prediction"),
        (logistic, "target_minus_prediction"),
        (hinge, "sign"),
        (of_scores_alone, "sign"),
    ],
)
def test_a_flipped_sign_is_that_of_a_subtraction_where_there_is_one(loss, cause):
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((4, 3)), rng.integers(0, 2, (4, 3)) * 1.0
    found = diagnosed(check_gradients((lambda a, y: loss(a, y)[0], lambda a, y: loss(a, y)[1]), z, y).entries[0])
    assert (found.cause, found.confident) == (cause, True)


def test_a_flipped_sign_is_no_second_factor_where_the_output_is_rounded():
    x = np.random.default_rng(2).standard_normal((6, 4))
    # Once "claimed / numerical = -1.002372, a whole number", and a factor to be looked for.
    report = check_gradients((lambda x: np.round(np.sin(x), 3), lambda grad, x: -grad * np.cos(x)), x)
    assert diagnosed(report.entries[0]).cause == "sign"


class Perceptron:
    """Two layers with a squared loss, whose gradient by the weights is flipped where backward gives it out."""

    def __init__(self, flipped):
        rng = np.random.default_rng(3)
        self.V, self.w = rng.standard_normal((3, 4)), rng.standard_normal(4)
        self.flipped = flipped

    def loss(self, x, y):
        self.h = np.tanh(x @ self.V)
        return 0.5 * np.sum((self.h @ self.w - y) ** 2)

    def gradient(self, x, y):
        self.loss(x, y)
        d = y - self.h @ self.w if "d" in self.flipped else self.h @ self.w - y
        dV = x.T @ (np.outer(d, self.w) * (1.0 - self.h**2))
        return {"V": -dV if "V" in self.flipped else dV, "w": self.h.T @ d}


@pytest.mark.parametrize(
    ("flipped", "causes"),
    [("V", {"V": "sign", "w": ""}), ("d", {"V": "target_minus_prediction", "w": "target_minus_prediction"})],
)
def test_a_sign_that_is_flipped_in_one_gradient_of_a_network_is_none_of_its_targets(flipped, causes):
    rng = np.random.default_rng(0)
    report = check_gradients(Perceptron(flipped), rng.standard_normal((5, 3)), rng.standard_normal(5))
    assert {name: report[name].cause for name in causes} == causes
