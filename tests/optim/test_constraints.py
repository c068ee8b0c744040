"""The max-norm constraint against torch.renorm, within the bound of both engines' rounding."""

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.optim.constraints import EPSILON, max_norm_
from torch_ref import to_torch
from torch_ref.constraints import max_norm_ as their_max_norm_
from torch_ref.parity import compare
from torch_ref.rounding import Rounded, as_rounded

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))


@given(data=st.data(), dtype=our.dtypes, shape=shapes, max_norm=st.floats(1e-3, 1e3))
def test_max_norm_is_torchs_renorm(data, dtype, shape, max_norm):
    array = data.draw(our.float_arrays(shape, dtype, laid_out=False))
    theirs = torch.renorm(torch.tensor(array.copy()), 2, 1, max_norm)
    w = as_rounded(array.copy())
    norm = (w * w).sum(axis=0, keepdims=True).sqrt()
    with np.errstate(all="ignore"):
        factor = max_norm / (norm + EPSILON)
        # Scaled or not, where rounding leaves the side open; the factor there is 1 but for its own error and epsilon.
        near = np.abs(norm.value - max_norm) <= norm.error + np.finfo(dtype).eps * max_norm
        scaled = norm.value > max_norm
        value = np.where(scaled, factor.value, 1.0)
        error = np.where(scaled, factor.error, 0.0) + np.where(near, np.abs(factor.value - 1) + factor.error, 0.0)
    weight = nn.Parameter(array)
    max_norm_(weight, max_norm)
    assert compare("weight", weight.data, theirs, w * Rounded(value, error, dtype=dtype)).ok


@given(data=st.data(), dtype=our.dtypes, shape=shapes, max_norm=st.floats(0.01, 10))
def test_no_column_is_longer_and_short_ones_stay_bit_for_bit(data, dtype, shape, max_norm):
    array = data.draw(our.float_arrays(shape, dtype, laid_out=False))
    before = array.copy()
    max_norm_(array, max_norm)
    u = float(np.finfo(dtype).eps) / 2
    exact = np.linalg.norm(before.astype(np.float64), axis=0)
    # The sum of squares, the root, the division and the product round.
    slack = (shape[0] + 8) * u
    assert (np.linalg.norm(array.astype(np.float64), axis=0) <= max_norm * (1 + slack)).all()
    short = exact < max_norm * (1 - slack)
    np.testing.assert_array_equal(array[:, short], before[:, short])


def test_a_network_s_own_memory_is_constrained():
    net = nn.MLP([4, 5, 3], rng=0)
    net.parameters().data.fill(2.0)
    max_norm_(net[0].weight, 1.0)
    np.testing.assert_allclose(net.parameters().data[:20], 0.5, rtol=2.0**-20)
    np.testing.assert_array_equal(net.parameters().data[20:], 2.0)


@pytest.mark.parametrize(
    ("weight", "max_norm", "error", "message"),
    [
        (np.ones((2, 2)), -1.0, ValueError, "max_norm: expected a finite number >= 0"),
        (np.ones((2, 2)), None, TypeError, "max_norm: expected a number"),
        (
            nn.Parameter(np.ones(3)),
            1.0,
            ValueError,
            r"weight: expected shape \(in_features, out_features\), got \(3,\)",
        ),
    ],
)
def test_bad_input_is_named(weight, max_norm, error, message):
    with pytest.raises(error, match=message):
        max_norm_(weight, max_norm)


@given(data=st.data(), dtype=our.dtypes, max_norm=st.floats(1e-2, 1e2))
def test_a_twin_s_units_are_constrained_alike(data, dtype, max_norm):
    net = nn.MLP([data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)), 2], rng=0, dtype=dtype)
    net.parameters().data[...] = data.draw(our.float_arrays(net.parameters().size, dtype, limit=10, laid_out=False))
    twin = to_torch(net)
    for layer, their_layer in ((net[0], twin[0]), (net[2], twin[2])):
        before = layer.weight.data.astype(np.float64)
        max_norm_(layer.weight, max_norm)
        their_max_norm_(their_layer.weight, max_norm)
        # Norm and factor of either engine round as often as the sum has terms, and eight times more; where one scales
        # and the other does not, the factor is 1 but for that and for epsilon.
        relative = 2 * (len(before) + 8) * float(np.finfo(dtype).eps) / 2 + EPSILON / max_norm
        tiny = float(np.finfo(dtype).tiny) * (len(before) + 8) ** 0.5
        error = np.abs(layer.weight.data - their_layer.weight.detach().numpy().T)
        assert (error <= 1.01 * relative * np.abs(before) + tiny).all()
        assert their_layer.weight.dtype == torch.from_numpy(layer.weight.data).dtype


@pytest.mark.parametrize(
    ("weight", "max_norm", "message"),
    [
        (torch.ones(2, 2), -1.0, "max_norm: expected a finite number >= 0"),
        (torch.ones(3), 1.0, r"weight: expected shape \(out_features, in_features\), got \(3,\)"),
    ],
)
def test_bad_input_of_the_twin_is_named(weight, max_norm, message):
    with pytest.raises(ValueError, match=message):
        their_max_norm_(weight, max_norm)


def test_a_column_of_exactly_the_length_stays_bit_for_bit():
    weight = np.array([[3.0, 3.0], [4.0, 4.1]])
    max_norm_(weight, 5.0)
    np.testing.assert_array_equal(weight[:, 0], [3.0, 4.0])
    assert weight[1, 1] < 4.1
