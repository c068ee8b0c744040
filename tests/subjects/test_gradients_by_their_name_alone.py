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


def product(t):
    return np.prod(t)


def by_seed(t, seed):
    """The gradient of the output over t: right if that could be the output itself."""
    return seed / t


def by_out(t, out):
    return out / t


def with_both(t, seed):
    return seed * np.prod(t) / t


def test_what_may_be_the_output_or_its_gradient_stays_in_doubt():
    t = X[0]
    report = check_gradients((product, by_seed), t)
    assert report.verdict == "undecided"
    assert "right if seed is what product returns" in " ".join(report.problems)
    assert check_gradients((product, by_out), t)
    assert check_gradients((product, with_both), t)


def exponential(x):
    return np.exp(x)


def exponential_backward(up):
    return up


def exponential_derivative(value):
    return value


def test_so_does_the_only_argument_of_what_is_called_a_backward_pass():
    assert check_gradients((exponential, exponential_backward), X).verdict != "right"
    assert check_gradients((exponential, exponential_derivative), X)


def weighted(input, target, weight=None, classes=None, reduction="mean"):
    loss = np.where(target > 0.5, input**2, np.exp(input))
    loss = loss if weight is None else loss * weight
    loss = loss if classes is None else loss * classes
    return loss.mean() if reduction == "mean" else loss.sum()


def weighted_backward(grad_output, input, target, weight=None, classes=None, reduction="mean"):
    grad = np.where(target > 0.5, 2.0 * input, np.exp(input))
    grad = grad if weight is None else grad * weight
    grad = grad if classes is None else grad * classes
    return grad_output * (grad / input.size if reduction == "mean" else grad)


def without_weights(grad_output, input, target, weight=None, classes=None, reduction="mean"):
    return weighted_backward(grad_output, input, target, None if weight is None else 1.0, classes, reduction)


def test_arrays_that_both_have_by_default_are_given_to_both_and_the_gradient_is_that_of_the_input():
    rng = np.random.default_rng(1)
    given = (X, rng.integers(0, 2, X.shape).astype(float), rng.random(X.shape), rng.random(4))
    for arguments in (given, (*given, "mean"), (*given, "sum"), given[:3], (*given[:2], None, given[3])):
        report = check_gradients((weighted, weighted_backward), arguments)
        assert report
        assert [entry.name for entry in report.entries] == ["input"]
    assert check_gradients((weighted, without_weights), given)["input"].verdict == "wrong"


def test_indices_that_both_have_by_default_are_given_to_both():
    def rows(table, ids=None):
        return table if ids is None else table[ids]

    def rows_backward(grad_output, table, ids=None):
        grad = np.zeros_like(table)
        np.add.at(grad, np.arange(len(table)) if ids is None else ids, grad_output)
        return grad

    assert check_gradients((rows, rows_backward), (X, np.array([4, 0, 4])))
