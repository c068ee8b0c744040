"""Every activation of the registry: value and derivative against torch, and at the ends of the range."""

import warnings

import mpmath
import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn import activations
from numpy_nn._support.workspace import Workspace
from numpy_nn.activations import ACTIVATIONS
from numpy_nn.activations.elementwise import SELU_ALPHA, SELU_SCALE
from scripts.accuracy.exact_activations import CASES
from scripts.accuracy_report import by_torch
from torch_ref import bounds
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded

ELEMENTWISE = [name for name, a in ACTIVATIONS.items() if a.elementwise]

# At every set of options that the accuracy report measures; the layers' tests draw others.
VARIANTS = [name for name, case in CASES.items() if case.activation.elementwise]


def options_of(name, dtype):
    return CASES[name].arguments(dtype)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("case", VARIANTS)
@given(data=st.data())
def test_value_and_derivative_equal_torch_within_the_derived_bound(case, dtype, data):
    entry, options = CASES[case].activation, options_of(case, dtype)
    assert_within_the_bound(case, entry, options, data.draw(our.float_arrays(our.shapes, dtype)))


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("case", VARIANTS)
def test_so_are_they_all_along_the_line(case, dtype):
    # Random numbers may miss the few where a kernel is at its worst: oneDNN's GELU with AVX-512 has 1.1 times what a
    # bound allowed that knew but its older polynomial.
    x = np.linspace(-12.0, 12.0, 20_001, dtype=dtype)
    assert_within_the_bound(case, CASES[case].activation, options_of(case, dtype), x)


def assert_within_the_bound(case, entry, options, x):
    value, derivative = map(torch.from_numpy, by_torch(CASES[case], x))
    formula, formula_derivative = bounds.ACTIVATIONS[entry.name]
    with np.errstate(all="ignore"):
        held = formula(as_rounded(x), **options), formula_derivative(as_rounded(x), **options)
    assert compare(case, entry.function(x, **options), value, held[0]).ok
    assert compare(case, entry.derivative(x, **options), derivative, held[1]).ok


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("case", VARIANTS)
def test_the_derivative_at_a_kink_is_torchs(case, dtype):
    entry, options = CASES[case].activation, options_of(case, dtype)
    x = np.array([-3.0, -1.0, -0.0, 0.0, 1.0, 3.0, 6.0], dtype)
    _, derivative = by_torch(CASES[case], x)
    if set(entry.kinks) or entry.name in ("elu", "selu"):
        at = np.isin(x, entry.kinks) | (x == 0.0)
        # torch has 1 / 6 as a float32 in either dtype.
        unit = np.finfo(np.float32).eps if entry.name == "hardsigmoid" else 0
        np.testing.assert_allclose(entry.derivative(x, **options)[at], derivative[at], rtol=unit, atol=0)


# Value and derivative at -inf and +inf.
LIMITS = {
    "identity": (-np.inf, np.inf, 1, 1),
    "sigmoid": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, 0.01, 1),
    "prelu": (-np.inf, np.inf, 0.3, 1),
    "elu": (-1, np.inf, 0, 1),
    "selu": (-SELU_SCALE * SELU_ALPHA, np.inf, 0, SELU_SCALE),
    "gelu": (0, np.inf, 0, 1),
    "gelu_tanh": (0, np.inf, 0, 1),
    "silu": (0, np.inf, 0, 1),
    "softplus": (0, np.inf, 0, 1),
    "hardtanh": (-1, 1, 0, 0),
    "relu6": (0, 6, 0, 0),
    "hardsigmoid": (0, 1, 0, 0),
    "hardswish": (0, np.inf, 0, 1),
    "mish": (0, np.inf, 0, 1),
    "softsign": (-1, 1, 0, 0),
    "logsigmoid": (-np.inf, 0, 1, 0),
}


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("case", LIMITS)
def test_limits_at_infinity_and_nan(case, dtype):
    entry, options = CASES[case].activation, options_of(case, dtype)
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    low, high, slope_low, slope_high = LIMITS[case]
    value, derivative = entry.function(x, **options), entry.derivative(x, **options)
    # SELU's lower limit is a product that each dtype rounds once or twice; the others are exact.
    unit = 2 * np.finfo(dtype).eps if case == "selu" else 0
    np.testing.assert_allclose(value, np.array([low, high, np.nan], dtype), rtol=unit, atol=0)
    np.testing.assert_allclose(derivative, np.array([slope_low, slope_high, np.nan], dtype), rtol=unit, atol=0)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(data=st.data())
