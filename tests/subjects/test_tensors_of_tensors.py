"""Engines whose gradients are tensors themselves, and whose backward pass wants one; indices that are tensors."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)


class Tensor:
    def __init__(self, data, parents=(), pull=None, tracks=True):
        self.data, self.grad, self.parents, self.pull, self.tracks = np.array(data), None, parents, pull, tracks

    def backward(self, grad=None):
        if grad is None:
            grad = Tensor(np.ones_like(self.data), tracks=False)
        assert not grad.tracks
        self.grad = grad if self.grad is None else Tensor(self.grad.data + grad.data, tracks=False)
        if self.pull is not None:
            for parent, part in zip(self.parents, self.pull(grad), strict=True):
                parent.backward(Tensor(part, tracks=False))

    def __add__(self, other):
        return Tensor(self.data + other.data, (self, other), lambda g: (g.data, g.data))

    def __mul__(self, other):
        return Tensor(self.data * other.data, (self, other), lambda g: (g.data * other.data, g.data * self.data))

    def mm(self, other):
        both = lambda g: (g.data @ other.data.T, self.data.T @ g.data)  # noqa: E731
        return Tensor(self.data @ other.data, (self, other), both)

    def rows(self, which, wrong=1.0):
        def pull(g):
            grad = np.zeros_like(self.data)
            np.add.at(grad, which.data, wrong * g.data)
            return (grad,)

        return Tensor(self.data[which.data], (self,), pull)


class Grad(Tensor):
    """One made by a call of its class with one argument alone, of which nothing is tracked."""

    def __init__(self, data, parents=(), pull=None, tracks=False):
        super().__init__(data, parents, pull, tracks)


def made(*shape):
    return Grad(RNG.standard_normal(shape))


class Linear:
    def __init__(self):
        self.parameters = [made(4, 3), made(1, 3)]

    def forward(self, x):
        return x.mm(self.parameters[0])


class Table:
    def __init__(self, wrong=1.0):
        self.weight, self.wrong = made(6, 3), wrong

    def forward(self, which):
        return self.weight.rows(which, self.wrong)


@pytest.fixture(autouse=True)
def of_its_own_kind(monkeypatch):
    monkeypatch.setitem(globals(), "Tensor", Grad)


def test_backward_is_given_a_tensor_where_it_wants_one():
    report = check_gradients(lambda a, b: a * b + a, (made(3, 2), made(3, 2)))
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["a", "b"]
    assert check_gradients(Linear(), made(5, 4))["parameters[0]"].verdict == "right"


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_indices_may_be_a_tensor(wrong, verdict):
    report = check_gradients(Table(wrong), Grad(np.array([0, 2, 2, 5])))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("weight", verdict)], report


class Cell:
    def __init__(self):
        self.parameters = Linear().parameters

    def forward(self, x, h):
        out = x.mm(self.parameters[0]) + h
        return out, out * h


def test_of_several_tensors_each_is_checked_by_itself():
    net, x = Cell(), (made(5, 4), made(5, 3))
    with pytest.raises(
        TypeError, match=r"got tuple; check each by itself:\n    check_gradients\(lambda \*x: net.f"
    ) as e:
        check_gradients(net, x)
    line = str(e.value).splitlines()[-1].strip()
    assert eval(line, {"check_gradients": check_gradients, "net": net, "x": x})
