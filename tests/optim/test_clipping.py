"""Gradient clipping against torch.nn.utils, within the bound of both engines' rounding."""

import math

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.optim.clipping import EPSILON, clip_grad_norm_, grad_norm
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded


def with_gradients(arrays):
    parameters = [nn.Parameter(np.zeros_like(array)) for array in arrays]
    for p, array in zip(parameters, arrays, strict=True):
        p.grad[...] = array
    return parameters


@given(
    data=st.data(),
    dtype=our.dtypes,
    shapes=st.lists(our.shapes, min_size=1, max_size=4),
    max_norm=st.floats(0, 1e4),
    as_vector=st.booleans(),
)
def test_clipping_matches_torch(data, dtype, shapes, max_norm, as_vector):
    gradients = [data.draw(our.float_arrays(shape, dtype)) for shape in shapes]
    parameters = with_gradients(gradients)
    theirs = [torch.zeros(shape, dtype=torch.tensor(gradients[0].copy()).dtype) for shape in shapes]
    for t, gradient in zip(theirs, gradients, strict=True):
        t.grad = torch.tensor(gradient.copy())
    all_of_them = as_rounded(np.concatenate([gradient.reshape(-1) for gradient in gradients]))
    norm = (all_of_them * all_of_them).sum().sqrt()
    if as_vector:
        vector = nn.ParameterVector(parameters)
        for p, gradient in zip(vector, gradients, strict=True):
            p.grad[...] = gradient
    ours = clip_grad_norm_(vector if as_vector else parameters, max_norm)
    their_norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    # Squares too small for the dtype are within the smallest normal number that Rounded allows each.
    assert compare("norm", np.asarray(ours, dtype), their_norm, norm).ok
    with np.errstate(all="ignore"):
        factor = (max_norm / (norm + EPSILON)).minimum(1.0)
        for p, t, gradient in zip(parameters, theirs, gradients, strict=True):
            assert compare("gradient", p.grad, t.grad, as_rounded(gradient.copy()) * factor).ok


@given(size=st.integers(1, 100), exponent=st.sampled_from([-30, -25, -22, 22, 30]), max_norm=st.floats(0.1, 10))
def test_squares_that_float32_cannot_hold_do_no_harm(size, exponent, max_norm):
    (p,) = with_gradients([np.full(size, 10.0**exponent, np.float32)])
    exact = math.sqrt(size) * float(p.grad[0])
    assert grad_norm([p]) == pytest.approx(exact, rel=(size + 4) * 2.0**-53, abs=0)
    before = p.grad.copy()
    clip_grad_norm_([p], max_norm)
    if exponent < 0:
        np.testing.assert_array_equal(p.grad, before)
    else:
        assert grad_norm([p]) == pytest.approx(max_norm, rel=4 * 2.0**-24, abs=0)


def test_long_sums_stay_exact():
    # One running sum in float32 would stop growing at 2^24.
    (p,) = with_gradients([np.ones(2**24 + 2**20, np.float32)])
    assert grad_norm([p]) == math.sqrt(p.size)


def test_a_short_gradient_is_left_alone_bit_for_bit():
    (p,) = with_gradients([np.array([0.3, 0.4])])
    assert clip_grad_norm_([p], 0.6) == 0.5
    np.testing.assert_array_equal(p.grad, [0.3, 0.4])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_no_number_is_told_and_made_no_number(value):
    parameters = with_gradients([np.array([1.0, value])])
    theirs = torch.zeros(2, dtype=torch.float64)
    theirs.grad = torch.tensor([1.0, value], dtype=torch.float64)
    with np.errstate(all="ignore"):
        norm = clip_grad_norm_(parameters, 1.0)
    np.testing.assert_equal(norm, float(torch.nn.utils.clip_grad_norm_([theirs], 1.0)))
    np.testing.assert_array_equal(parameters[0].grad, theirs.grad.numpy())


@pytest.mark.parametrize(("max_norm", "error"), [(-1.0, ValueError), (np.inf, ValueError), ("1", TypeError)])
def test_bad_settings_are_named(max_norm, error):
    with pytest.raises(error, match="max_norm: expected a"):
        clip_grad_norm_(with_gradients([np.ones(2)]), max_norm)
