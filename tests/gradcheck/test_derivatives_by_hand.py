"""Numerical derivatives by hand-made numbers: scales, distances, noise and bounds."""

import numpy as np
import pytest

from numpy_nn.gradcheck.measure import derivatives
from numpy_nn.gradcheck.measure.derivatives import (
    STEPS,
    TINY,
    complex_step,
    derivative,
    jacobian,
    noise_level,
    one_sided,
    own_scale_of,
    scale_of,
)


def test_numbers_as_small_as_may_be_have_a_scale_of_their_own():
    x = np.array([TINY, 0.99 * TINY, 4.0])
    assert own_scale_of(x)[0] == 2.0 ** np.floor(np.log2(TINY))
    assert own_scale_of(x)[1] == scale_of(x)[1] == 2.0
    assert own_scale_of(x)[2] == 4.0


def test_numbers_that_are_not_finite_count_for_no_scale():
    np.testing.assert_array_equal(scale_of(np.array([3.0, np.inf, 4.0]))[[0, 2]], [2.0, 4.0])
    assert scale_of(np.array([np.nan]))[0] != 0.0
    np.testing.assert_array_equal(scale_of(np.zeros(0)), np.zeros(0))


def test_noise_is_what_differences_of_order_four_to_six_leave():
    # Differences of order k multiply alternating signs by 2^k, independent noise by sqrt((2k)!) / k!.
    found = noise_level(lambda t: np.array([3.0 * (-1.0) ** t, t**3 - t]))
    np.testing.assert_allclose(found, [3.0 * 2.0**6 / np.sqrt(924.0), 0.0], atol=1e-12)
    assert noise_level(lambda t: np.array([t**4]))[0] == pytest.approx(24.0 / np.sqrt(70.0))
    asked: list[float] = []

    def evaluate(t):
        asked.append(t)
        return np.zeros(1)

    noise_level(evaluate)
    assert asked == [float(t) for t in range(9)]


@pytest.fixture
def noisy(monkeypatch):
    """Have all noise be a thousandth; returns where it was asked for."""
    asked = []

    def noise(evaluate):
        asked.append(evaluate(3.0))
        return np.full(np.shape(asked[-1]), 1e-3)

    monkeypatch.setattr(derivatives, "noise_level", noise)
    return asked


@pytest.mark.parametrize("size", [1.0, 8.0])
def test_of_a_line_the_bounds_are_what_noise_may_do_to_the_widest_differences(noisy, size):
    x = np.array([size, -size])
    value, bound = derivative(lambda x: 2.0 * x, x)
    np.testing.assert_allclose(value, 2.0)
    # From quotients at 1/4 and 1/16 of the size, with room for four times as much.
    np.testing.assert_allclose(bound, 4.0 * 1e-3 * (16.0 + 20.0 / 15.0) / size, rtol=1e-9)
    for moved in noisy[:2]:
        np.testing.assert_allclose(moved, 2.0 * (x + 3.0 * 2.0**-20 * size), rtol=1e-14)
    noisy.clear()
    left, right = one_sided(lambda x: 2.0 * x, x)
    for sign, side, moved in zip((-1.0, 1.0), (left, right), noisy, strict=True):
        np.testing.assert_allclose(side.value, 2.0)
        np.testing.assert_allclose(side.bound, 4.0 * 2e-3 * (16.0 + 20.0 / 3.0) / size, rtol=1e-9)
        np.testing.assert_allclose(moved, 2.0 * (x + sign * 4.0 * 2.0**-20 * size), rtol=1e-14)
    value, bound = jacobian(lambda x: 2.0 * x, x)
    np.testing.assert_allclose(value, 2.0 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(bound, 4.0 * 1e-3 * (16.0 + 20.0 / 15.0) / size, rtol=1e-9)


def test_where_the_own_steps_do_not_resolve_a_slope_those_of_the_array_are_taken():
    x = np.array([1e-12, 1.0])
    seen = []

    def f(x):
        seen.append(x[0])
        return 1.0 + 3.0 * x

    value, bound = derivative(f, x)
    np.testing.assert_allclose(value, 3.0, rtol=1e-9)
    assert bound[0] < 1e-9
    assert max(seen) > 0.1
    # Where they do, they are kept: here the others are blind.
    sharp = derivative(lambda x: np.tanh(1e12 * x), np.array([1e-13, 1.0]))
    assert sharp.value[0] == pytest.approx(1e12 / np.cosh(0.1) ** 2, rel=1e-6)


def test_of_two_ways_that_both_leave_a_slope_unresolved_the_better_is_kept():
    def f(x):
        return np.tanh(1e3 * x) + 1e-9 * np.sin(1e9 * x)

    x = np.array([1e-3, 64.0])
    together, alone = derivative(f, x), derivative(f, x[:1])
    assert alone.bound[0] > 1e-7 * abs(alone.value[0])
    assert (together.value[0], together.bound[0]) == (alone.value[0], alone.bound[0])
    # What its own steps resolve is left at that, though others would do so too, and better.
    x = np.array([1e-6, 1.0, 1e-12])
    together, alone = (derivative(lambda x: 1.0 + 3.0 * x, part) for part in (x, x[:1]))
    assert alone.bound[0] < 1e-7 * 3.0
    assert together.bound[1] < 1e-2 * alone.bound[0]
    assert (together.value[0], together.bound[0]) == (alone.value[0], alone.bound[0])


def test_the_jacobian_leaves_its_argument_as_it_is():
    x = np.array([1.0, 2.0, 3.0])
    value, _ = jacobian(lambda x: np.array([x[0] * x[1], x[2]]), x)
    np.testing.assert_allclose(value, [[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], atol=1e-12)
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])


def test_the_complex_step_is_taken_at_every_size():
    x = np.array([1e-3, 2.0, -1e9, 0.0])
    np.testing.assert_allclose(complex_step(lambda x: x**2, x), 2.0 * x, rtol=1e-14)
    assert len(STEPS) == 12
    # Of what becomes so small no digit of a step of 1e-220 would be left.
    np.testing.assert_allclose(complex_step(lambda x: 1e-120 * x, np.array([1e120])), 1e-120, rtol=1e-12)
