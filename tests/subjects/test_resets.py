"""Gradients that are None, or 0, until the first backward pass, and are added up from then on: each step begins so."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects.calls.resets import empty_slots

rng = np.random.default_rng(0)
X = rng.standard_normal((5, 4))


def cause_of(report):
    """Of what is wrong with W."""
    diagnosis = report["W"].diagnosis
    assert diagnosis is not None
    return diagnosis.cause


class Parameter:
    def __init__(self, *shape):
        self.data, self.grad = rng.standard_normal(shape), None

    def add(self, grad):
        self.grad = grad if self.grad is None else self.grad + grad


class WithParameters:
    def __init__(self, factor):
        self.W, self.b, self.factor = Parameter(4, 3), Parameter(3), factor

    def forward(self, x):
        self.x = x
        return x @ self.W.data + self.b.data

    def backward(self, grad_output):
        self.W.add(self.factor * self.x.T @ grad_output)
        self.b.add(grad_output.sum(axis=0))
        return grad_output @ self.W.data.T


class OfTorchsKind(Parameter):
    """Whose gradient is 0 at first, and which an optimizer sets to 0."""

    def __init__(self, *shape):
        super().__init__(*shape)
        self.grad = np.zeros(shape)

    def add(self, grad):
        self.grad += grad


class WithZeros(WithParameters):
    def __init__(self, factor):
        super().__init__(factor)
        self.W, self.b = OfTorchsKind(4, 3), OfTorchsKind(3)


class WithADict:
    def __init__(self, factor):
        self.W, self.factor = rng.standard_normal((4, 3)), factor
        self.grads = {"W": None}

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad_output):
        grad, before = self.factor * self.x.T @ grad_output, self.grads["W"]
        self.grads["W"] = grad if before is None else before + grad
        return grad_output @ self.W.T


@pytest.mark.parametrize("kind", [WithParameters, WithZeros, WithADict])
def test_what_begins_with_none_and_adds_up_is_right_with_a_word_on_it(kind):
    report = check_gradients(kind(1.0), X)
    assert report.verdict == RIGHT
    assert any("backward adds to what is left of an earlier gradient, of W" in note for note in report.notes)
    wrong = check_gradients(kind(2.0), X)
    assert wrong["W"].verdict == WRONG
    assert cause_of(wrong) == "factor"


class Assigns(WithADict):
    def backward(self, grad_output):
        self.grads["W"] = self.factor * self.x.T @ grad_output
        return grad_output @ self.W.T


def test_what_is_assigned_needs_no_word():
    report = check_gradients(Assigns(1.0), X)
    assert report.verdict == RIGHT
    assert not any("adds to" in note for note in report.notes)


class Counts(Assigns):
    """Notes how often its gradient is set to None."""

    emptied = 0

    def __init__(self):
        super().__init__(1.0)
        self.dW = None

    def __setattr__(self, name, value):
        self.__dict__["emptied"] = self.emptied + (name == "dW" and value is None)
        super().__setattr__(name, value)

    def backward(self, grad_output):
        self.dW = self.x.T @ grad_output
        return grad_output @ self.W.T


def test_what_is_assigned_is_left_alone_once_that_is_known():
    layer = Counts()
    assert check_gradients(layer, X).verdict == RIGHT
    assert layer.emptied <= 10


class AddsUp:
    """Has its gradient set to 0 by the loop that trains it, or by nobody."""

    def __init__(self, factor=1.0):
        self.W, self.factor = rng.standard_normal((4, 3)), factor
        self.grad_W = np.zeros((4, 3))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad_output):
        self.grad_W += self.factor * self.x.T @ grad_output
        return grad_output @ self.W.T


class AddsUpForGood(AddsUp):
    def __init__(self):
        super().__init__()
        self.dW = self.grad_W
        del self.grad_W

    def backward(self, grad_output):
        self.dW += self.x.T @ grad_output
        return grad_output @ self.W.T


def train(layers, x, targets):
    for layer in layers:
        layer.grad_W[:] = 0
        layer.backward(layer.forward(x) - targets)
        layer.W -= 0.1 * layer.grad_W


def test_what_a_loop_in_the_module_sets_to_zero_begins_with_zero():
    report = check_gradients(AddsUp(), X)
    assert report.verdict == RIGHT
    assert any("backward adds to what is left of an earlier gradient, of W" in note for note in report.notes)
    assert cause_of(check_gradients(AddsUp(2.0), X)) == "factor"
    assert cause_of(check_gradients(AddsUpForGood(), X)) == "accumulated"


class MadeByTheFirstPass:
    """Nothing has None be there again: what forward has made for gradients stays."""

    W: Any
    dW: Any

    def __init__(self, assigns):
        self.W = self.dW = None
        self.assigns = assigns

    def forward(self, x):
        if self.W is None:
            self.W = np.random.default_rng(1).standard_normal((x.shape[1], 3))
            self.dW = np.zeros_like(self.W)
        self.x = x
        return x @ self.W

    def backward(self, grad_output):
        if self.assigns:
            self.dW[...] = 0.0
        self.dW += self.x.T @ grad_output
        return grad_output @ self.W.T


@pytest.mark.parametrize(("assigns", "verdict"), [(True, RIGHT), (False, WRONG)])
def test_what_the_first_forward_pass_makes_for_gradients_is_there_in_each(assigns, verdict):
    report = check_gradients(MadeByTheFirstPass(assigns), X)
    assert report["W"].verdict == verdict
    if verdict == WRONG:
        assert cause_of(report) == "accumulated"


class Held:
    def __init__(self):
        self.mask, self.dW = None, None
        self.grads: dict[str, Any] = {"b": None, "c": 1.0, "more": [None, 2.0]}


def test_the_places_for_gradients_that_are_none():
    held = Held()
    held.grads["itself"] = held.grads
    slots = empty_slots(held)
    del held.grads["itself"]
    assert [(type(slot.holder), slot.key) for slot in slots] == [(Held, "dW"), (dict, "b"), (list, 0)]
    vars(held)["dW"], held.grads["b"], held.grads["more"][0] = np.ones(2), 1.0, 2.0
    assert not any(slot.is_empty() for slot in slots)
    for slot in slots:
        slot.empty()
    assert all(slot.is_empty() for slot in slots)
    assert vars(held) == {"mask": None, "dW": None, "grads": {"b": None, "c": 1.0, "more": [None, 2.0]}}
