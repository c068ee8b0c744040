"""Functions of probabilities that a guard keeps from their poles are not judged beyond 1, and others are."""

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
