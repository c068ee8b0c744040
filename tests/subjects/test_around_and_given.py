"""Arrays around functions are not meant where the gradient is that of what is given; a context may be given too."""

from dataclasses import dataclass

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(1).standard_normal((5, 2))
mean = np.array([1.0, -1.0])
precision = np.linalg.inv(np.array([[1.0, 0.6], [0.6, 2.0]]))


def log_prob(theta):
    return -0.5 * (theta - mean) @ precision @ (theta - mean)


def grad_log_prob(theta):
    return -precision @ (theta - mean)


def with_the_sign_of_the_mean(theta):
    return precision @ (theta - mean)


@pytest.mark.parametrize("theta", [np.zeros(2), X[0]])
def test_minus_the_gradient_by_the_argument_is_not_taken_for_that_by_the_mean(theta):
    assert check_gradients((log_prob, grad_log_prob), theta).verdict == "right"
    report = check_gradients((log_prob, with_the_sign_of_the_mean), theta)
    assert (report["theta"].verdict, report["theta"].cause) == ("wrong", "sign")


@dataclass
class Kept:
    x: np.ndarray | None = None


def standardise(ctx, x):
    ctx.x = x
    return x - x.mean(axis=0)


def standardise_backward(ctx, grad_output):
    assert ctx.x is not None
    return grad_output - grad_output.mean(axis=0)


def without_the_mean(ctx, grad_output):
    assert ctx.x is not None
    return grad_output


def test_a_context_of_the_user_s_own_is_given_as_it_is():
    for given in ((Kept(), X), X):
        assert check_gradients((standardise, standardise_backward), given)["x"].verdict == "right"
        assert check_gradients((standardise, without_the_mean), given)["x"].verdict == "wrong"
