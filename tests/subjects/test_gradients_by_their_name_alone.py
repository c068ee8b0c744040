"""What is called a gradient is given one, also beside an argument whose name tells nothing."""

import numpy as np

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def half(x, g):
    """Wrong; it would be right if g were the output."""
    return g * (1.0 - sigmoid(x))


def whole(x, g):
    return g * sigmoid(x) * (1.0 - sigmoid(x))


def test_a_wrong_one_is_not_right_by_the_output():
    assert check_gradients((sigmoid, half), X).verdict == "wrong"
    assert check_gradients((sigmoid, whole), X)


def test_a_function_of_one_argument_is_judged_at_the_input():
    """Where it is wrong: the numbers are those that its formula has there, and tell the cause."""
    judged = check_gradients((np.tanh, lambda z: 2.0 * (1.0 - np.tanh(z) ** 2)), X)
    assert judged.entries[0].cause == "factor"
    judged = check_gradients((np.tanh, lambda z: np.tanh(z) - 1.0), X)
    assert judged.entries[0].verdict == "wrong"


class Context:
    def save_for_backward(self, *values):
        self.saved_values = values


class Multiply:
    factor = 1.0

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, d_output):
        a, b = ctx.saved_values
        return b * d_output, Multiply.factor * a * d_output


def test_a_context_keeps_its_values_under_another_name(monkeypatch):
    """Of numbers, too, which are an argument each beside the context."""
    for given in ((2.0, 3.0), (X, 2.0 * X)):
        report = check_gradients(Multiply(), given)
        assert report
        assert [entry.name for entry in report.entries] == ["a", "b"]
    monkeypatch.setattr(Multiply, "factor", 2.0)
    assert check_gradients(Multiply(), (2.0, 3.0))["b"].verdict == "wrong"
    assert check_gradients((Multiply.forward, Multiply.backward), (X, X + 1.0))["b"].verdict == "wrong"
