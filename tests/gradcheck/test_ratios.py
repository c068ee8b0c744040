"""Factors between claimed and numerical: when there is a common one, and what it is for another batch."""

import known_slopes
import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.evidence import FIT, FOR_A_FACTOR, common_ratio

X = np.random.default_rng(0).uniform(0.5, 1.5, (4, 3))
U = 2.0**-20
INF, NAN = np.inf, np.nan


def evidence(f=np.sin, vjp=lambda x, g: 2.0 * g * np.cos(x), x=X):
    return known_slopes.evidence(f, vjp, x)


@pytest.mark.parametrize(("left", "explained"), [(0.04, True), (0.06, False)])
def test_a_ratio_must_explain_most_of_what_is_wrong(left, explained):
    e = evidence()
    e.truth[...] = 1.0
    e.truth[0, 0] = NAN
    off = 1e-4
    e.gradient = np.full(X.shape, 1.0 + off)
    e.gradient[1, 1] += left * off
    assert (e.ratio() is not None) == explained
    e.gradient[2, 2] = 3.0
    assert e.ratio() is None
    e.gradient = np.full(X.shape, 1.0 + 20 * U)
    e.gradient[1, 1] -= U
    assert e.ratio() == 1.0 + 20 * U


def test_for_a_factor_200_of_the_coordinates_that_are_looked_at_will_do():
    e = evidence(x=np.ones((30, 20)))
    e.looked_at = np.arange(600).reshape(30, 20) >= 100
    mask = e._some((30, 20))
    assert mask.sum() == FOR_A_FACTOR == 200
    assert not mask[:5].any()
    assert not np.array_equal(mask, e._some((30, 20)))
    assert e._some((29, 20)) is None
    e.looked_at = np.arange(600).reshape(30, 20) >= 550
    np.testing.assert_array_equal(e._some((30, 20)), e.looked_at)


def mean(x):
    return (x**2).sum() / len(x)


@pytest.mark.parametrize(("rows", "other"), [(1, 2), (2, 4), (3, 2), (5, 4)])
def test_another_batch_is_one_row_smaller_or_twice_as_large(rows, other):
    x = np.random.default_rng(0).uniform(0.5, 1.5, (rows, 3))
    e = evidence(mean, lambda x, g: 2.0 * g * x, x)
    assert e.batch == rows
    assert e.ratio_at_another_batch() == (other, pytest.approx(other))


def test_a_single_number_is_a_batch_of_one():
    assert evidence(x=np.array(0.5)).batch == 1


@pytest.mark.parametrize(
    "at_three_rows",
    [lambda _: None, lambda x: x[:2], lambda x: 1.0 / (x - x), lambda x: x * np.arange(9.0).reshape(3, 3)],
)
def test_a_factor_at_another_batch_that_cannot_be_had_is_none(at_three_rows):
    with np.errstate(all="ignore"):
        e = evidence(mean, lambda x, g: 2.0 * g * x if len(x) == 4 else at_three_rows(x))
        assert e.ratio_at_another_batch() is None
    np.testing.assert_array_equal(e.x, X)


def test_at_another_batch_a_refusal_of_backward_is_no_factor_and_steps_are_those_seen_here():
    def refuses(x, g):
        if len(x) != 4:
            raise ValueError("four rows")
        return 2.0 * g * x

    assert evidence(mean, refuses).ratio_at_another_batch() is None
    e = evidence(mean, lambda x, g: 2.0 * g * x * (1.0 + (len(x) == 3) * 2e-4 * np.sign(x - 1.0)))
    assert e.ratio_at_another_batch() is None
    e.fit = 1e-3
    e.differences.assume(1e-5, unmeasured=True)
    before = e.subject.evaluations
    assert e.ratio_at_another_batch() == (3, pytest.approx(3.0, rel=1e-2))
    assert e.subject.evaluations - before < 300  # nor are steps measured again


@pytest.mark.parametrize(
    ("a", "n", "fit", "ratio"),
    [
        ([2.0, 4.0], [1.0, 2.0], FIT, 2.0),
        ([-2.0, 4.0], [1.0, -2.0], FIT, -2.0),
        ([2.0, 4.0, 9.0], [1.0, 2.0, NAN], FIT, 2.0),
        ([2.0, INF], [1.0, 2.0], FIT, None),
        ([0.0, 0.0], [1.0, 2.0], FIT, 0.0),
        ([1.0], [0.0], FIT, None),
        ([2e-3, 4e-3], [1e-3, 2e-3], FIT, 2.0),
        ([2.0, 2.0, 0.6 * (1.0 + 1.5e-5)], [1.0, 1.0, 0.3], FIT, None),
        ([2.0, 2.0, 2.0 * (1.0 + 1.5e-5)], [1.0, 1.0, 1.0], FIT, None),
        ([1.0, 0.25 + 2.0**-17], [1.0, 0.25], 2.0**-17, 1.0),
        ([1.0, 1.0, 1.0 + 2.0**-16], [1.0, 1.0, 1.0], 2.0**-17, 1.0),
        ([], [], FIT, None),
        ([1e308, 1e308], [1e-3, 1e-3], FIT, None),
        # Below a hundredth of the largest only what is left counts, by the size of the ratio.
        ([2.0, 0.0201], [1.0, 0.0101], FIT, None),
        ([2.0, 0.01999], [1.0, 0.00999], FIT, 2.0),
        ([2.0, 0.02003], [1.0, 0.01], FIT, None),
        ([2.0, 0.02 + 1.9e-5], [1.0, 0.01], FIT, 2.0),
        ([2.0, 0.02 + 2.1e-5], [1.0, 0.01], FIT, None),
        ([0.5, 0.005 + 0.45e-5], [1.0, 0.01], FIT, 0.5),
        ([0.5, 0.005 + 0.55e-5], [1.0, 0.01], FIT, None),
        # Of a coarse output below the half of it.
        ([2.0, 1.0015], [1.0, 0.5], 1e-3, 2.0),
        ([2.0, 1.0025], [1.0, 0.5], 1e-3, None),
        ([2.0, 1.02], [1.0, 0.51], 1e-3, 2.0),
    ],
)
def test_a_common_ratio(a, n, fit, ratio):
    found = common_ratio(np.array(a), np.array(n), fit)
    assert found == (None if ratio is None else pytest.approx(ratio, rel=1e-4, abs=1e-12))


class Gain:
    """x times a gain, whose gradient is averaged over the batch, plus a bias, whose gradient is, too."""

    def __init__(self):
        self.g, self.b = np.array([1.0, 2.0, -0.5]), np.array([0.5, 0.25, 1.0])

    def forward(self, x):
        self.x = x
        return x * self.g + self.b

    def backward(self, grad):
        self.dg, self.db = (grad * self.x).mean(axis=0), grad.mean(axis=0)
        return grad * self.g


def test_a_gain_that_is_averaged_over_the_batch_is_no_bias():
    report = check_gradients(Gain(), np.random.default_rng(0).standard_normal((5, 3)))
    # Once "the gradient of the bias is averaged" of both.
    assert report["g"].cause == "batch_mean_twice"
    assert report["b"].cause == "bias_averaged"
