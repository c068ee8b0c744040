"""Functions that return a value for each sample and the gradient; targets that are given among the arguments."""

from typing import Any

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


class LinearClassifier:
    """A multiclass support vector machine: its loss returns the gradient too, and it trains by batches it draws."""

    W: Any

    def __init__(self, made=True, averaged=True):
        self.W, self.averaged = (np.linspace(-0.1, 0.1, 12).reshape(4, 3) if made else None), averaged

    def loss(self, x, y, reg=0.1):
        rows = np.arange(len(x))
        scores = x @ self.W
        margins = np.maximum(0, scores - scores[rows, y][:, None] + 1.0)
        margins[rows, y] = 0
        d = (margins > 0).astype(float)
        d[rows, y] = -d.sum(axis=1)
        gradient = x.T @ d / (len(x) if self.averaged else 1)
        return margins.sum() / len(x) + reg * np.sum(self.W**2), gradient + 2 * reg * self.W

    def predict(self, x):
        return np.argmax(x @ self.W, axis=1)

    def train(self, x, y, learning_rate=1e-3, reg=1e-5, num_iters=100, batch_size=200):
        losses = []
        if self.W is None:
            self.W = 0.01 * np.random.default_rng(0).standard_normal((x.shape[1], y.max() + 1))
        rng = np.random.default_rng(1)
        for _ in range(num_iters):
            batch = rng.choice(len(x), batch_size)
            loss, gradient = self.loss(x[batch], y[batch], reg)
            losses.append(loss)
            self.W -= learning_rate * gradient
        return losses


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize(("averaged", "verdict"), [(True, "right"), (False, "wrong")])
def test_what_a_loss_returns_beside_its_value_is_judged_and_not_what_trains_with_it(made, averaged, verdict):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((6, 4)), np.array([0, 1, 2, 1, 0, 2])
    report = check_gradients(LinearClassifier(made, averaged), x, y)
    assert (report.verdict, report["W"].verdict) == (verdict, verdict)
    assert not any("train" in note for note in report.notes)


class WantingAStrength:
    def __init__(self, averaged):
        self.inner = LinearClassifier(averaged=averaged)

    def loss(self, x, y, lam):
        return self.inner.loss(x, y, lam)


@pytest.mark.parametrize(("averaged", "verdict"), [(True, "right"), (False, "wrong")])
def test_a_loss_that_wants_the_strength_of_its_penalty_is_given_one(averaged, verdict):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((6, 4)), np.array([0, 1, 2, 1, 0, 2])
    report = check_gradients(WantingAStrength(averaged), x, y)
    assert report.verdict == verdict
    assert "loss takes lam as well: it was given 0.1" in report.notes


class Ridge:
    """Whose gradient is a method of its own, and wants the strength too."""

    def __init__(self, factor=1.0):
        self.w, self.factor = np.array([0.3, -0.2]), factor

    def loss(self, x, y, reg):
        return 0.5 * np.mean((x @ self.w - y) ** 2) + 0.5 * reg * self.w @ self.w

    def gradient(self, x, y, reg):
        return x.T @ (x @ self.w - y) / len(x) + self.factor * reg * self.w


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_so_is_its_gradient(factor, verdict):
    x, y = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0, 0.5])
    assert check_gradients(Ridge(factor), x, y)["w"].verdict == verdict


class Regressor:
    """Whose backward pass returns the loss, penalty and all, before lists of gradients, and which fits by batches."""

    def __init__(self, factor=1.0):
        rng, self.alpha = np.random.default_rng(0), 0.1
        self.coefs_, self.intercepts_ = [rng.normal(size=(4, 3)), rng.normal(size=(3, 1))], [np.zeros(3), np.zeros(1)]
        self.factor = factor

    def _forward_pass(self, X):
        h = np.tanh(X @ self.coefs_[0] + self.intercepts_[0])
        return [X, h, h @ self.coefs_[1] + self.intercepts_[1]]

    def predict(self, X):
        return self._forward_pass(X)[-1].ravel()

    def _backprop(self, X, y):
        X, h, out = self._forward_pass(X)
        loss = 0.5 * np.mean((out.ravel() - y) ** 2) + 0.5 * self.alpha / len(X) * sum(
            np.sum(w**2) for w in self.coefs_
        )
        d2 = (out - y[:, None]) / len(X)
        d1 = d2 @ self.coefs_[1].T * (1 - h**2)
        decay = self.factor * self.alpha / len(X)
        dW = [X.T @ d1 + decay * self.coefs_[0], h.T @ d2 + decay * self.coefs_[1]]
        return loss, dW, [d1.sum(axis=0), d2.sum(axis=0)]

    def fit(self, X, y, lr=0.1, batch_size=2):
        for _ in range(30):
            for start in range(0, len(X), batch_size):
                _, dW, db = self._backprop(X[start : start + batch_size], y[start : start + batch_size])
                for i in range(2):
                    self.coefs_[i] -= lr * dW[i]
                    self.intercepts_[i] -= lr * db[i]


@pytest.mark.parametrize(("factor", "cause"), [(1.0, ""), (2.0, "penalty_factor")])
def test_a_backward_pass_that_returns_the_loss_is_judged_by_it(factor, cause):
    X, y = np.random.default_rng(1).normal(size=(6, 4)), np.arange(6.0)
    report = check_gradients(Regressor(factor), X, y)
    assert [entry.cause for entry in report.entries] == [cause, cause, "", ""]


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
