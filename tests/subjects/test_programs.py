"""Whole programs as tutorials write them: data by default, steps that want an optimizer, losses as objects."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

rng = np.random.default_rng(0)
X, y = rng.standard_normal((6, 2)), rng.integers(0, 2, (6, 1)).astype(float)
W, b = rng.standard_normal((2, 1)), np.zeros((1, 1))
a = np.zeros((6, 1))


def forward(X=X):
    global a
    a = 1 / (1 + np.exp(-(X @ W + b)))
    return a


def cross_entropy(a, y):
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


def backward(X=X, y=y):
    d = (a - y) / len(X)
    return X.T @ d, d.sum(axis=0, keepdims=True)


def test_data_by_default_are_those_that_are_given():
    others = rng.standard_normal((6, 2)), 1 - y
    assert check_gradients((forward, backward), X, y)
    assert check_gradients((forward, backward), *others)
    wrong = check_gradients((forward, lambda X=X, y=y: (len(X) * backward(X, y)[0], backward(X, y)[1])), *others)
    assert wrong["W"].verdict == "wrong"


def test_data_by_default_are_no_gradient_of_the_output():
    assert check_gradients(lambda: cross_entropy(forward(), y), backward, W=W, b=b)
    report = check_gradients(forward, backward, W=W, b=b)
    assert report.verdict == "undecided"
    assert "check_gradients(lambda: loss(forward(), y), backward, W=W, b=b)" in report.problems[0]
    assert check_gradients(forward, lambda: backward(), W=W, b=b).verdict == "undecided"


class Dense:
    def __init__(self, n_in, n_out):
        self.weights, self.bias = rng.standard_normal((n_in, n_out)), np.zeros((1, n_out))
        self.grad_w, self.grad_b = np.zeros_like(self.weights), np.zeros_like(self.bias)

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, grad):
        self.grad_w, self.grad_b = self.x.T @ grad, grad.sum(axis=0, keepdims=True)
        return grad @ self.weights.T


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, grad):
        return grad * (1 - self.out**2)


class OfTheOutput(Tanh):
    def backward(self, grad):
        return grad * (1 - self.out)


class MSE:
    def loss(self, y_pred, y_true):
        return np.mean((y_pred - y_true) ** 2)

    def grad(self, y_pred, y_true):
        return 2 * (y_pred - y_true) / y_true.size


class Network:
    def __init__(self, layers, loss=None):
        self.layers = layers
        if loss is not None:
            self.loss_fn = loss

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train_step(self, x, y, optimizer):
        grad = self.loss_fn.grad(self.predict(x), y)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        optimizer.step(self.layers)


@pytest.mark.parametrize("given", [False, True])
def test_of_a_network_whose_step_wants_an_optimizer_the_layers_are_gone_through(given):
    x, t = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    loss = {"loss": MSE()} if given else {}
    for kind, verdict in ((Tanh, "right"), (OfTheOutput, "wrong")):
        net = Network([Dense(3, 4), kind(), Dense(4, 2)], None if given else MSE())
        report = check_gradients(net, x, t, **loss)
        assert [e.verdict for e in report.entries] == [verdict] * 3 + ["right"] * 2
        report = check_gradients(net.layers, x, t, loss=MSE())
        assert report.verdict == verdict


class Residual(Network):
    def predict(self, x):
        return x + super().predict(x)


def test_another_way_through_is_not_taken_for_that_of_the_layers():
    x, t = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    with pytest.raises(TypeError, match="it becomes checkable"):
        check_gradients(Residual([Dense(3, 4), Tanh(), Dense(4, 3)], MSE()), x, t)


class Stepping:
    def __init__(self, n_in, n_out, averaged=False):
        self.w, self.b, self.averaged = rng.standard_normal((n_in, n_out)), np.zeros((1, n_out)), averaged

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, grad, lr=0.01):
        back = grad @ self.w.T
        self.w -= lr * self.x.T @ grad
        self.b -= lr * (grad.mean if self.averaged else grad.sum)(axis=0, keepdims=True)
        return back


class Bend:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, grad, lr=0.01):
        return grad * (self.x > 0) * (lr > 0)


class OfSteps:
    def __init__(self, averaged):
        self.layers: list[Any] = [Stepping(3, 5, averaged), Bend(), Stepping(5, 2, averaged)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def softmax_cross_entropy(self, logits, y):
        return np.mean(np.log(np.exp(logits).sum(axis=1))) - np.sum(y * logits) / len(y)

    def train(self, x, y):
        logits = self.forward(x)
        e = np.exp(logits)
        grad = (e / e.sum(axis=1, keepdims=True) - y) / len(y)
        for layer in self.layers[::-1]:
            grad = layer.backward(grad)
        return self.softmax_cross_entropy(logits, y)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_rate_that_layers_have_by_default_is_that_of_their_steps(averaged):
    x, t = rng.standard_normal((4, 3)), np.eye(2)[[0, 1, 1, 0]]
    of_layers, of_network = check_gradients(OfSteps(averaged).layers, x), check_gradients(OfSteps(averaged), x, t)
    for report in (of_layers, of_network):
        assert report.verdict == ("wrong" if averaged else "right")
        assert [report[f"layers[{place}].w"].verdict for place in (0, 2)] == ["right", "right"]
