"""What a guard keeps from its pole is not judged beyond that, and what is clipped without one is."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

P = np.random.default_rng(0).uniform(0.1, 0.9, 6)


@pytest.mark.parametrize("eps", [np.finfo(float).eps, 1e-12, 1e-7, 1e-5])
def test_the_slope_at_a_guard_is_no_mistake(eps):
    def kept(p):
        return np.clip(p, eps, 1.0 - eps)

    def logit(p):
        return np.log(kept(p) / (1.0 - kept(p)))

    def deriv(p):
        return 1.0 / (kept(p) * (1.0 - kept(p)))

    assert check_gradients((logit, deriv), P)
    assert check_gradients((logit, lambda p: 1.01 * deriv(p)), P).verdict == "wrong"


def test_a_clip_without_a_pole_has_a_gradient_of_0_beyond():
    def clipped(p):
        return np.clip(p, 0.0, 1.0) ** 2

    def right(p):
        return 2.0 * np.clip(p, 0.0, 1.0) * (p <= 1.0)

    assert check_gradients((clipped, right), P)
    assert check_gradients((clipped, lambda p: 2.0 * np.clip(p, 0.0, 1.0)), P).verdict == "wrong"


def norm_of(x):
    return np.sqrt(np.sum(x**2, axis=1, keepdims=True))


def to_the_ball(x):
    """The hyperbolic length of each row, which has to lie in the unit ball."""
    return 2.0 * np.arctanh(np.clip(norm_of(x), 0.0, 1.0 - 1e-5))


def to_the_ball_backward(x, grad_output):
    norm = norm_of(x)
    return grad_output * 2.0 / (1.0 - np.clip(norm, 0.0, 1.0 - 1e-5) ** 2) * x / norm


def test_points_outside_of_a_ball_tell_nothing_and_points_in_it_do():
    x = np.random.default_rng(1).uniform(0.0, 0.4, (4, 3))
    assert check_gradients((to_the_ball, to_the_ball_backward), x)
    assert check_gradients((to_the_ball, lambda x, g: to_the_ball_backward(x, g) / 2.0), x).verdict == "wrong"


def test_what_is_claimed_to_grow_where_nothing_is_steep_is_wrong():
    def softplus(x):
        return np.logaddexp(0.0, x)

    def wrong_where_large(x):
        return np.where(x > 8.0, np.exp(np.minimum(x, 50.0)), 1.0 / (1.0 + np.exp(-x)))

    report = check_gradients((softplus, wrong_where_large), np.random.default_rng(1).standard_normal(6))
    assert report.verdict == "wrong"


def test_a_mask_that_is_missing_beyond_a_clip_of_steep_numbers_is_wrong():
    def power(x):
        return np.clip(x, -3.0, 3.0) ** 5

    report = check_gradients((power, lambda x: 5.0 * x**4), np.random.default_rng(1).standard_normal(6))
    assert report.verdict == "wrong"


def test_what_shows_on_the_way_to_a_pole_is_found():
    def logit(p):
        return np.log(np.clip(p, 1e-7, 1.0 - 1e-7) / (1.0 - np.clip(p, 1e-7, 1.0 - 1e-7)))

    def deriv(p):
        kept = np.clip(p, 1e-7, 1.0 - 1e-7)
        return (1.0 + 0.1 * (p > 0.5)) / (kept * (1.0 - kept))

    entry = check_gradients((logit, deriv), np.array([0.12, 0.23, 0.31, 0.07]))["p"]
    assert entry.verdict == "wrong"
    assert entry.reason == "right at the point given, but wrong at 0.125 of the way to the point at 10 times this input"
