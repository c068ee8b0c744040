"""A forward pass outside of training that keeps nothing: its backward pass is not judged by what it makes of None."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))


def scale_forward(x, w, mode):
    return x * w, (x, w) if mode == "train" else None


def scale_backward(dout, cache):
    x, w = cache
    return dout * w, (dout * x).sum(axis=0)


def with_other_names(one, other):
    x, w = other
    return one * w, (one * x).sum(axis=0)


def with_one_item(dout, cache):
    return dout * cache[1]


def does_without(dout, cache):
    return dout if cache is None else dout * cache[1]


@pytest.mark.parametrize("backward", [scale_backward, with_other_names])
def test_it_is_checked_in_training_and_not_without_a_cache(backward):
    w = np.array([1.0, 2.0, -1.0, 0.5])
    assert check_gradients((scale_forward, backward), (X, w, "train")).ok
    report = check_gradients((scale_forward, backward), (X, w, "test"))
    assert (report.entries, report.ok) == ([], False)
    assert report.problems[0].startswith("x, w: not checked: forward returns None for its cache")


def test_an_array_in_the_place_of_the_cache_is_not_tried():
    report = check_gradients((lambda x, training: (training * x, None), with_one_item), (X, 1))
    assert (report.entries, report.ok) == ([], False)


def test_a_backward_pass_that_takes_none_for_the_cache_is_checked():
    assert check_gradients((lambda x, training: (training * x, None), does_without), (X, 1)).ok
    assert check_gradients((lambda x, training: (2 * training * x, None), does_without), (X, 1))["x"].verdict == "wrong"
