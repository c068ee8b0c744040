"""The lines that a refusal shows for an object work: methods are shown that were seen to return what is needed."""

import re

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.array([0.3, -0.2, 0.5])


class LogLoss:
    """Called for its value, with a method for both and one that returns a function."""

    saved = 0

    def __call__(self, x):
        return self.f_grad(x)[0]

    def hessian_mv(self, x):
        return lambda v: v + 0.0 * x

    def save(self, x):
        type(self).saved += len(x)

    def f_grad(self, x):
        return 0.5 * np.sum(x**2), x.copy()


class Chain:
    """Two methods, one the gradient of the other, beside one whose name says so of nothing."""

    def describe(self, x):
        return f"a chain at {x}"

    def stretch(self, x):
        return np.sum(x**3)

    def d_stretch_gradient(self, x):
        return 3.0 * x**2


@pytest.mark.parametrize("make", [LogLoss, Chain])
def test_the_line_that_is_shown_works(make):
    it = make()
    with pytest.raises(TypeError, match="becomes checkable") as refused:
        check_gradients(it, X)
    shown = str(refused.value).split("of it")[1]
    target = re.search(r"check_gradients\((.+), x\)", shown)
    assert target is not None
    assert check_gradients(eval(target[1], {make.__name__.lower(): it}), X)


def test_what_may_do_more_than_compute_is_not_called():
    with pytest.raises(TypeError):
        check_gradients(LogLoss(), X)
    assert LogLoss.saved == 0


class Linear:
    """Two losses to choose from, each with the gradients of the parameters."""

    def __init__(self):
        self.W = np.arange(6.0).reshape(3, 2)

    def forward(self, x):
        return x @ self.W

    def squared_loss(self, x, y):
        off = self.forward(x) - y
        return np.sum(off**2), 2 * x.T @ off

    def cubic_loss(self, x, y):
        off = self.forward(x) - y
        return np.sum(off**3), 3 * x.T @ off**2


def test_a_loss_that_returns_the_gradients_of_the_parameters_is_shown():
    it, x, targets = Linear(), np.ones((4, 3)) * X, np.ones((4, 2))
    with pytest.raises(TypeError, match="returns its value and its gradients") as refused:
        check_gradients(it, x, targets)
    shown = re.search(r"check_gradients\((linear\.\w+), x, targets\)", str(refused.value))
    assert shown is not None
    assert check_gradients(eval(shown[1], {"linear": it}), x, targets)["W"].verdict == "right"


class OfItsData:
    """It is given its data once; its loss takes none."""

    def __init__(self):
        self.x, self.w = X, np.ones(3)

    def loss(self):
        return np.sum(self.x * self.w)


def test_a_loss_without_arguments_is_not_said_to_want_targets():
    with pytest.raises(TypeError) as refused:
        check_gradients(OfItsData(), X)
    assert "pass the targets too" not in str(refused.value)


class Path:
    """A method that walks, one that walks back, and one of the derivative, which fits by shape and leaves no path."""

    def __init__(self):
        self.W = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [0.7, 0.2, 0.3]])

    def field(self, z):
        return np.tanh(self.W @ z)

    def integrate(self, z0):
        self.tape, z = [], z0
        for _ in range(3):
            self.tape.append(z)
            z = z + 0.1 * self.field(z)
        return z

    def adjoint(self, a):
        self.W_bar = np.zeros_like(self.W)
        for z in reversed(self.tape):
            slope = a * (1.0 - self.field(z) ** 2)
            self.W_bar += 0.1 * np.outer(slope, z)
            a = a + 0.1 * self.W.T @ slope
        return a


class CallingBack:
    def begin_update(self, x):
        return x**3, lambda grad: 3.0 * x**2 * grad


@pytest.mark.parametrize("make", [Path, CallingBack])
def test_the_line_names_the_method_that_leaves_what_the_gradient_needs(make):
    it = make()
    with pytest.raises(TypeError, match="becomes checkable") as refused:
        check_gradients(it, X)
    target = re.search(r"check_gradients\((.+), x\)", str(refused.value).split("of it")[1])
    assert target is not None
    assert check_gradients(eval(target[1], {make.__name__.lower(): it}), X)
