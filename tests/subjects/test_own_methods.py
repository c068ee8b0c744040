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
