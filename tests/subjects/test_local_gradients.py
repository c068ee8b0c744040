"""Layers that compute their own derivatives in forward, in a dict of gradients, for backward to multiply."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))
LABELS = np.array([0, 2, 1, 1, 0])


class Part:
    forward: Any
    local_grad: Any

    def __init__(self):
        self.grad, self.weight, self.update = {}, {}, {}

    def __call__(self, *inputs):
        output = self.forward(*inputs)
        self.grad = self.local_grad(*inputs)
        return output


class Linear(Part):
    def __init__(self, n_in, n_out, db=np.sum):
        super().__init__()
        rng = np.random.default_rng(1)
        self.weight = {"W": rng.standard_normal((n_in, n_out)), "b": rng.standard_normal((1, n_out))}
        self.db = db

    def forward(self, x):
        return x @ self.weight["W"] + self.weight["b"]

    def local_grad(self, x):
        return {"X": self.weight["W"], "W": x, "b": np.ones_like(self.weight["b"])}

    def backward(self, dy):
        self.weight_update = {"W": self.grad["W"].T @ dy, "b": self.db(dy, axis=0, keepdims=True)}
        return dy @ self.grad["X"].T


class CrossEntropy(Part):
    def forward(self, x, y):
        self.p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return -np.mean(np.log(self.p[range(len(y)), y]))

    def local_grad(self, x, y):
        return {"X": (self.p - np.eye(x.shape[1])[y]) / len(x)}

    def backward(self):
        return self.grad["X"]


class Net:
    def __init__(self, *layers):
        self.layers, self.loss_fn = layers, CrossEntropy()

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    forward = __call__

    def loss(self, x, y):
        return self.loss_fn(x, y)

    def backward(self):
        d = self.loss_fn.backward()
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return d


@pytest.mark.parametrize("n_in", [4, 5])  # with as many rows as columns x has the shape of W
def test_what_backward_writes_is_the_gradient_and_not_what_forward_keeps(n_in):
    x = np.random.default_rng(2).standard_normal((5, n_in))
    report = check_gradients(Linear(n_in, 4), x)
    assert report.ok
    assert [entry.name for entry in report.entries] == ["input", "weight['W']", "weight['b']"]
    wrong = check_gradients(Linear(n_in, 4, np.mean), x)
    assert [entry.verdict for entry in wrong.entries] == ["right", "right", "wrong"]
    found = wrong["weight['b']"].diagnosis
    assert found is not None
    assert found.cause == "bias_averaged"


def test_a_loss_that_keeps_its_gradient_when_it_is_called():
    assert check_gradients(CrossEntropy(), X, LABELS).ok


def test_a_network_of_such_layers():
    assert check_gradients(Net(Linear(4, 4), Linear(4, 4)), X, LABELS).ok
    report = check_gradients(Net(Linear(4, 4), Linear(4, 4, np.mean)), X, LABELS)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["layers[1].weight['b']"]
