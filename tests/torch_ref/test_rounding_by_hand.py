"""Rounded on numbers whose bound can be told by hand: what it leaves open, what has no bound, what has no error."""

import numpy as np
import pytest
import strategies as our

from torch_ref.rounding import SLACK, Rounded, as_rounded


def test_of_two_branches_that_the_error_leaves_open_either_is_within_the_bound():
    x = Rounded([1.0, -1.0, 1.0, -1.0, 2.0, 0.0], [1.0, 1.0, 1.5, 1.5, 1.0, 0.0], dtype=np.float32)
    above, below = (Rounded(np.full(6, value), error, dtype=np.float32) for value, error in ((5.0, 0.25), (-2.0, 0.5)))
    # At a distance of exactly its error the exact value may be 0, on the other side of > 0.
    undecided = np.array([True, True, True, True, False, False])
    step, picked = x.step(), x.select(above, below)
    np.testing.assert_array_equal(step.value, [1, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(step.error, undecided)
    np.testing.assert_array_equal(picked.value, [5, -2, 5, -2, 5, -2])
    for branch in (above, below):
        distance = np.abs(picked.value - branch.value) + branch.error
        assert (distance <= picked.error)[undecided].all()
    np.testing.assert_allclose(picked.error[~undecided], [0.25, 0.5], rtol=2 * (SLACK - 1))


def test_what_is_surely_below_the_bound_of_a_maximum_leaves_no_error():
    x = Rounded([-3.0, -0.5, 0.5, 3.0, np.nan], 1.0, dtype=np.float32)
    np.testing.assert_array_equal(x.maximum(0.0).error, [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(x.minimum(0.0).error, [1, 1, 1, 0, 0])


def test_step_looks_at_the_side_of_its_own_threshold():
    x = Rounded([3.0, 3.0, 1.0], [1.0, 0.5, 0.0], dtype=np.float64)
    np.testing.assert_array_equal(x.step(2.0).value, [1, 1, 0])
    np.testing.assert_array_equal(x.step(2.0).error, [1, 0, 0])


def test_what_may_divide_by_zero_or_overflow_has_an_infinite_bound():
    x = Rounded([1.0, 0.5, 1e300], [1.0, 0.75, 1e290], dtype=np.float64)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal((1.0 / x).error[:2], np.inf)
        np.testing.assert_array_equal(x.log().error[:2], np.inf)
        np.testing.assert_array_equal((x * x).error[2], np.inf)
        np.testing.assert_array_equal((x * x - x * x).error[2], np.inf)


def test_what_may_overflow_in_the_dtype_has_an_infinite_bound_and_so_has_what_comes_of_it():
    x = as_rounded(np.array([1.0, 1e19, 3e38], np.float32))
    row = x.reshape(1, 3)
    for result, known in (
        (x * x, [True, True, False]),
        (x + x, [True, True, False]),
        (1.0 / (x * x), [True, True, False]),
        (x / np.float32(0.5), [True, True, False]),
        (x.minimum(90.0).exp(), [True, False, False]),
        (row.sum(axis=1), [True]),
        ((row + row).sum(axis=1), [False]),
        (row @ np.ones((3, 1), np.float32), [True]),
        (row @ np.full((3, 1), 10.0, np.float32), [False]),
    ):
        np.testing.assert_array_equal(np.ravel(np.isfinite(result.error)), known)
    assert np.isfinite((as_rounded(np.array(1e200)) * 1e100).error)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_constant_array_is_off_by_what_the_dtype_cannot_hold_of_it(dtype):
    r = as_rounded(np.ones(3, dtype))
    own, finer = np.array([0.1, 0.5, -3.0], dtype), np.array([0.1, 0.5, -1.0 / 3.0])
    np.testing.assert_array_equal(r.lift(own).value, own)
    np.testing.assert_array_equal(r.lift(own).error, 0.0)
    np.testing.assert_array_equal(r.lift(finer).value, finer)
    np.testing.assert_array_equal(r.lift(finer).error, np.abs(finer.astype(dtype) - finer))
    assert np.any(r.lift(finer).error) == (dtype is np.float32)
    assert r.lift(r) is r


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_machine_may_be_off_by_the_error_and_the_value_by_what_float64_makes_of_it(dtype):
    x = Rounded([1.0, 2.0], [0.5, 0.0], dtype=dtype)
    np.testing.assert_array_equal(x.reach, [0.5 + 0.5 * 2.0**-53 / x.u, 0.0])
    assert x.reach[0] == (1.0 if dtype is np.float64 else 0.5 + 2.0**-30)


def test_an_array_may_stand_on_either_side():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    r = as_rounded(x)
    for left, right in ((x + r, r + x), (x - r, -(r - x)), (x * r, r * x)):
        np.testing.assert_array_equal(left.value, right.value)
        np.testing.assert_array_equal(left.error, right.error)
    np.testing.assert_array_equal((x / r).value, 1.0)
