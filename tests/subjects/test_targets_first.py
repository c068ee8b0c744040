"""Losses whose first argument is the target, where names do not tell: their gradients do."""

import numpy as np
import pytest
from stand_ins import script

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(5)
P, Q = RNG.dirichlet(np.ones(4), 5), RNG.dirichlet(np.ones(4), 5)


def pair(first, second, times=1.0):
    """The divergence of the prediction from the target, which comes first, under these names."""
    around = script(f"""
import numpy as np
def loss({first}, {second}):
    return np.sum({first} * np.log({first} / {second}))
def gradient({first}, {second}):
    return {-times} * {first} / {second}
""")
    return around["loss"], around["gradient"]


@pytest.mark.parametrize(
    "names", ["expected actual", "p q", "u v", "y f", "correct scores", "original reconstruction", "y_true y_pred"]
)
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_target_may_come_first(names, times, verdict):
    target, prediction = names.split()
    assert check_gradients(pair(target, prediction, times), Q, P).verdict == verdict


def test_names_that_tell_are_believed():
    assert check_gradients(pair("y_pred", "y_true"), Q, P).verdict == "wrong"


def squared_error(a, b):
    return np.mean((a - b) ** 2)


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "right"), (-1.0, "undecided"), (2.0, "wrong")])
def test_of_a_loss_that_is_the_same_with_both_exchanged_the_sign_is_not_decided(sign, verdict):
    report = check_gradients((squared_error, lambda a, b: sign * 2.0 * (a - b) / a.size), P, Q)
    assert report.verdict == verdict
    assert ("the same with a and b exchanged" in "".join(report.problems)) == (verdict == "undecided")


def test_a_loss_that_is_the_same_at_one_point_is_not_the_same():
    assert check_gradients(pair("p", "q"), np.ones((2, 1)), np.ones((2, 1))).verdict == "right"


def test_a_small_probability_beside_large_ones_tells_which_is_the_target():
    def divergence(p, q):
        return np.sum(p * np.log(p / q))

    def divergence_grad(p, q):
        return -p / q

    q = np.array([[9.7e-5, 0.35], [0.05, 0.9]])
    p = np.array([[0.3, 0.7], [0.6, 0.4]])
    report = check_gradients((divergence, divergence_grad), q, p)
    assert report.verdict == "right"
    assert "called with the targets first, as p" in str(report)


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_labels_that_are_given_in_the_order_of_the_loss_are_the_targets(times, verdict):
    labels = np.eye(4)[[0, 1, 2, 3, 0]]
    loss = pair("y_true", "y_pred", times)
    report = check_gradients((lambda y_true, y_pred: -np.sum(y_true * np.log(y_pred)), loss[1]), labels, P)
    assert report.verdict == verdict
    assert any("x holds labels" in note for note in report.notes)
