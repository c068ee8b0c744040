"""Gradients that are 0 because nothing depends on the array, and so but for rounding in the code that computes them."""

from itertools import cycle

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


class BiasBeforeBatchNorm:
    """tanh(BatchNorm(x W + b)) V: the mean that is subtracted takes b with it."""

    def __init__(self, seed, scale, wrong=0.0):
        rng = np.random.default_rng(seed)
        self.W, self.b, self.V = (
            scale * rng.standard_normal((4, 3)),
            rng.standard_normal(3),
            rng.standard_normal((3, 2)),
        )
        self.wrong = wrong

    def forward(self, x):
        z = x @ self.W + self.b
        self.x, self.std = x, np.sqrt(z.var(axis=0) + 1e-5)
        self.normal = (z - z.mean(axis=0)) / self.std
        self.y = np.tanh(self.normal)
        return self.y @ self.V

    def backward(self, d):
        self.dV = self.y.T @ d
        h = d @ self.V.T * (1 - self.y**2)
        dz = (h - h.mean(axis=0) - self.normal * (h * self.normal).mean(axis=0)) / self.std
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0) + self.wrong
        return dz @ self.W.T


@pytest.mark.parametrize("scale", [1.0, 10.0, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_a_bias_whose_mean_is_subtracted_has_the_gradient_0_but_for_rounding(seed, scale):
    report = check_gradients(BiasBeforeBatchNorm(seed, scale), np.random.default_rng(seed).standard_normal((6, 4)))
    assert report.ok, report


def test_a_number_that_is_no_rounding_is_wrong_there():
    report = check_gradients(BiasBeforeBatchNorm(0, 1.0, 1e-3), np.random.default_rng(0).standard_normal((6, 4)))
    assert report["b"].verdict == "wrong"


def test_units_that_are_off_are_no_function_that_depends_on_nothing():
    def dead(x):
        return np.maximum(x - 50.0, 0.0)

    x = np.random.default_rng(0).standard_normal((4, 3))
    assert check_gradients((dead, lambda x, g: g * (x > 50.0)), x).ok  # seen at other inputs
    assert check_gradients((dead, lambda x, g: 0.0 * g * x), x).verdict == "wrong"


def test_gradients_that_sum_in_the_order_of_a_set_may_differ_in_their_last_bit():
    rng = np.random.default_rng(0)
    orders = cycle([rng.permutation(40) for _ in range(50)])

    def total(x):
        return np.array(np.sin(x).sum() * x.sum())

    def vjp(x, g):
        terms = np.sin(x)[next(orders)]
        added = 0.0
        for term in terms:
            added += term
        return g * (np.cos(x) * x.sum() + added)

    x = np.random.default_rng(1).standard_normal(40)
    assert len({vjp(x, 1.0).tobytes() for _ in range(50)}) > 1
    assert check_gradients((total, vjp), x).ok


def test_gradients_that_differ_by_more_than_rounding_are_not_judged():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3))
    noisy = (np.sin, lambda x, g: g * np.cos(x) * (1.0 + 1e-9 * rng.standard_normal(x.shape)))
    report = check_gradients(noisy, x)
    assert report.verdict == "undecided"
    assert "different gradients" in str(report)
