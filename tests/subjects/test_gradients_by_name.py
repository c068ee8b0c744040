"""Gradients that are kept under names which say little, or beside others."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients


class TwoLayers:
    """Lists of weights and biases, with the gradients under two names."""

    def __init__(self, of_weights, of_biases, wrong=1.0):
        rng = np.random.default_rng(0)
        self.weights = [rng.standard_normal((4, 5)), rng.standard_normal((5, 3))]
        self.biases = [rng.standard_normal(5), rng.standard_normal(3)]
        self.names, self.wrong = (of_weights, of_biases), wrong

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.weights[0] + self.biases[0])
        return self.h @ self.weights[1] + self.biases[1]

    def backward(self, g):
        of_h = (g @ self.weights[1].T) * (1.0 - self.h**2)
        setattr(self, self.names[0], [self.wrong * self.x.T @ of_h, self.h.T @ g])
        setattr(self, self.names[1], [of_h.sum(axis=0), g.sum(axis=0)])
        return of_h @ self.weights[0].T


@pytest.mark.parametrize("called", [("wgrads", "grads"), ("dW", "gradients"), ("wgrads", "bgrads")])
@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_what_is_called_as_all_gradients_may_be_those_of_the_biases(called, wrong):
    report = check_gradients(TwoLayers(called[0], called[1], wrong), np.random.default_rng(1).standard_normal((6, 4)))
    found = {entry.name: entry.verdict for entry in report.entries}
    first = "right" if wrong == 1.0 else "wrong"
    assert found == dict.fromkeys(("x", "weights[1]", "biases[0]", "biases[1]"), "right") | {"weights[0]": first}


@pytest.mark.parametrize("called", ["dkernel", "dW", "grad_kernel"])
@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_a_gradient_may_be_put_into_the_cache_of_functions(called, wrong):
    kernel, cache = np.random.default_rng(0).standard_normal((4, 3)), {}

    def forward(x):
        cache["x"] = x
        return np.tanh(x @ kernel)

    def backward(dy):
        d = dy * (1.0 - np.tanh(cache["x"] @ kernel) ** 2)
        cache[called] = wrong * cache["x"].T @ d
        return d @ kernel.T

    report = check_gradients((forward, backward), np.random.default_rng(1).standard_normal((5, 4)))
    found = {entry.name: entry.verdict for entry in report.entries}
    assert found == {"x": "right", "kernel": "right" if wrong == 1.0 else "wrong"}
