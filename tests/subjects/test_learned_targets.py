"""What is given where targets stand, and has a gradient: it is checked as an input, unless it is called as targets."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, H, W = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 4)), RNG.standard_normal((3, 4))


class Cell:
    """The gradient of its state is ``times`` what it should be."""

    def __init__(self, times=1.0):
        self.W, self.U, self.times = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 4)), times

    def forward(self, x, h):
        self.x, self.h = x, h
        self.n = np.tanh(x @ self.W + h @ self.U)
        return self.n

    def backward(self, grad):
        d = grad * (1.0 - self.n**2)
        self.dW, self.dU = self.x.T @ d, self.h.T @ d
        return d @ self.W.T, self.times * d @ self.U.T


class KeepsGradients(Cell):
    def backward(self, grad):
        self.dx, self.dh = super().backward(grad)


@pytest.mark.parametrize("kind", [Cell, KeepsGradients])
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_state_of_a_cell(kind, times, verdict):
    report = check_gradients(kind(times), X, H)
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "x": "right", "h": verdict, "W": "right", "U": "right",
    }  # fmt: skip


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_second_input_of_a_pair(times, verdict):
    def multiply(x, w):
        return x @ w, (x, w)

    def multiply_backward(grad, cache):
        x, w = cache
        return grad @ w.T, times * x.T @ grad

    assert check_gradients((multiply, multiply_backward), X, W).verdict == verdict


def distance(a, b):
    return np.sum((a - b) ** 2)


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (0.5, "wrong")])
def test_both_sides_of_a_distance(times, verdict):
    def distance_backward(a, b):
        return 2.0 * (a - b), -2.0 * times * (a - b)

    assert check_gradients((distance, distance_backward), X, X + 1.0).verdict == verdict


def squared_error(p, y):
    return np.mean((p - y) ** 2)


@pytest.mark.parametrize("of_targets", [None, 0.0, 1.0])
def test_targets_stay_data_and_it_is_said_that_their_gradient_is_not_checked(of_targets):
    def backward(p, y):
        grad = 2.0 * (p - y) / p.size
        return grad, None if of_targets is None else of_targets * grad

    report = check_gradients((squared_error, backward), X, X + 1.0)
    assert report.verdict == "right"
    said = [note for note in report.notes if "a gradient of y too" in note]
    assert len(said) == (of_targets is not None)
    assert all("give both as inputs, (p, y)" in note for note in said)


def test_data_without_a_gradient_stay_data():
    def value_and_gradient(w, inputs):
        return np.sum((inputs @ w) ** 2), 2.0 * inputs.T @ (inputs @ w)

    report = check_gradients(value_and_gradient, RNG.standard_normal(3), X)
    assert [entry.name for entry in report.entries] == ["w"]
    assert report.verdict == "right"


def test_several_inputs_may_follow_each_other():
    pair = (lambda a, b, c: (a * b * c).sum(), lambda a, b, c: (b * c, a * c, a * b))
    report = check_gradients(pair, X, X + 1.0, X + 2.0)
    assert [entry.name for entry in report.entries] == ["a", "b", "c"]
    assert report.verdict == "right"
    with pytest.raises(TypeError, match=r"expected the arrays of run\(\) and grads\(\) by name"):
        check_gradients(lambda: X.sum(), lambda: X, X, X)


class Gate:
    def forward(self, x, h):
        self.x, self.h = x, h
        return x * np.tanh(h)

    def backward(self, grad):  # in the other order
        return grad * self.x * (1.0 - np.tanh(self.h) ** 2), grad * np.tanh(self.h)


def test_gradients_that_are_exchanged_are_not_right_by_one_of_them():
    assert check_gradients(Gate(), H, H + 1.0).verdict == "wrong"
    both = (distance, lambda a, b: (2.0 * (b - a), 2.0 * (a - b)))
    assert check_gradients(both, X, X + 1.0).verdict == "wrong"


def test_a_layer_of_two_inputs_is_no_loss_whose_target_comes_first():
    def backward(dout, x, h):
        return -dout + 0.0 * (x + h)

    assert check_gradients((lambda x, h: x - h, backward), X, X + 1.0).verdict == "wrong"


class Recurrent(Cell):
    """No gradient of the state, but of what has its place."""

    def backward(self, grad):
        d = grad * (1.0 - self.n**2)
        return d @ self.W.T, self.x.T @ d, self.h.T @ d


def test_the_gradient_of_a_parameter_is_not_that_of_the_state():
    report = check_gradients(Recurrent(), X, H)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [(name, "right") for name in ("x", "W", "U")]


def probabilities(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, gold):
    p = probabilities(z)
    return -np.sum(gold * np.log(p)) / len(z), (p - gold) / len(z), p


def ridge(w, data):
    d = data @ w
    return np.sum(d**2), 2.0 * data.T @ d, d


def test_probabilities_and_residuals_beside_a_gradient_are_none():
    gold = probabilities(RNG.standard_normal((5, 4)))
    assert check_gradients(cross_entropy, RNG.standard_normal((5, 4)), gold).verdict == "right"
    report = check_gradients(ridge, RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", "right")]