@our.fewer(0.5)
def test_no_warning_nan_stays_nan_and_the_input_stays_as_it_was(name, dtype, data):
    entry, options = ACTIVATIONS[name], options_of(name, dtype)
    x = data.draw(our.float_arrays(our.shapes, dtype, special=True, limit=1e6))
    before = x.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = entry.function(x, **options)
        derivative = entry.derivative(x, **options)
    np.testing.assert_array_equal(x, before)
    assert value.shape == x.shape
    assert value.dtype == derivative.dtype == dtype
    if entry.elementwise:
        np.testing.assert_array_equal(np.isnan(value), np.isnan(x))
        np.testing.assert_array_equal(np.isnan(derivative), np.isnan(x))
    else:
        broken = np.isnan(x).any(axis=-1)
        np.testing.assert_array_equal(np.isnan(value).all(axis=-1), broken)
        np.testing.assert_array_equal(np.isnan(value).any(axis=-1), broken)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
@given(data=st.data())
@our.fewer(0.5)
def test_out_and_work_change_nothing_but_where_the_result_lies(name, dtype, data):
    entry, options = ACTIVATIONS[name], options_of(name, dtype)
    x = data.draw(our.float_arrays(our.shapes, dtype, special=True))
    work = Workspace()
    for function in (entry.function, entry.derivative, entry.function):
        out = np.empty(x.shape, dtype)
        assert function(x, **options, out=out, work=work) is out
        np.testing.assert_array_equal(out, function(x, **options))


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_result_may_be_written_over_the_input(name, dtype):
    entry, options = ACTIVATIONS[name], options_of(name, dtype)
    for function in (entry.function, entry.derivative):
        x = np.array([*np.linspace(-7, 7, 29), *our.special_values(dtype)], dtype)
        expected = function(x, **options)
        assert function(x, **options, out=x, work=Workspace()) is x
        np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data())
def test_softmax_and_log_softmax_equal_torch_within_the_derived_bound(dtype, data):
    x = data.draw(our.float_arrays(st.tuples(st.integers(1, 6), st.integers(1, 12)), dtype))
    tensor = torch.tensor(np.ascontiguousarray(x))
    with np.errstate(all="ignore"):
        held = bounds.softmax(as_rounded(x)), bounds.log_softmax(as_rounded(x))
    assert compare("softmax", activations.softmax(x), torch.softmax(tensor, 1), held[0]).ok
    assert compare("log_softmax", activations.log_softmax(x), torch.log_softmax(tensor, 1), held[1]).ok


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(data=st.data())
def test_the_jacobian_is_the_one_that_backward_multiplies_with(name, dtype, data):
    x = data.draw(our.float_arrays(st.tuples(st.integers(1, 5), st.integers(1, 8)), dtype, limit=50.0))
    g = np.random.default_rng(data.draw(our.seeds)).standard_normal(x.shape).astype(dtype)
    layer = nn.ACTIVATION_LAYERS[name]()
    layer(x)
    product = np.einsum("nij,ni->nj", ACTIVATIONS[name].derivative(x), g)
    n, classes = x.shape
    with np.errstate(all="ignore"):
        s = bounds.softmax(as_rounded(x))
        jacobian = np.eye(classes) - s.reshape(n, 1, classes)
        if name == "softmax":
            jacobian = s.reshape(n, classes, 1) * jacobian
        held = (jacobian * g[:, :, None]).sum(axis=1), bounds.backward(layer, as_rounded(x), as_rounded(g))[0]
    assert np.all(np.abs(layer.backward(g) - product) <= held[0].error + held[1].error)


def test_a_confident_log_softmax_keeps_the_digits_of_its_small_end():
    value = activations.log_softmax(np.array([[30.0, 0.0]], np.float32))[0, 0]
    assert value == pytest.approx(-np.exp(-30.0), rel=2**-22, abs=0)


def test_infinite_entries_share_the_softmax():
    x = np.array([[np.inf, 0, 1], [np.inf, np.inf, 0], [-np.inf, 0, 0], [-np.inf, -np.inf, -np.inf]])
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [1 / 3] * 3]
    np.testing.assert_array_equal(activations.softmax(x), expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    "bad", [np.arange(3), np.array(["a"]), [1, 2], np.zeros(2, np.float16), 1, np.ones(2, complex)]
)
def test_only_float32_and_float64_are_taken(name, bad):
    for function in (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative):
        with pytest.raises(TypeError, match=r"x: expected an array of float32 or float64, got"):
            function(bad, **options_of(name, np.float32))


