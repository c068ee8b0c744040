"""The evidence and the remedy are about the code as it is: its names, its sums, its rows or columns."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

RNG = np.random.default_rng(5)


def told(report, name):
    """The diagnosis of an entry."""
    diagnosis = report[name].diagnosis
    assert diagnosis is not None
    return diagnosis


def test_a_length_is_that_of_the_argument_by_its_own_name():
    def forward(inp, kernel, offset):
        return inp.reshape(len(inp), -1) @ kernel + offset

    def backward(inp, kernel, grad):
        return (grad @ kernel.T).reshape(inp.shape), inp.reshape(len(inp), -1).T @ grad, grad.sum(axis=0) / 2

    inputs = RNG.standard_normal((3, 2, 2)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)
    report = check_gradients((forward, backward), inputs)
    assert "2 is of the shape (3, 2, 2) of inp;" in told(report, "offset").evidence


class PReLU:
    def __init__(self):
        self.alpha = 0.25

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, grad):
        self.dalpha = float(np.sum(grad * np.where(self.x > 0, 0, self.x))) / self.x.size
        return grad * np.where(self.x > 0, 1, self.alpha)


def test_a_parameter_s_gradient_that_is_divided_by_the_elements_is_to_be_summed():
    diagnosis = told(check_gradients(PReLU(), RNG.standard_normal((4, 4))), "alpha")
    assert diagnosis.cause == "averaged_not_summed"
    assert "do not divide it" in diagnosis.remedy


def test_a_loss_of_single_entries_is_said_to_have_no_samples_in_columns():
    pair = (lambda a, y: np.sum(-y * np.log(a) - (1 - y) * np.log(1 - a))), (lambda a, y: a - y)
    rng = np.random.default_rng(0)
    report = check_gradients(pair, rng.random((4, 3)), rng.integers(0, 2, (4, 3)).astype(float))
    assert told(report, "a").cause == "fused_activation"
    assert "columns" not in told(report, "a").evidence


def test_a_mean_over_samples_that_is_missing_is_named_also_where_the_samples_have_no_gradient():
    def forward(X, p):
        hidden = np.tanh(p["W1"] @ X + p["b1"])
        out = 1 / (1 + np.exp(-(p["W2"] @ hidden + p["b2"])))
        return out, (hidden, out)

    def cost(out, Y):
        return float(-(Y * np.log(out) + (1 - Y) * np.log(1 - out)).sum() / Y.shape[1])

    def backward(p, cache, X, Y):
        hidden, out = cache
        m, dz2 = X.shape[1], out - Y
        dz1 = p["W2"].T @ dz2 * (1 - hidden**2)
        return {
            "dW1": dz1 @ X.T / m,
            "db1": dz1.sum(axis=1, keepdims=True),
            "dW2": dz2 @ hidden.T / m,
            "db2": dz2.sum(axis=1, keepdims=True) / m,
        }

    rng = np.random.default_rng(1)
    p = {
        "W1": rng.standard_normal((4, 2)),
        "b1": np.zeros((4, 1)),
        "W2": rng.standard_normal((1, 4)),
        "b2": np.zeros((1, 1)),
    }
    Y = np.array([[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]])
    report = check_gradients((forward, backward), (rng.standard_normal((2, 6)), p), Y, loss=cost)
    assert {entry.name: entry.cause for entry in report.entries if entry.cause} == {"p['b1']": "batch_mean_missing"}


def test_an_array_that_is_made_of_the_present_input_is_no_stale_one():
    """Of a loss that does not change with the length of x, the gradient at x over its length is one without that."""

    class Cosine:
        def forward(self, x, t):
            self.unit = x / np.linalg.norm(x, axis=1, keepdims=True)
            self.t = t
            return np.sum((self.unit - t) ** 2)

        def backward(self):
            g = 2.0 * (self.unit - self.t)
            return g - self.unit * (self.unit * g).sum(axis=1, keepdims=True)

    rng = np.random.default_rng(0)
    report = check_gradients(Cosine(), rng.standard_normal((5, 3)), rng.standard_normal((5, 3)))
    assert report.entries[0].verdict == "wrong"
    assert report.entries[0].cause != "stale_input"


class AveragedWithoutDerivative:
    """1 / 6 of what is right without the mask: the slope of hardsigmoid near 0, and of 6 samples a mean."""

    def __init__(self):
        self.w = RNG.standard_normal((3, 2))

    def forward(self, x):
        self.x = x
        return np.maximum(x @ self.w, 0)

    def backward(self, grad):
        self.dw = self.x.T @ grad / len(grad)
        return grad @ self.w.T


def test_a_mean_over_samples_is_not_the_slope_of_another_activation():
    found = told(check_gradients(AveragedWithoutDerivative(), RNG.standard_normal((6, 3))), "w")
    assert found.cause == "derivative_missing+batch_mean_twice"
