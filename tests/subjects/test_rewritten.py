"""Gradients that are returned as the parts of a vector, each in its shape; and an array that is called alpha."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

N_IN, N_OUT = 3, 2


def cost_of_parts(theta, X, Y, order="C", extra=0.0):
    """Two matrices of a linear network, cut out of one vector; the gradients are returned as two matrices."""
    first = theta[: N_IN * N_IN].reshape(N_IN, N_IN, order=order)
    second = theta[N_IN * N_IN :].reshape(N_IN, N_OUT, order=order)
    hidden = X @ first
    off = hidden @ second - Y
    return 0.5 * np.sum(off**2), X.T @ (off @ second.T), hidden.T @ off + extra


def given():
    rng = np.random.default_rng(0)
    size = N_IN * N_IN + N_IN * N_OUT
    return rng.standard_normal(size), rng.standard_normal((5, N_IN)), rng.standard_normal((5, N_OUT))


@pytest.mark.parametrize(("order", "words"), [("C", "row by row"), ("F", "column by column")])
def test_gradients_of_the_parts_of_a_vector_are_joined(order, words):
    report = check_gradients(lambda theta, X, Y: cost_of_parts(theta, X, Y, order), given())
    assert report, report
    note = f"returned are the gradients of the parts of theta, each in its shape; they are joined {words}"
    assert note in report.notes


def test_a_mistake_in_one_part_is_wrong_and_not_a_matter_of_shapes():
    entry = check_gradients(lambda theta, X, Y: cost_of_parts(theta, X, Y, extra=0.25), given())["theta"]
    assert entry.verdict == "wrong"
    assert entry.diagnosis is not None
    assert entry.diagnosis.cause != "wrong_shape"
    assert entry.checked == entry.size


def test_a_backward_pass_of_its_own_may_return_them_too():
    theta, X, Y = given()

    def cost(theta, X, Y):
        return cost_of_parts(theta, X, Y)[0]

    def gradients(theta, X, Y):
        return list(cost_of_parts(theta, X, Y)[1:])

    report = check_gradients((cost, gradients), (theta, X, Y))
    assert report, report


def test_an_array_called_alpha_is_no_rate():
    def dual(alpha, beta, C):
        plan = np.exp(alpha[:, None] + beta - C)
        return plan.sum(), plan.sum(axis=1), plan.sum(axis=0)

    rng = np.random.default_rng(0)
    report = check_gradients(dual, (rng.standard_normal(4), rng.standard_normal(3), rng.random((4, 3))))
    assert {entry.name: entry.verdict for entry in report.entries} == {"alpha": "right", "beta": "right"}
