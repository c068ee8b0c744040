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


# Where the numbers are large a norm of two of them is flat, and so are tiny weights beside a bias.

X = np.random.default_rng(3).standard_normal((4, 2))


def norm(x):
    centered = x - x.mean(axis=1, keepdims=True)
    return centered / np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + 1e-5)


def norm_backward(factor):
    def backward(g, x):
        centered = x - x.mean(axis=1, keepdims=True)
        std = np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + 1e-5)
        h = centered / std
        return factor * (g - g.mean(axis=1, keepdims=True) - h * (g * h).mean(axis=1, keepdims=True)) / std

    return backward


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4, 1e6])
def test_a_norm_that_is_flat_here_is_right_where_its_input_is_tiny(size):
    assert check_gradients((norm, norm_backward(1.0)), size * X).ok
    # The coordinates that can be told here are too small to speak for the others.
    assert check_gradients((norm, norm_backward(2.0)), size * X).verdict == "wrong"


def test_where_a_gradient_is_wrong_that_nothing_shows_here_is_said():
    (entry,) = check_gradients((norm, norm_backward(2.0)), 1e4 * X).entries
    assert entry.reason == "undecided at the point given, but wrong at this input scaled to size 1"
    assert entry.diagnosis is not None
    assert entry.diagnosis.evidence.startswith("claimed / numerical = 2 at all 8 coordinates")


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_tiny_weights_beside_a_large_bias_are_right_where_their_input_is_huge(size):
    W = size * np.random.default_rng(4).standard_normal((2, 3))
    assert check_gradients((lambda x, W: x @ W + 1e3, lambda g, x, W: (g @ W.T, x.T @ g)), X, W).ok
    wrong = check_gradients((lambda x, W: x @ W + 1e3, lambda g, x, W: (2.0 * g @ W.T, x.T @ g)), X, W)
    assert wrong["x"].verdict == "wrong"
