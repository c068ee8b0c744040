"""1 - a in the place of a (1 - a), or of 1 - a^2: by the function alone, in a layer, and within a network."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.elementwise import parts_of_slopes

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


FUNCTIONS: dict[str, Any] = {"sigmoid": (sigmoid, lambda a: a * (1.0 - a)), "tanh": (np.tanh, lambda a: 1.0 - a**2)}


class Layer:
    def __init__(self, f, slope):
        self.W, self.b, self.f, self.slope = rng.standard_normal((4, 3)), np.zeros(3), f, slope

    def forward(self, x):
        self.x, self.a = x, self.f(x @ self.W + self.b)
        return self.a

    def backward(self, grad_output):
        dz = grad_output * self.slope(self.a)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


class Network:
    """Three layers, of which the first has the slope that is given."""

    def __init__(self, f, right, slope):
        self.f, self.right, self.slope = f, right, slope
        self.W1, self.W2, self.W3 = (rng.standard_normal(shape) for shape in ((4, 6), (6, 5), (5, 2)))
        self.b1, self.b2, self.b3 = np.zeros(6), np.zeros(5), np.zeros(2)

    def loss(self, x, y):
        a1 = self.f(x @ self.W1 + self.b1)
        a2 = self.f(a1 @ self.W2 + self.b2)
        d3 = (a2 @ self.W3 + self.b3 - y) / len(x)
        d2 = d3 @ self.W3.T * self.right(a2)
        d1 = d2 @ self.W2.T * self.slope(a1)
        grads = {"W3": a2.T @ d3, "W2": a1.T @ d2, "W1": x.T @ d1}
        grads |= {"b3": d3.sum(axis=0), "b2": d2.sum(axis=0), "b1": d1.sum(axis=0)}
        return 0.5 * len(x) * np.sum(d3**2), grads


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_part_of_the_derivative_is_told(name):
    f, right = FUNCTIONS[name]

    def part(a):
        return 1.0 - a

    assert check_gradients(Layer(f, right), X)
    assert check_gradients((f, lambda z: part(f(z))), X).entries[0].cause == "derivative_in_part"
    assert check_gradients(Layer(f, part), X)["W"].cause == "derivative_in_part"
    assert check_gradients(Network(f, right, right), X, Y)
    report = check_gradients(Network(f, right, part), X, Y)
    assert [report[n].cause for n in ("W1", "b1")] == ["derivative_in_part"] * 2
    assert report["W2"].verdict == "right"


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_derivatives_at_the_output_are_told_of_hidden_layers_before_a_loss(name):
    f, right = FUNCTIONS[name]

    def at_output(a):
        return right(f(a))

    report = check_gradients(Network(f, right, at_output), X, Y)
    assert [report[n].cause for n in ("W1", "b1")] == ["derivative_at_output"] * 2
    assert report["W2"].verdict == "right"
    report = check_gradients(Network(f, at_output, at_output), X, Y)
    assert [report[n].cause for n in ("W1", "b1", "W2", "b2")] == ["derivative_at_output"] * 4
    of_relu = check_gradients(Network(f, right, lambda a: 1.0 * (a > f(np.zeros(1)))), X, Y)
    assert of_relu["W1"].cause == "other_activation"


def test_the_same_of_a_single_sample_in_a_column():
    class Columns:
        def __init__(self, slope):
            rng = np.random.default_rng(5)
            self.slope, self.V, self.c = slope, rng.standard_normal((3, 4)), rng.standard_normal((3, 1))
            self.W, self.b = rng.standard_normal((2, 3)), rng.standard_normal((2, 1))

        def feedforward(self, x):
            self.h = np.tanh(self.V @ x + self.c)
            return np.tanh(self.W @ self.h + self.b)

        def backprop(self, x, y):
            a = self.feedforward(x)
            d = (a - y) * (1.0 - a**2)
            e = self.W.T @ d * self.slope(self.h)
            return {"b": d, "W": d @ self.h.T, "c": e, "V": e @ x.T}

    x, y = np.random.default_rng(1).standard_normal((4, 1)), np.array([[1.0], [0.0]])
    assert check_gradients(Columns(lambda a: 1.0 - a**2), x, y)
    report = check_gradients(Columns(lambda a: 1.0 - np.tanh(a) ** 2), x, y)
    assert [report[n].cause for n in ("V", "c")] == ["derivative_at_output"] * 2


def test_slopes_of_another_function_have_no_such_parts():
    a = np.array([0.2, 0.5, 0.7])
    assert [formula for formula, _ in parts_of_slopes(a, a * (1.0 - a), 1e-5)] == ["(1 - a)", "a"]
    assert [formula for formula, _ in parts_of_slopes(a, 1.0 - a**2, 1e-5)] == ["(1 - a)", "(1 + a)"]
    assert list(parts_of_slopes(a, np.cos(a), 1e-5)) == []
    assert list(parts_of_slopes(np.full(3, 0.5), np.full(3, 0.25), 1e-5)) == []
