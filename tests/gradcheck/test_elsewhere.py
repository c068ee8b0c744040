"""A gradient at another point, where the output moves in steps."""

import numpy as np
import pytest
from claims import evidence

from numpy_nn.gradcheck.elsewhere import _right_across_steps

X = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.parametrize(
    ("share", "factor", "right"), [(1e-10, 1.0, True), (1e-10, 1.02, False), (1e-6, 1.0, False), (1e-6, 1.02, False)]
)
def test_a_slope_across_steps_tells_only_where_the_steps_add_little(share, factor, right):
    # Beside 1000 a step of 1e-6 of the output is as high as what the sine changes by.
    e = evidence(lambda x: 1000.0 + np.sin(x), lambda n: n, X)
    e.gradient = factor * e.grad_output * np.cos(X)
    direction = e.differences.scales["wide"] * np.sign(e.gradient)
    assert _right_across_steps(e, direction, share) == right


@pytest.mark.parametrize(
    ("size", "share"), [(1000.0, 1e-10), (1e-3, 1e-10), (1.0, 5e-9)], ids=["wide", "unit", "a larger step"]
)
def test_a_slope_across_steps_is_looked_at_over_the_size_of_the_numbers_or_of_1(size, share):
    # Only over one of these distances the output changes by more than its steps.
    period = max(size, 1.0)
    e = evidence(lambda x: 1000.0 + np.sin(x / period), lambda n: n, size * X)
    e.gradient = e.grad_output * np.cos(e.x / period) / period
    direction = e.differences.scales["wide"] * np.sign(e.gradient)
    assert _right_across_steps(e, direction, share)
    e.gradient *= 1.02
    assert not _right_across_steps(e, direction, share)
