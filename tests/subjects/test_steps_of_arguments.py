"""Steps of training that move the arrays that they are given, beside the loss of which these are."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, THETA, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((4, 3)), np.array([0, 1, 2, 2, 1, 0])


def loss(X, y, theta):
    z = X @ theta
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y])


def step(X, y, theta, lr=0.1, batch=2):
    """The mean of the steps by batches that an epoch makes at once."""
    total = np.zeros_like(theta)
    for i in range(0, len(X), batch):
        z = np.exp(X[i : i + batch] @ theta)
        z /= z.sum(axis=1, keepdims=True)
        z[np.arange(len(z)), y[i : i + batch]] -= 1.0
        total += X[i : i + batch].T @ z
    theta[:, :] -= lr * total / len(X)


def slipped(X, y, theta, lr=0.1):
    other = theta.copy()
    step(X, y, other, lr)
    theta += 1.5 * (other - theta)


@pytest.mark.parametrize(("function", "verdict"), [(step, "right"), (slipped, "wrong")])
def test_the_step_over_its_rate_is_the_gradient_of_the_array_that_it_moves(function, verdict):
    theta = THETA.copy()
    report = check_gradients((loss, function), (X, Y, theta))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("theta", verdict)], report
    assert report.warnings == [
        "backward changes theta: it updates its parameters; judged are the gradients at the values before"
    ]
    np.testing.assert_array_equal(theta, THETA)
