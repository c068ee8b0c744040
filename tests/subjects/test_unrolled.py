"""A vector of the gradients of all parameters is taken apart, in the order and layout that the numbers tell."""

from typing import Any

import numpy as np
import pytest
from stand_ins import leaf

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.arrays.places import parsed
from numpy_nn.subjects.arrays.unrolled import Part, is_unrolled, parts_of

SHAPES = ((4, 6), (6,), (6, 3), (3,))
X, Y = (np.random.default_rng(1).standard_normal((5, n)) for n in (4, 3))


class Net:
    """tanh(x W1 + b1) W2 + b2 with a backward pass that returns one vector, or leaves it in ``grad``."""

    order: Any = (0, 1, 2, 3)
    layout: Any = "C"

    def __init__(self, wrong=None):
        rng = np.random.default_rng(0)
        self.W1, self.b1, self.W2, self.b2 = (rng.standard_normal(shape) for shape in SHAPES)
        self.wrong = wrong

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W1 + self.b1)
        return self.h @ self.W2 + self.b2

    def vector(self, g):
        dh = g @ self.W2.T * (1 - self.h**2)
        grads = [self.x.T @ dh, dh.sum(axis=0), self.h.T @ g, g.sum(axis=0)]
        grads = [-grad if place == self.wrong else grad for place, grad in enumerate(grads)]
        return np.concatenate([grads[place].ravel(order=self.layout) for place in self.order])

    def backward(self, g):
        return self.vector(g)


class WeightsFirst(Net):
    order = (0, 2, 1, 3)


class LastFirst(Net):
    order = (2, 3, 0, 1)


class ByColumns(Net):
    layout = "F"


class Keeps(Net):
    def backward(self, g):
        self.grad = self.vector(g)
        return g @ self.W2.T * (1 - self.h**2) @ self.W1.T


class WithALoss(Net):
    def cost(self, x, y):
        return 0.5 * np.sum((self.forward(x) - y) ** 2)

    def gradient(self, x, y):
        return self.vector(self.forward(x) - y)


@pytest.mark.parametrize("form", [Net, WeightsFirst, LastFirst, ByColumns, Keeps, WithALoss])
@pytest.mark.parametrize("wrong", [None, 0, 1])
def test_each_parameter_has_its_part_of_the_vector(form, wrong):
    report = check_gradients(form(wrong), X, *((Y,) if form is WithALoss else ()))
    verdicts = [report[name].verdict for name in ("W1", "b1", "W2", "b2")]
    assert verdicts == ["wrong" if place == wrong else "right" for place in range(4)], report
    assert not report.problems
    assert any("one after the other" in note for note in report.notes)


@pytest.mark.parametrize(
    ("shape", "shapes", "unrolled"),
    [
        ((9,), [(2, 3), (3,)], True),
        ((9, 1), [(2, 3), (3,)], True),
        ((3, 3), [(2, 3), (3,)], False),
        ((8,), [(2, 3), (3,)], False),
        ((9,), [(3, 3)], False),
        ((), [], False),
    ],
)
def test_a_vector_of_all_has_as_many_numbers_as_all(shape, shapes, unrolled):
    assert is_unrolled(leaf("", np.zeros(shape)), shapes) == unrolled


def test_a_part_is_read_from_the_vector_of_the_last_backward_pass():
    vector = leaf("[0]", np.zeros(9))
    part = Part(vector, 2, (2, 3), "C")
    assert str(part) == "the returned [0][2:8]"
    assert np.array_equal(part.read([np.arange(9.0)], None), [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]])
    assert np.array_equal(
        part._replace(layout="F").of(np.arange(9.0).reshape(9, 1)), [[2.0, 4.0, 6.0], [3.0, 5.0, 7.0]]
    )
    assert part.read([], None) is None


def test_the_order_is_that_in_which_most_agree_and_else_the_given_one():
    vector, shapes = leaf("", np.arange(8.0)), {"W": (2, 2), "b": (2,), "c": (2,)}
    made, fits = parts_of(vector, shapes, lambda name, one: name != "c" and one.value.flat[0] == {"W": 4, "b": 2}[name])
    assert fits
    assert {name: part.start for name, part in made.items()} == {"c": 0, "b": 2, "W": 4}
    made, fits = parts_of(vector, shapes, lambda *_: False)
    assert not fits
    assert {name: part.start for name, part in made.items()} == {"W": 0, "b": 4, "c": 6}
    assert made["b"].vector.path == parsed("") == ()


class OneOutput:
    """A dense layer that takes its own steps: dx has two numbers, as W and b have together."""

    def __init__(self):
        self.W, self.b = np.array([[0.5]]), np.array([0.25])

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output, learning_rate):
        grad_W, grad_b = self.x.T @ grad_output, grad_output.sum(axis=0)
        grad_input = grad_output @ self.W.T
        self.W = self.W - learning_rate * grad_W
        self.b = self.b - learning_rate * grad_b
        return grad_input


def test_the_gradient_of_the_input_is_no_vector_of_all_others():
    report = check_gradients(OneOutput(), np.array([[1.5], [-0.5]]))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": "right", "b": "right"}
