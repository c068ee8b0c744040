"""Initial values: their distributions, their seeds, and that they are written in place."""

import math

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn import initializers as init

FAN_IN, FAN_OUT = 300, 200
N = FAN_IN * FAN_OUT


def filled(function, seed, **options):
    weight = np.full((FAN_IN, FAN_OUT), np.nan)
    assert function(weight, rng=seed, **options) is None
    return weight


# Function, options, and the standard deviation it should have.
NORMAL = [
    (init.normal_, {"mean": 2.0, "std": 0.01}, 0.01),
    (init.xavier_normal_, {"gain": 2.0}, 2.0 * math.sqrt(2.0 / (FAN_IN + FAN_OUT))),
    (init.kaiming_normal_, {}, math.sqrt(2.0 / FAN_IN)),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, 5.0 / 3.0 / math.sqrt(FAN_OUT)),
    (init.kaiming_normal_, {"a": 0.5}, math.sqrt(2.0 / 1.25 / FAN_IN)),
]
# Function, options, and the bound of its interval.
UNIFORM = [
    (init.uniform_, {"low": -3.0, "high": 3.0}, 3.0),
    (init.xavier_uniform_, {}, math.sqrt(6.0 / (FAN_IN + FAN_OUT))),
    (init.kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(2.0) * math.sqrt(3.0 / FAN_IN)),
    (init.kaiming_uniform_, {"mode": "fan_out"}, math.sqrt(2.0) * math.sqrt(3.0 / FAN_OUT)),
    (init.linear_default_, {}, 1.0 / math.sqrt(FAN_IN)),
]


@pytest.mark.parametrize(("function", "options", "std"), NORMAL)
@given(seed=our.seeds)
def test_normal_ones_have_their_mean_and_standard_deviation(function, options, std, seed):
    weight = filled(function, seed, **options)
    # Six standard errors, of a mean and of a standard deviation.
    assert abs(weight.mean() - options.get("mean", 0.0)) <= 6 * std / math.sqrt(N)
    assert abs(weight.std() - std) <= 6 * std / math.sqrt(2 * N)


@pytest.mark.parametrize(("function", "options", "bound"), UNIFORM)
@given(seed=our.seeds)
def test_uniform_ones_fill_their_interval(function, options, bound, seed):
    weight = filled(function, seed, **options)
    # The largest of N numbers misses the end by more than 40 / N of the interval once in e^40 times.
    assert bound * (1 - 40 / N) <= np.abs(weight).max() <= bound
    assert abs(weight.mean()) <= 6 * bound / math.sqrt(3 * N)


@pytest.mark.parametrize("function", [f for f, _, _ in NORMAL + UNIFORM])
def test_one_seed_gives_the_same_values_in_float32_rounded(function):
    double, single = np.empty((7, 5)), np.empty((7, 5), np.float32)
    function(double, rng=3)
    function(single, rng=3)
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("function", [f for f, _, _ in NORMAL + UNIFORM])
def test_a_parameter_of_a_network_is_filled_where_it_lies(function):
    net = nn.MLP([4, 3, 2], rng=0)
    before = net.parameters().data.copy()
    function(net[0].weight, rng=1)
    assert np.shares_memory(net[0].weight.data, net.parameters().data)
    changed = net.parameters().data != before
    assert changed[:12].all()
    assert not changed[12:].any()


def test_zeros():
    p = nn.Parameter(np.ones(3))
    init.zeros_(p)
    assert not p.data.any()


@given(a=st.floats(0, 5), name=st.sampled_from(["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]))
def test_gains_are_torchs(a, name):
    theirs = torch.nn.init.calculate_gain(name, a if name == "leaky_relu" else None)
    assert init.calculate_gain(name, a) == pytest.approx(theirs, rel=1e-15)


@given(fan_in=our.widths, fan_out=our.widths, seed=our.seeds)
def test_linears_default_stays_in_torchs_range(fan_in, fan_out, seed):
    layer = nn.Linear(fan_in, fan_out, rng=seed, dtype=np.float64)
    bound = 1 / math.sqrt(fan_in)
    assert layer.bias is not None
    assert np.abs(layer.weight.data).max() <= bound
    assert np.abs(layer.bias.data).max() <= bound
    torch.manual_seed(seed)
    theirs = torch.nn.Linear(fan_in, fan_out, dtype=torch.float64)
    assert max(theirs.weight.abs().max().item(), theirs.bias.abs().max().item()) <= bound * (1 + 1e-15)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.normal_(np.zeros((2, 2)), std=-1.0), ValueError, "std: expected a finite number >= 0"),
        (lambda: init.normal_(np.zeros((2, 2)), std=np.nan), ValueError, "std"),
        (lambda: init.normal_(np.zeros((2, 2), int)), TypeError, "target: expected a Parameter or an array of floats"),
        (lambda: init.normal_([[0.0]]), TypeError, "target: expected a Parameter or an array of floats, got list"),
        (lambda: init.uniform_(np.zeros(2), 1.0, 0.0), ValueError, "high: expected a finite number >= 1"),
        (lambda: init.xavier_normal_(np.zeros(2)), ValueError, r"target: expected shape \(in_features, out_features\)"),
        (lambda: init.xavier_uniform_(np.zeros((2, 2)), gain=np.inf), ValueError, "gain"),
        (lambda: init.kaiming_normal_(np.zeros((2, 2)), mode="fan"), ValueError, "mode: expected one of 'fan_in'"),
        (lambda: init.kaiming_normal_(np.zeros((2, 2)), nonlinearity="gelu"), ValueError, "nonlinearity"),
        (lambda: init.normal_(np.zeros(2), rng=-1), ValueError, "rng"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
