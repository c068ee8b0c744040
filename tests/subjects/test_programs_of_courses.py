"""Whole programs as courses and books have them: models that hold a loss of samples, costs among what is returned."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)


class Dense:
    def __init__(self, n_in, n_out):
        self.weights, self.biases = np.random.default_rng(1).standard_normal((n_in, n_out)), np.zeros((1, n_out))

    def forward(self, inputs, training):
        self.inputs, self.training = inputs, training
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights, self.dbiases = self.inputs.T @ dvalues, dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class SquaredError:
    def __init__(self, summed):
        self.summed = summed

    def forward(self, y_pred, y_true):
        return np.mean((y_true - y_pred) ** 2, axis=-1)

    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

    def backward(self, dvalues, y_true):
        self.dinputs = -2 * (y_true - dvalues) / dvalues.shape[1] / (1 if self.summed else len(dvalues))


class Model:
    def __init__(self, summed=False, halved=False):
        self.layers, self.loss, self.halved = [Dense(4, 3), Dense(3, 2)], SquaredError(summed), halved

    def forward(self, X, training):
        for layer in self.layers:
            layer.forward(X, training)
            X = layer.output
        return X

    def backward(self, output, y):
        self.loss.backward(output, y)
        dvalues = self.loss.dinputs
        for layer in reversed(self.layers):
            layer.backward(dvalues)
            dvalues = layer.dinputs / (2 if self.halved else 1)


X, Y = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 2))


def test_a_model_that_holds_a_loss_of_samples_is_judged_by_their_mean():
    report = check_gradients(Model(), X, Y)
    assert report
    assert "forward returns a loss for each sample; judged is the gradient of their mean" in report.notes
    wrong = check_gradients(Model(halved=True), X, Y)
    assert [entry.verdict for entry in wrong.entries] == ["wrong", "wrong", "right", "right"]


def test_of_a_model_with_the_gradient_of_the_sum_of_losses_of_samples_nothing_is_called_right():
    report = check_gradients(Model(summed=True), X, Y)
    assert report.verdict != "right"
    assert "calculate returns their mean" in report.problems[0]


def logistic(X, y, W, b):
    a = 1 / (1 + np.exp(-(X @ W + b)))
    cost = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
    dW, db = X.T @ (a - y) / len(X), np.sum(a - y) / len(X)
    return a, cost, dW, db


def of_the_sum(X, y, W, b):
    a, cost, dW, db = logistic(X, y, W, b)
    db = len(X) * db
    return a, cost, dW, db


@pytest.mark.parametrize(("function", "verdict"), [(logistic, "right"), (of_the_sum, "wrong")])
def test_what_is_returned_before_a_cost_and_its_gradients_is_an_output(function, verdict):
    x, y = RNG.standard_normal((8, 3)), RNG.integers(0, 2, (8, 1))
    report = check_gradients(function, (x, y, np.zeros((3, 1)), 0))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W", "right"), ("b", verdict)]


def cost_and_gradients(X, y, W, b):
    return logistic(X, y, W, b)[1:]


def test_a_cost_bends_where_its_probabilities_are_1_in_floating_point():
    for seed in range(54, 58):  # with one of them 13 times the input has a sample where 1 - a is one step from 0
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((8, 3)), np.array([[0.0], [1.0]] * 4)
        assert check_gradients(cost_and_gradients, (x, y, rng.standard_normal((3, 1)), 0.1))


V, v, U, u = RNG.standard_normal((4, 5)), np.zeros(5), RNG.standard_normal((5, 3)), np.zeros(3)


def net(X):
    return np.maximum(X @ V + v, 0) @ U + u


def loss(y_hat, y):
    return np.mean((y_hat - y) ** 2)


def gradients(X, y, axis=0):
    d = 2 * (net(X) - y) / y.size
    dh = d @ U.T * (X @ V + v > 0)
    return [X.T @ dh, dh.sum(axis=axis), np.maximum(X @ V + v, 0).T @ d, d.sum(axis=0)]


def test_what_stands_between_the_gradients_of_others_and_has_another_shape_is_wrong():
    x, y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 3))
    assert check_gradients((net, gradients), x, y, loss=loss)
    report = check_gradients((net, lambda X, y: gradients(X, y, axis=1)), x, y, loss=loss)
    assert [(entry.name, entry.verdict) for entry in report.entries if entry.verdict != "right"] == [("v", "wrong")]
    assert report["v"].cause == "wrong_shape"


class Agent:
    def __init__(self, weighted=True):
        self.params, self.weighted = {"W": np.random.default_rng(2).standard_normal((4, 3))}, weighted

    def forward(self, states):
        e = np.exp(states @ self.params["W"])
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, states, actions, returns):
        return -np.mean(np.log(self.forward(states)[np.arange(len(actions)), actions]) * returns)

    def gradients(self, states, actions, returns):
        d = self.forward(states)
        d[np.arange(len(actions)), actions] -= 1
        return {"W": states.T @ (d * (returns[:, None] if self.weighted else 1)) / len(actions)}


@pytest.mark.parametrize(("weighted", "verdict"), [(True, "right"), (False, "wrong")])
def test_a_loss_may_take_more_than_the_forward_pass(weighted, verdict):
    given = RNG.standard_normal((6, 4)), RNG.integers(0, 3, 6), RNG.standard_normal(6)
    assert check_gradients(Agent(weighted), given).verdict == verdict
