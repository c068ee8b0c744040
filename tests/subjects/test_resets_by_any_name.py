"""Gradients that are added up until a method sets them to 0, by any name, or until a dict of them is another."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects import names

rng = np.random.default_rng(0)
X = rng.standard_normal((5, 4))


class Accumulating:
    def __init__(self, factor=1.0):
        self.weight, self.factor = rng.standard_normal((4, 3)), factor
        self.gradWeight = np.zeros((4, 3))

    def forward(self, x):
        return x @ self.weight

    def backward(self, x, gradOutput):
        self.gradWeight += self.factor * x.T @ gradOutput
        return gradOutput @ self.weight.T


class ForGood:
    """Whose gradient nothing in this file sets to 0."""

    def __init__(self):
        self.weight, self.weight_grad = rng.standard_normal((4, 3)), np.zeros((4, 3))

    def forward(self, x):
        return x @ self.weight

    def backward(self, x, gradOutput):
        self.weight_grad += x.T @ gradOutput
        return gradOutput @ self.weight.T


class AsInLua(Accumulating):
    def zeroGradParameters(self):
        self.gradWeight.fill(0)


class AsInCaffe(Accumulating):
    def clear_param_diffs(self):
        self.gradWeight[...] = 0.0


class InADict:
    """As in Thinc: a gradient is added to that in a dict if one is there, and a step has another dict."""

    def __init__(self, factor=1.0):
        self.params, self.factor = {"W": rng.standard_normal((3, 4)), "b": np.zeros(3)}, factor
        self.grads = {}

    def inc_grad(self, name, value):
        self.grads[name] = self.grads[name] + value if name in self.grads else value

    def begin_update(self, x):
        def backprop(dy):
            self.inc_grad("b", dy.sum(axis=0))
            self.inc_grad("W", self.factor * dy.T @ x)
            return dy @ self.params["W"]

        return x @ self.params["W"].T + self.params["b"], backprop

    def finish_update(self, lr):
        for name in self.params:
            self.params[name] -= lr * self.grads[name]
        self.grads = {}


@pytest.mark.parametrize("kind", [AsInLua, AsInCaffe])
def test_a_method_that_sets_gradients_to_0_begins_each_step(kind):
    assert check_gradients(kind(), X)
    wrong = check_gradients(kind(2.0), X)
    assert wrong.verdict == WRONG
    assert wrong["weight"].cause == "factor"


def test_without_one_what_is_added_up_is_wrong_from_the_second_step():
    assert check_gradients(ForGood(), X)["weight"].cause == "accumulated"


def test_a_dict_that_is_empty_at_first_is_so_before_each_step():
    report = check_gradients(InADict().begin_update, X)
    assert report.verdict == RIGHT
    assert "adds to what is left of an earlier gradient" in " ".join(report.notes)
    wrong = check_gradients(InADict(2.0).begin_update, X)
    assert [entry.name for entry in wrong.entries if entry.verdict == WRONG] == ["params['W']"]


@pytest.mark.parametrize("name", ["zero_grad", "zeroGradParameters", "reset_deltas", "cleargrads", "zero"])
def test_names_that_say_so(name):
    assert names.is_reset(name)


@pytest.mark.parametrize("name", ["zeros", "reset", "clear", "init_grad", "grad_zero_point", "reset_state"])
def test_names_that_do_not(name):
    assert not names.is_reset(name)
