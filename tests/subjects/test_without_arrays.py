"""Layers whose parameters are lists of numbers, as who writes without arrays has them."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 2))


class Lists:
    """A dense layer of lists; of ``left_out`` no gradient is kept."""

    def __init__(self, left_out=""):
        self.w, self.c, self.left_out = RNG.standard_normal((2, 3)).tolist(), [0.5, -0.25, 1.5], left_out

    def forward(self, x):
        self.x = x
        return x @ np.array(self.w) + np.array(self.c)

    def backward(self, grad):
        gradients = {"w": (self.x.T @ grad).tolist(), "c": grad.sum(axis=0).tolist()}
        self.dw, self.dc = (None if name == self.left_out else gradients[name] for name in ("w", "c"))
        return grad @ np.array(self.w).T


@pytest.mark.parametrize(("left_out", "lost"), [("", []), ("c", ["c[0]", "c[1]", "c[2]"])])
def test_numbers_in_a_list_count_where_all_that_is_learned_are_such(left_out, lost):
    report = check_gradients(Lists(left_out), X)
    # Once "numbers without a gradient, taken for settings".
    assert report.verdict == ("undecided" if lost else "right")
    assert all(f"{name}" in " ".join(report.problems) for name in lost)


class Betas(Lists):
    """A dense layer of arrays, with a list of numbers that are settings."""

    def __init__(self):
        self.W, self.betas = RNG.standard_normal((2, 3)), [0.5, 0.25]

    def forward(self, x):
        self.x = x
        return sum(self.betas) * x @ self.W

    def backward(self, grad):
        self.dW = sum(self.betas) * self.x.T @ grad
        return sum(self.betas) * grad @ self.W.T


def test_beside_arrays_numbers_in_a_list_are_settings():
    assert check_gradients(Betas(), X).ok


class WithoutNumPy:
    """A dense layer whose passes take and return lists of numbers, too; ``factor`` is on the input's gradient."""

    def __init__(self, factor=1.0, gradients="weight_gradients"):
        self.weights, self.factor, self.gradients = [[0.1, 0.2, 0.3], [0.4, -0.5, 0.6]], factor, gradients

    def feed(self, inputs):
        self.inputs = inputs
        return [sum(w * x for w, x in zip(row, inputs, strict=True)) ** 2 for row in self.weights]

    def backprop(self, errors):
        dots = [sum(w * x for w, x in zip(row, self.inputs, strict=True)) for row in self.weights]
        deltas = [2.0 * e * dot for e, dot in zip(errors, dots, strict=True)]
        setattr(self, self.gradients, [[d * x for x in self.inputs] for d in deltas])
        rows = list(zip(deltas, self.weights, strict=True))
        return [self.factor * sum(d * row[j] for d, row in rows) for j in range(len(self.inputs))]


@pytest.mark.parametrize("x", [[0.2, -0.4, 0.7], np.array([0.2, -0.4, 0.7])])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_list_of_numbers_that_backward_returns_is_the_gradient_of_the_input(x, factor, verdict):
    # Once "backward returns no gradient of the input", and right.
    layer = WithoutNumPy(factor)
    for report in (check_gradients(layer, x), check_gradients((layer.feed, layer.backprop), x)):
        assert (report.verdict, report["inputs"].verdict) == (verdict, verdict)
        assert len(report.entries) == 7


def test_a_matrix_of_numbers_without_a_gradient_is_not_called_right():
    report = check_gradients(WithoutNumPy(gradients="whatever"), [0.2, -0.4, 0.7])
    assert report.verdict == "undecided"
    assert "no gradient was found of weights[0][0]" in report.problems[0]


class Two:
    """Two numbers are learned, and their gradients returned in a list as long as the input."""

    def __init__(self, factor):
        self.w, self.b, self.factor = 0.5, -0.25, factor

    def forward(self, x):
        self.x = x
        return self.w * x + self.b

    def backward(self, grad):
        return [self.factor * float(np.sum(grad * self.x)), float(np.sum(grad))]


def test_a_list_of_the_gradients_of_two_numbers_is_not_that_of_an_input_of_two():
    assert "x" not in [e.name for e in check_gradients(Two(1.0), np.array([0.3, -0.6])).entries if e.verdict == "wrong"]
