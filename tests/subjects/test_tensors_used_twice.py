"""Engines that set the gradient of a sum's parts where they have to add it up: told where nothing is used twice."""

import math
import operator

from numpy_nn.gradcheck import check_gradients


class Value:
    def __init__(self, data, parts=()):
        self.data, self.grad, self.parts, self.adds_up = data, 0.0, parts, True

    def made(self, data, *parts):
        out = type(self)(data, parts)
        out.adds_up = self.adds_up
        return out

    def __add__(self, other):
        return self.made(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        return self.made(self.data * other.data, (self, other.data), (other, self.data))

    def exp(self):
        return self.made(math.exp(self.data), (self, math.exp(self.data)))

    def backward(self):
        order: list[Value] = []

        def visit(value):
            if value not in order:
                for part, _ in value.visited():
                    visit(part)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            for part, slope in value.parts:
                value.hand_on(part, slope)

    def visited(self):
        return self.parts

    def hand_on(self, part, slope):
        part.grad = slope * self.grad + (part.grad if self.adds_up or slope != 1.0 else 0.0)


class SetsInSums(Value):
    def made(self, data, *parts):
        out = super().made(data, *parts)
        out.adds_up = False
        return out


def warned(kind, f):
    report = check_gradients(f, (kind(0.5), kind(2.0)))
    assert report.verdict == "right"
    return [warning for warning in report.warnings if "(=) where it has to be added up (+=)" in warning]


def test_of_one_part_alone_it_is_told():
    assert warned(SetsInSums, lambda a, b: a * a.exp() + b)
    assert not warned(Value, lambda a, b: a * a.exp() + b)


def test_of_what_is_made_of_the_parts_alone_it_is_told():
    assert warned(SetsInSums, operator.mul)
    assert not warned(Value, operator.mul)


class LeavesAside(Value):
    """One whose squares hand on a gradient that does not depend on what they are given."""

    def square(self):
        return self.made(self.data**2, (self, None))

    def hand_on(self, part, slope):
        part.grad += 2.0 * part.data if slope is None else slope * self.grad


def test_where_the_output_alone_loses_a_gradient_the_other_way_to_lose_it_is_told_too():
    report = check_gradients(lambda a: a.square(), LeavesAside(0.5))
    assert report.verdict == "right"
    (warning,) = report.warnings
    assert warning.endswith("or what came last, or a constant, is handed on in the place of the sum")


class Node(SetsInSums):
    """Goes through its parts in an order of chance, as that of a set is."""

    graphs = 0

    def backward(self):
        Node.graphs += 1
        super().backward()

    def visited(self):
        turned = Node.graphs // 2 % 3 == 1
        return self.parts[::-1] if turned else self.parts


def of_a_chance(a, b, c):
    d = a * b + c
    e = (a + d).exp()
    return e * e + d * d * a


def test_what_hangs_on_the_order_of_a_set_is_wrong_and_not_hidden_by_rounding():
    for first in range(2):
        Node.graphs = first
        report = check_gradients(of_a_chance, (Node(0.5), Node(-1.2), Node(0.3)))
        assert report["a"].verdict == "wrong"
        assert any("the order in which nodes are run" in warning for warning in report.warnings)
