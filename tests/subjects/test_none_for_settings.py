"""Backward passes that return None in the place of an argument that is no array, as torch's functions do."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG

rng = np.random.default_rng(0)
A, B, MASK = rng.standard_normal(3), rng.standard_normal(3), np.array([1.0, 0.5, 2.0])


def scaled(n, a, b):
    return n * a * b


def first_is_a_setting(n, a, b, grad_output):
    return None, n * b * grad_output, n * a * grad_output


def exchanged(n, a, b, grad_output):
    return None, n * a * grad_output, n * b * grad_output


def without_it(n, a, b, grad_output):
    return n * b * grad_output, n * a * grad_output


def masked(a, flag, mask, b):
    return a * mask * b if flag else a


def with_a_mask(a, flag, mask, b, grad_output):
    ga, gb = (mask * b, mask * a) if flag else (1.0, np.zeros(3))
    return grad_output * ga, None, None, grad_output * gb


def calling_back(flag, a, b):
    y = a * b if flag else a + b
    return y, lambda grad: (None, grad * b if flag else grad, grad * a if flag else grad)


@pytest.mark.parametrize("vjp", [first_is_a_setting, without_it])
def test_gradients_are_those_of_the_arguments_in_their_places(vjp):
    report = check_gradients((scaled, vjp), (2, A, B))
    assert report.verdict == RIGHT
    assert [entry.name for entry in report.entries] == ["a", "b"]


def test_exchanged_ones_are_wrong():
    report = check_gradients((scaled, exchanged), (2, A, B))
    assert [entry.verdict for entry in report.entries] == [WRONG, WRONG]
    assert report["a"].cause == "argument_order"


def test_so_it_is_beside_an_array_without_a_gradient_and_in_what_forward_returns():
    report = check_gradients((masked, with_a_mask), (A, True, MASK, B))
    assert report.verdict == RIGHT
    assert [entry.name for entry in report.entries] == ["a", "b"]
    assert check_gradients(calling_back, (True, A, B)).verdict == RIGHT
