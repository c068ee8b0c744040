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
        def pull(g):
            return g.data @ other.data.T, self.data.T @ g.data

        return Tensor(self.data @ other.data, (self, other), pull)

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


class Scalars:
    """One whose backward pass goes out from a single number alone, and which multiplies by tensors alone."""

    def __init__(self, data, parents=(), pull=None):
        self.data, self.grad, self.parents, self.pull = np.array(data), None, parents, pull

    def backward(self):
        if self.data.size != 1:
            raise Exception("cannot begin at more than one number")
        self._hand_on(np.ones_like(self.data))

    def _hand_on(self, grad):
        self.grad = grad if self.grad is None else self.grad + grad
        if self.pull is not None:
            for parent, part in zip(self.parents, self.pull(grad), strict=True):
                parent._hand_on(part)

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            other = Scalars(other[None])
        return Scalars(self.data * other.data, (self, other), lambda g: (g * other.data, g * self.data))

    def sum(self):
        return Scalars(np.sum(self.data, keepdims=True), (self,), lambda g: (g * np.ones_like(self.data),))

    def tanh(self, wrong=1.0):
        return Scalars(np.tanh(self.data), (self,), lambda g: (wrong * g * (1 - np.tanh(self.data) ** 2),))

    def softmax(self):
        p = np.exp(self.data) / np.exp(self.data).sum(axis=1, keepdims=True)
        return Scalars(p, (self,), lambda g: (p * (g - (g * p).sum(axis=1, keepdims=True)),))


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_where_backward_begins_at_a_number_alone_it_is_that_of_a_weighted_sum(wrong, verdict):
    assert check_gradients(lambda a: a.tanh(wrong), Scalars(RNG.standard_normal((3, 2)))).verdict == verdict
    # The sum of softmax is a constant: unweighted, it tells nothing.
    report = check_gradients(lambda a: a.softmax(), Scalars(RNG.standard_normal((3, 2))))
    assert report.verdict == "right", report
    assert abs(report["a"].analytic) > 1e-3
