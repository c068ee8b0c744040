"""Numerical derivatives: the bound that comes with each holds, and is small where the function is smooth."""

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import numpy_nn as nn
from numpy_nn.gradcheck import complex_step, derivative, jacobian, one_sided
from numpy_nn.gradcheck.measure.derivatives import STEPS, extrapolate, noise_level, own_scale_of, scale_of

FUNCTIONS = {
    "sin": (np.sin, np.cos),
    "wiggly": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
    "exp": (np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "linear": (lambda x: 3 * x - 7, lambda x: np.full_like(x, 3.0)),
    "far from 0": (lambda x: 1e4 + np.cos(x), lambda x: -np.sin(x)),
}
# ReLU and the like are held here too, as no draw below comes near a kink by less than a rounding error.
SMOOTH = ["sigmoid", "tanh", "gelu", "silu", "softplus", "relu", "elu", "selu", "leaky_relu", "hardtanh"]
SMOOTH += ["relu6", "hardsigmoid", "hardswish", "mish", "softsign", "logsigmoid"]


def function(name):
    """A function and its exact derivative."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    return nn.ACTIVATIONS[name].function, nn.ACTIVATIONS[name].derivative


@given(
    name=st.sampled_from([*FUNCTIONS, *SMOOTH]),
    x=hnp.arrays(np.float64, 20, elements=st.floats(2**-20, 8.0)),
    negative=st.booleans(),
)
def test_the_derivative_is_within_its_bound(name, x, negative):
    f, exact = function(name)
    x = -x if negative and name not in ("log", "sqrt") else x
    for kink in nn.ACTIVATIONS[name].kinks if name in nn.ACTIVATIONS else ():
        x = np.where(np.abs(x - kink) < 1e-6, 0.5, x)
    value, bound = derivative(f, x)
    # The reference itself is right to a few units in its last place.
    assert (np.abs(value - exact(x)) <= bound + 8 * np.finfo(float).eps * np.abs(exact(x))).all()


@pytest.mark.parametrize("name", [*FUNCTIONS, *SMOOTH])
def test_the_bound_is_small(name):
    f, exact = function(name)
    x = np.linspace(0.1, 0.95, 50)
    # A relative error of 1e-6 in a gradient is to be seen; 1e4 + cos(x) costs four digits.
    assert (derivative(f, x).bound < (1e-7 if name == "far from 0" else 1e-10) * np.abs(exact(x))).all()


def test_the_array_s_scale_is_looked_at_only_where_the_entry_s_own_does_not_tell():
    def evaluations(f, x):
        looked = []

        def counted(x):
            looked.append(x)
            return f(x)

        found = derivative(counted, x)
        return len(looked), found

    once, alone = evaluations(np.exp, 3.0)
    assert evaluations(lambda x: 1e4 + np.cos(x), 1e-3)[0] == once  # the one number has no other scale
    assert evaluations(np.exp, np.array([3.0, 2.0]))[0] == once
    twice, found = evaluations(lambda x: 1e4 + np.sin(x), np.array([1e-9, 1.0]))
    assert twice == 2 * once
    assert abs(found.value[0] - 1.0) <= found.bound[0] < 1e-6
    np.testing.assert_allclose(alone.value, np.exp(3.0), rtol=1e-10)


def test_the_bound_is_infinite_where_the_function_has_no_values():
    value, bound = derivative(np.log, np.array([-1.0, 2.0]))
    assert np.isinf(bound[0])
    assert abs(value[1] - 0.5) <= bound[1]


def test_a_function_that_does_not_work_entry_by_entry_is_refused():
    with pytest.raises(ValueError, match=r"expected f\(x\) of the shape of x, \(3,\), got \(\); see jacobian"):
        derivative(np.sum, np.ones(3))


@given(
    matrix=hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(-3, 3)),
    seed=our.seeds,
)
def test_the_jacobian_of_a_softmax_of_a_product(matrix, seed):
    x = np.random.default_rng(seed).standard_normal(matrix.shape[1])

    def f(x):
        return nn.activations.softmax((matrix @ x)[None])[0]

    s = f(x)
    exact = (np.diag(s) - np.outer(s, s)) @ matrix
    value, bound = jacobian(f, x)
    assert value.shape == exact.shape
    assert (np.abs(value - exact) <= bound + 1e-15).all()
    assert (bound < 1e-9).all()


def test_the_jacobian_has_the_axes_of_output_and_input():
    x = np.arange(6.0).reshape(2, 3)
    value, bound = jacobian(lambda x: x.sum(axis=0), x)
    assert value.shape == bound.shape == (3, 2, 3)
    np.testing.assert_allclose(value, np.broadcast_to(np.eye(3)[:, None, :], (3, 2, 3)), atol=bound.max())
    assert jacobian(lambda x: np.ones(2) + x.sum(), np.zeros((0,))).value.shape == (2, 0)
    weights = np.arange(12.0).reshape(2, 3, 2)
    value, bound = jacobian(lambda x: weights @ x, np.array([0.5, -1.0]))
    assert value.shape == bound.shape == (2, 3, 2)
    np.testing.assert_allclose(value, weights, rtol=1e-9, atol=1e-9)
    value, _ = jacobian(lambda x: x @ x, np.array([0.5, -1.0]))
    np.testing.assert_allclose(value, [1.0, -2.0], rtol=1e-9)


@given(x=hnp.arrays(np.float64, 10, elements=st.floats(-30, 30)))
def test_the_complex_step_is_right_to_rounding(x):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    np.testing.assert_allclose(complex_step(sigmoid, x), nn.activations.sigmoid_derivative(x), rtol=1e-13)


def test_the_complex_step_wants_complex_numbers_back():
    with pytest.raises(TypeError, match="complex_step: expected f to return complex numbers"):
        complex_step(np.abs, np.ones(2))


@pytest.mark.parametrize("order", [1, 2])
def test_extrapolation_is_exact_once_every_power_is_cancelled(order):
    steps = np.array([1.0, 0.25, 0.0625, 0.015625])
    quotients = 5.0 + steps**order - 2 * steps ** (2 * order) + 3 * steps ** (3 * order)
    table = extrapolate(quotients, np.zeros(4), steps, order)
    assert table.values[-1] == pytest.approx(5.0, abs=1e-14)
    assert (np.abs(table.values - 5.0) <= table.errors + 1e-14).all()


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_of_an_entry_is_its_distance_from_the_two_that_it_is_made_of(order):
    steps = np.array([1.0, 0.25, 0.0625])
    quotients = np.array([8.0, 5.0, 4.0])
    table = extrapolate(quotients, np.zeros(3), steps, order)
    ratio = 4.0**order
    # By hand: T_11 from T_10 and T_00, T_21 from T_20 and T_10, T_22 from T_21 and T_11.
    t11 = 5.0 + (5.0 - 8.0) / (ratio - 1)
    t21 = 4.0 + (4.0 - 5.0) / (ratio - 1)
    t22 = t21 + (t21 - t11) / (ratio**2 - 1)
    np.testing.assert_allclose(table.values, [t11, t21, t22], rtol=1e-15)
    # The larger distance is that from the coarser one; and an error falls by ratio^k at most from row to row.
    e11 = abs(t11 - 8.0)
    e21 = max(abs(t21 - 5.0), e11 / ratio)
    np.testing.assert_allclose(table.errors, [e11, e21, abs(t22 - t11)], rtol=1e-14)


def test_three_quotients_that_agree_by_chance_are_not_taken_for_converged():
    steps = STEPS[:4]
    table = extrapolate(np.array([2.0, 1.0, 1.0, 1.0]), np.zeros(4), steps, 2)
    assert table.errors.min() > 0.0


def test_rounding_is_carried_through_the_table():
    steps = STEPS[:3]
    clean = extrapolate(np.ones(3), np.zeros(3), steps, 2)
    noisy = extrapolate(np.ones(3), 1e-3 / steps, steps, 2)
    assert (clean.errors == 0).all()
    # The finest quotient weighs most, a little more than by itself.
    assert 1e-3 / steps[-1] < noisy.errors[-1] < 1.2e-3 / steps[-1]


@given(seed=our.seeds, size=st.sampled_from([1e-12, 1e-6, 1.0]))
def test_noise_is_measured_under_a_smooth_function(seed, size):
    rng = np.random.default_rng(seed)
    level = noise_level(lambda t: np.full(200, (1e-3 * t) ** 3 + t) + size * rng.standard_normal(200), points=9)
    # 200 estimates from 9 values each: their median is within a factor of two of the truth.
    assert size / 2 < np.median(level) < 2 * size


def test_scales_are_powers_of_two_around_the_numbers():
    x = np.array([0.0, 3.0, -0.001, 100.0])
    for scale in (scale_of(x), own_scale_of(x)):
        assert (np.log2(scale) % 1 == 0).all()
    assert scale_of(x)[0] == scale_of(x)[2] == 32.0  # the root mean square is 50
    assert own_scale_of(x)[2] == 2.0**-10
    assert (scale_of(np.zeros(2)) == 1.0).all()


def test_the_sides_of_a_kink_and_of_a_smooth_point():
    x = np.array([0.0, 1.5, -2.0, 0.3])
    left, right = one_sided(np.abs, x)
    assert (np.abs(left.value - [-1.0, 1.0, -1.0, 1.0]) <= left.bound).all()
    assert (np.abs(right.value - [1.0, 1.0, -1.0, 1.0]) <= right.bound).all()
    for side in one_sided(np.tanh, x):
        assert (np.abs(side.value - (1.0 - np.tanh(x) ** 2)) <= side.bound).all()
        assert side.bound.max() < 1e-7
