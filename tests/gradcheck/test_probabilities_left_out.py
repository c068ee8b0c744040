"""Softmax left out of a gradient: of the loss by the probabilities, and of a layer; gradients of each step unsummed."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 3))
ONE_HOT = np.eye(3)[[0, 1, 2, 0, 1]]
BINARY = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cross_entropy(x, y):
    return -np.mean(np.sum(y * np.log(softmax(x)), axis=-1))


def binary(x, y):
    p = sigmoid(x)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@pytest.mark.parametrize(
    ("loss", "gradient", "x", "y"),
    [
        (cross_entropy, lambda x, y: -y / softmax(x) / len(x), X, ONE_HOT),
        (
            cross_entropy,
            lambda x, y: -y / softmax(x),
            X[0],
            ONE_HOT[0],
        ),  # second derivatives turn it into the right one
        (binary, lambda x, y: (sigmoid(x) - y) / sigmoid(x) / (1 - sigmoid(x)) / len(x), X[:, :1], BINARY),
    ],
)
def test_the_gradient_by_the_probabilities_of_a_loss_of_scores(loss, gradient, x, y):
    diagnosis = check_gradients((loss, gradient), x, y)["x"].diagnosis
    assert diagnosis is not None
    assert (diagnosis.cause, diagnosis.confident) == ("derivative_missing", True)
    assert "by the probabilities" in diagnosis.evidence


def test_a_layer_that_leaves_softmax_out_has_its_weight_the_right_way_round():
    def layer(x, w):
        return softmax(x @ w)

    def backward(g, x, w):
        return g @ w.T, x.T @ g

    report = check_gradients((layer, backward), (X, np.random.default_rng(1).standard_normal((3, 4))))
    assert [getattr(report[name].diagnosis, "cause", "") for name in "xw"] == ["derivative_missing"] * 2


def test_a_weight_whose_gradient_is_kept_for_each_row_is_no_bias():
    def scale(x, w):
        return (x[:, :, None] * w).sum(axis=1)

    def backward(g, x, w):
        return np.einsum("nk,ik->ni", g, w), x[:, :, None] * g[:, None, :]

    report = check_gradients((scale, backward), (X, np.ones((3, 2))))
    assert getattr(report["w"].diagnosis, "cause", "") == "broadcast_not_summed"