def test_python_floats_and_lists_are_float64():
    assert activations.sigmoid(0.0) == 0.5
    assert activations.relu([-1.0, 2.0]).dtype == np.float64


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("softplus", {"beta": 0.0}, "beta"),
        ("softplus", {"beta": np.nan}, "beta"),
        ("hardtanh", {"min_val": 1.0, "max_val": 1.0}, "min_val"),
        ("gelu", {"approximate": "erf"}, "approximate"),
        ("prelu", {"weight": np.zeros(3)}, "weight"),
    ],
)
def test_bad_options_are_named(function, options, message):
    for part in (function, f"{function}_derivative"):
        with pytest.raises(ValueError, match=message):
            getattr(activations, part)(np.zeros((2, 2)), **options)


def test_which_slopes_would_do_is_told():
    with pytest.raises(ValueError, match=r"weight: expected shape \(\), \(1,\) or \(2,\), got \(3,\)"):
        activations.prelu(np.zeros((4, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"weight: expected shape \(\), \(1,\) or \(5,\), got \(4,\)"):
        activations.prelu(np.zeros((4, 2, 5)), np.zeros(4))


def test_a_slope_of_another_dtype_is_refused():
    with pytest.raises(TypeError, match="weight: expected float32"):
        activations.prelu(np.zeros((2, 2), np.float32), np.zeros(2))


@pytest.mark.parametrize("x", [np.zeros((2, 0)), np.array(1.0)])
def test_softmax_needs_a_last_axis_with_entries(x):
    with pytest.raises(ValueError, match="last axis"):
        activations.softmax(x)


@given(beta=st.floats(1e-3, 1e3), x=st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(beta=1e3, x=3e38)
def test_softplus_with_any_beta_stays_between_relu_and_relu_plus_its_gap(beta, x):
    value = float(activations.softplus(np.float32(x), beta))
    relu = max(float(np.float32(x)), 0.0)
    assert relu * (1 - 2**-23) <= value <= (relu + np.log(2.0) / beta) * (1 + 2**-20)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("beta", [2.0**-10, 1e-3, 0.7, 3.0, 1e3, 2.0**10])
def test_softplus_of_any_beta_is_the_formula_to_the_last_digits(beta, dtype):
    most, beta = (80.0 if dtype == np.float32 else 700.0), float(dtype(beta))
    x = (np.linspace(-most, most, 141) / beta).astype(dtype)
    with mpmath.workdps(40):
        powers = [mpmath.exp(mpmath.mpf(float(number)) * beta) for number in x]
        value = [float(mpmath.log1p(power) / beta) for power in powers]
        derivative = [float(power / (1 + power)) for power in powers]
    unit = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(activations.softplus(x, beta), value, rtol=unit, atol=0)
    np.testing.assert_allclose(activations.softplus_derivative(x, beta), derivative, rtol=unit, atol=0)


def test_where_softplus_is_x_it_is_x_to_the_last_bit():
    for x in (np.linspace(0.1, 3.0, 59), np.linspace(0.1, 3.0, 59, dtype=np.float32)):
        np.testing.assert_array_equal(activations.softplus(x, 1e3), x)
        np.testing.assert_array_equal(activations.softplus_derivative(x, 1e3), np.ones_like(x))


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "prelu"])
def test_without_options_a_function_is_its_layer_without_options(name):
    entry, layer = ACTIVATIONS[name], nn.ACTIVATION_LAYERS[name]()
    x = np.linspace(-9.0, 9.0, 37)[None]
    np.testing.assert_array_equal(entry.function(x), layer(x))
    np.testing.assert_array_equal(entry.derivative(x), layer.backward(np.ones_like(x)))


def test_every_entry_is_found_by_its_name_as_function_derivative_and_layer():
    for name, entry in ACTIVATIONS.items():
        assert getattr(activations, name) is entry.function
        assert getattr(activations, f"{name}_derivative") is entry.derivative
        assert nn.ACTIVATION_LAYERS[name].activation is entry


def test_kinks_are_where_the_derivative_jumps_and_nowhere_else():
    assert {name: entry.kinks for name, entry in ACTIVATIONS.items() if entry.kinks} == {
        "relu": (0.0,),
        "leaky_relu": (0.0,),
        "prelu": (0.0,),
        "selu": (0.0,),
        "hardtanh": (-1.0, 1.0),
        "relu6": (0.0, 6.0),
        "hardsigmoid": (-3.0, 3.0),
        "hardswish": (-3.0, 3.0),
    }
