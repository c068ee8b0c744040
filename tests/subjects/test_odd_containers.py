"""Containers and classes of other libraries that refuse what a plain one takes, or say other things of themselves."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients


class Frozen(list[str]):
    """A list that cannot be changed, and joins others in its own way, as an index of names may."""

    def refuse(self, *_):
        raise TypeError("does not support mutable operations")

    clear = append = extend = pop = refuse

    def __reduce__(self):
        return Frozen, (list(self),)

    def __radd__(self, other):
        return Frozen([*other, *self])


class FrozenDict(dict[str, float]):
    def refuse(self, *_):
        raise TypeError("does not support mutable operations")

    clear = pop = refuse
    update: Any = refuse


class Compiled:
    """Of a class whose module is no text, as one of compiled code may be."""

    __module__ = property(lambda _: "anywhere")


class Model:
    def __init__(self, held):
        self.held, self.X = held, np.random.default_rng(0).standard_normal((5, 3))

    def loglike(self, params):
        return -0.5 * np.sum((self.X @ params) ** 2)

    def score(self, params):
        return -self.X.T @ (self.X @ params)


@pytest.mark.parametrize("held", [Frozen(["a", "b"]), FrozenDict(a=1.0), Compiled()])
def test_an_object_that_holds_one_is_checked(held):
    model = Model(held)
    report = check_gradients((model.loglike, model.score), np.array([0.3, -0.2, 0.5]))
    assert report["params"].verdict == "right", report
    assert model.held is held
