"""Graphs of nodes, in a list: leaves are found, and called as the program calls them."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients


class Leaf:
    """Holds a value; the gradient is a dict, or with ``alone`` an array by itself."""

    def __init__(self, value, *, alone=False):
        self.value, self.alone, self.followers = value, alone, []
        if alone:
            self.grad = None

    def forward(self, value=None):
        if value is not None:
            self.value = value

    def backward(self):
        total = sum(node.gradients[self] for node in self.followers)
        if self.alone:
            self.grad = total
        else:
            self.gradients = {self: total}


class Product:
    def __init__(self, a, b, factor=1.0):
        self.a, self.b, self.factor = a, b, factor
        for leaf in (a, b):
            leaf.followers.append(self)

    def forward(self):
        self.value = np.sum(self.a.value * self.b.value)

    def backward(self):
        self.gradients = {self.a: self.b.value, self.b: self.factor * self.a.value}


class NoGradient(Leaf):
    def backward(self):
        pass


class Forgetful(Leaf):
    def backward(self):
        self.gradients = {}


left, right = Leaf(np.arange(1.0, 4.0)), Leaf(np.array([0.5, -1.0, 2.0]))
graph = [left, right, Product(left, right)]


def test_leaves_are_called_as_in_the_program_and_hold_the_same_in_the_end():
    before = left.value
    report = check_gradients(graph)
    assert {entry.name: entry.verdict for entry in report.entries} == {"left": "right", "right": "right"}
    assert report.target == "Product"
    assert left.value is before
    np.testing.assert_array_equal(before, [1.0, 2.0, 3.0])
    assert not hasattr(graph[-1], "gradients")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("number", [False, True])
def test_what_has_no_name_is_called_by_its_place(alone, number):
    a, b = (Leaf(value, alone=alone) for value in ((2.0, 3.0) if number else (np.ones(2), np.arange(2.0))))
    report = check_gradients((a, b, Product(a, b, 3.0)))
    assert {entry.name: entry.verdict for entry in report.entries} == {"nodes[0]": "right", "nodes[1]": "wrong"}


def test_values_of_whole_numbers_are_no_leaves():
    a, b = Leaf(np.ones(2)), Leaf(np.array([1, 2]))
    assert [entry.name for entry in check_gradients([a, b, Product(a, b)]).entries] == ["nodes[0]"]


def test_a_gradient_that_is_left_out_is_not_right():
    a, b = Leaf(np.ones(2)), Forgetful(np.ones(2))
    report = check_gradients([a, b, Product(a, b)])
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("nodes[0]", "right")]
    assert "1 of 2 arrays that the output depends on were checked" in str(report)
    assert report.verdict == "undecided"


@pytest.mark.parametrize(
    ("nodes", "missing"),
    [
        ([NoGradient(np.ones(2)), NoGradient(np.ones(2))], "a gradient"),
        ([Leaf(None), Leaf(None)], "a value"),
        ([Leaf(np.array([1])), Leaf(np.array([1]))], "leaves whose value"),
    ],
)
def test_where_something_is_missing_lines_are_shown(nodes, missing):
    with pytest.raises(TypeError, match=f"expected nodes with {missing}"):
        check_gradients(nodes)


def test_one_node_alone_is_refused():
    class Sum:
        def __init__(self, *parts):
            self.parts = parts

        def forward(self):
            self.value = sum(part.value for part in self.parts)

        def backward(self):
            self.gradients = dict.fromkeys(self.parts, 1.0)

    with pytest.raises(TypeError, match=r"give the list of all of them.*check_gradients\(nodes\)"):
        check_gradients(Sum(Leaf(np.ones(2))))
