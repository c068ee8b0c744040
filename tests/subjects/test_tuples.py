"""Functions that take all inputs in one tuple, and all gradients in another."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import WRONG
from numpy_nn.subjects.calls.tuples import taken_out_of_tuples

rng = np.random.default_rng(0)
X, T = rng.standard_normal((5, 3)), np.array([0, 2, 1, 1, 2])
S, B = rng.standard_normal(3), rng.standard_normal(3)


class ScaleAdd:
    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, inputs):
        x, s, b = inputs
        return (x * s + b,)

    def backward(self, inputs, grad_outputs):
        x, s, _ = inputs
        (g,) = grad_outputs
        return g * s, self.factor * (g * x).sum(axis=0), g.sum(axis=0)


class SinCos:
    """One input, several outputs, and the parts by their places."""

    factor = 1.0

    def forward(self, xs):
        return np.sin(xs[0]), np.cos(xs[0])

    def backward(self, xs, gys):
        return (np.cos(xs[0]) * gys[0] - self.factor * np.sin(xs[0]) * gys[1],)


class SoftmaxCrossEntropy:
    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, inputs):
        x, t = inputs
        shifted = x - x.max(axis=1, keepdims=True)
        log_y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.y = np.exp(log_y)
        return (-log_y[np.arange(len(t)), t].mean().reshape(()),)

    def backward(self, inputs, grad_outputs):
        _, t = inputs
        gx = self.y.copy()
        gx[np.arange(len(t)), t] -= 1
        return self.factor * gx * grad_outputs[0] / len(t), None


def test_an_object_with_several_inputs():
    report = check_gradients(ScaleAdd(), (X, S, B))
    assert report
    assert [entry.name for entry in report.entries] == ["x", "s", "b"]
    wrong = check_gradients(ScaleAdd(0.5), (X, S, B))
    assert [entry.name for entry in wrong.entries if entry.verdict == WRONG] == ["s"]


def test_two_methods():
    it = ScaleAdd()
    assert check_gradients((it.forward, it.backward), (X, S, B))


def test_several_outputs_of_one_input():
    it = SinCos()
    assert check_gradients(it, X)
    it.factor = -1.0
    assert check_gradients(it, X).verdict == WRONG


@pytest.mark.parametrize("given", [((X, T),), (X, T)])
def test_a_loss_with_its_targets(given):
    assert check_gradients(SoftmaxCrossEntropy(), *given)
    assert check_gradients(SoftmaxCrossEntropy(2.0), *given).verdict == WRONG


def sines(xs):
    return (np.sin(xs[0]),)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (np.tanh, lambda x, g: (g * x,)),
        (lambda xs: (np.sin(xs[0]), xs), lambda xs, g: (g * xs[0],)),  # a cache beside the output
        (sines, lambda g: (g,)),
        (sines, lambda xs, g: g[0] * xs[0]),  # no gradient for each
        (lambda xs: (np.sin(xs[1]),), lambda xs, g: (g[0] * xs[0],)),  # it fails
    ],
)
def test_other_passes_stay_as_they_are(forward, backward):
    assert taken_out_of_tuples(forward, backward, (X,)) is None


class Scaled:
    """Called as a function, with a method for its gradient, which keeps that of its parameter."""

    def __init__(self, factor=1.0):
        self.weight, self.factor = S.copy(), factor

    def __call__(self, x):
        self.x = x
        return x * self.weight

    def grad(self, gy):
        self.gweight = self.factor * (gy * self.x).sum(axis=0)
        return gy * self.weight


def test_an_object_and_a_method_of_it():
    it = Scaled()
    report = check_gradients((it, it.grad), X)
    assert report
    assert [entry.name for entry in report.entries] == ["x", "weight"]
    wrong = Scaled(2.0)
    assert check_gradients((wrong, wrong.grad), X)["weight"].verdict == WRONG


class Doubling:
    def apply(self, x):
        return np.repeat(x, 2, axis=1)

    def pullback(self, cotangent):
        return cotangent[:, ::2] + cotangent[:, 1::2]


def test_a_pullback_is_a_backward_pass():
    assert check_gradients(Doubling(), X)
