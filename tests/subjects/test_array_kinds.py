"""Parameters that are arrays of a kind of their own, which keep their gradients."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4))


class Learned(np.ndarray):
    def __new__(cls, values):
        made = np.asarray(values, dtype=np.float64).view(cls)
        made.grad = np.zeros(made.shape)
        return made

    def __array_finalize__(self, made_of):
        self.grad = getattr(made_of, "grad", None)


class Dense:
    def __init__(self, fan_in, fan_out, times=1.0):
        self.W, self.b, self.times = Learned(RNG.standard_normal((fan_in, fan_out))), Learned(np.zeros(fan_out)), times

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.W.grad, self.b.grad = self.x.T @ grad, self.times * grad.sum(axis=0)
        return np.asarray(grad @ self.W.T)


class AddsUp(Dense):
    def zero_grad(self):
        self.W.grad, self.b.grad = np.zeros(self.W.shape), np.zeros(self.b.shape)

    def backward(self, grad):
        self.W.grad += self.x.T @ grad
        self.b.grad += self.times * grad.sum(axis=0)
        return np.asarray(grad @ self.W.T)


@pytest.mark.parametrize("kind", [Dense, AddsUp])
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (0.2, "wrong")])
def test_a_layer(kind, times, verdict):
    report = check_gradients(kind(4, 3, times), X)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": "right", "b": verdict}
    assert report.verdict == verdict


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (0.2, "wrong")])
def test_layers_in_a_list(times, verdict):
    report = check_gradients([Dense(4, 4), Dense(4, 4, times)], X)
    assert len(report.entries) == 5
    assert [entry.name.endswith("b") for entry in report.entries if entry.verdict == "wrong"] == [True] * (times != 1.0)
    assert report.verdict == verdict
