"""Functions that return a value for each sample and the gradient; targets that are given among the arguments."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y, RAW = RNG.standard_normal((4, 3)), RNG.poisson(2.0, 9).astype(float), RNG.standard_normal(9)


def conjugate(X):
    """A value for each column."""
    G = np.exp(X - 1.0)
    return G.sum(axis=0), G


def poisson_loss_gradient(y_true, raw_prediction):
    """A loss for each sample."""
    return np.exp(raw_prediction) - y_true * raw_prediction, np.exp(raw_prediction) - y_true


def test_values_of_columns_and_what_agrees_with_their_gradient_are_that():
    assert check_gradients(conjugate, X)["X"].verdict == "right"


def test_what_does_not_agree_and_is_not_called_so_is_no_gradient():
    with pytest.raises(TypeError, match="expected a backward pass"):
        check_gradients(lambda X: (conjugate(X)[0], 2.0 * X), X)


def test_what_is_called_so_is_judged():
    def value_and_grad(X):
        value, gradient = conjugate(X)
        return value, 2.0 * gradient

    assert check_gradients(value_and_grad, X)["X"].verdict == "wrong"


def test_targets_that_come_first_have_no_gradient_that_is_missed():
    report = check_gradients(poisson_loss_gradient, (Y, RAW))
    assert report, report
    assert [entry.name for entry in report.entries] == ["raw_prediction"]


class LinearLoss:
    """A loss of weights, with data and targets that are floats."""

    def loss(self, coef, X, y):
        return 0.5 * np.mean((X @ coef - y) ** 2)

    def gradient(self, coef, X, y):
        return X.T @ (X @ coef - y) / len(y)


def test_of_a_method_too_targets_are_data():
    y = RNG.standard_normal(4)
    report = check_gradients(LinearLoss(), (RNG.standard_normal(3), X, y))
    assert report, report
    assert [entry.name for entry in report.entries] == ["coef"]


class Process:
    """A log-likelihood that gives its gradient where it is asked to, as in scikit-learn."""

    def __init__(self, factor):
        self.factor = factor

    def log_likelihood(self, theta, eval_gradient=False):
        value = -np.sum(np.exp(theta) * Y[:3] ** 2)
        return (value, -self.factor * np.exp(theta) * Y[:3] ** 2) if eval_gradient else value


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_value_that_has_its_gradient_beside_it_if_asked_is_asked(factor, verdict):
    def cost(w, return_grad=False):
        value = np.sum(w**3)
        return (value, factor * 3 * w**2) if return_grad else value

    assert check_gradients(Process(factor).log_likelihood, X[0]).verdict == verdict
    assert check_gradients(cost, X[0]).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_value_with_what_else_was_computed_stands_before_its_gradients(factor, verdict):
    def value_and_grad(params, batch):
        error = batch["x"] @ params["w"] - batch["y"]
        return (np.sum(error**2), {"error": error}), {"w": factor * 2 * batch["x"].T @ error}

    report = check_gradients(value_and_grad, ({"w": RNG.standard_normal(3)}, {"x": X, "y": X[:, 0]}))
    assert report["params['w']"].verdict == verdict
