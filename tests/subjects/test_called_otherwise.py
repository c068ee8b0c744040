"""Pairs whose backward pass is meant to be called in a way that nothing tells."""

import numpy as np

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
W = {"W1": RNG.standard_normal((5, 4)), "W2": RNG.standard_normal(5)}
STATES = RNG.standard_normal((1, 4))


def policy(x):
    h = np.maximum(0.0, W["W1"] @ x)
    return 1.0 / (1.0 + np.exp(-W["W2"] @ h)), h


def of_episode(eph, epdlogp):
    """For many samples in rows, by the scores, and not by the probability that policy returns."""
    dh = np.outer(epdlogp, W["W2"])
    dh[eph <= 0] = 0
    return {"W1": np.dot(dh.T, STATES), "W2": np.dot(eph.T, epdlogp).ravel()}


def test_a_backward_pass_of_many_samples_beside_a_forward_pass_of_one_is_not_wrong():
    report = check_gradients((policy, of_episode), STATES[0])
    assert report.verdict == "undecided", report
    assert any("nothing tells what eph, epdlogp are" in problem for problem in report.problems)


def test_a_gradient_of_another_shape_is_wrong_where_the_names_tell_how_it_is_meant():
    def linear(x, w):
        return x @ w

    def backward(grad_output, x, w):
        return grad_output @ w.T, x.T @ grad_output.sum(axis=1, keepdims=True)

    report = check_gradients((linear, backward), (RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))))
    assert report["w"].verdict == "wrong", report
