"""Arrays that no path of an object leads to: they are counted, and nothing is called right where one may be learned."""

import array
import threading
import weakref
from collections import deque
from fractions import Fraction
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, WEIGHT = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))
COLUMN = np.array([0.5, -1.0, 2.0])


class Keeps:
    def __init__(self, weight):
        self.weight = weight


class Linear:
    """A layer whose weight is what ``weight()`` gives; it keeps what is twice the gradient."""

    get: Any = None

    def weight(self):
        return self.get()

    def forward(self, x):
        self.x = x
        return x @ self.weight()

    def backward(self, grad_output):
        self.dweight = 2.0 * self.x.T @ grad_output
        return grad_output @ self.weight().T


def in_a_closure():
    weight = WEIGHT.copy()
    return lambda: weight


class InAClosure(Linear):
    def __init__(self):
        self.get = in_a_closure()


class InAPartial(Linear):
    def __init__(self):
        self.get = partial(np.asarray, WEIGHT.copy())


def by_default(weight=WEIGHT):
    return weight


class ByDefault(Linear):
    def __init__(self):
        self.get = by_default


class InASet(Linear):
    def __init__(self):
        self.held = {Keeps(WEIGHT.copy())}

    def weight(self):
        return next(iter(self.held)).weight


KEPT = Keeps(WEIGHT.copy())


class BehindAReference(Linear):
    def __init__(self):
        self.reference = weakref.ref(KEPT)

    def weight(self):
        kept = self.reference()
        assert kept is not None
        return kept.weight


LOCAL = threading.local()
LOCAL.weight = WEIGHT.copy()


class OfAThread(Linear):
    def weight(self):
        return LOCAL.weight


STATE = {"parameters": {"weight": WEIGHT.copy()}, "gradients": {}}


def of_the_state(key):
    return STATE["parameters"][key]


class OfAFunctionThatAMethodCalls(Linear):
    def weight(self):
        return of_the_state("weight")

    def backward(self, grad_output):
        STATE["gradients"]["weight"] = 2.0 * self.x.T @ grad_output
        return grad_output @ self.weight().T


class Settings:
    weight = WEIGHT.copy()


class OfAnotherClass(Linear):
    def weight(self):
        return Settings.weight


class OfABuffer(Linear):
    def __init__(self):
        self.buffer = array.array("d", COLUMN)

    def weight(self):
        return np.array(self.buffer)[:, None]


class OfComplexNumbers(Linear):
    def __init__(self):
        self.spectrum = WEIGHT + 0.5j

    def weight(self):
        return (self.spectrum * (1 - 1j)).real


HIDDEN = [
    InAClosure, InAPartial, ByDefault, InASet, BehindAReference, OfAThread, OfAFunctionThatAMethodCalls,
    OfAnotherClass, OfABuffer, OfComplexNumbers,
]  # fmt: skip


@pytest.mark.parametrize("kind", HIDDEN)
def test_nothing_is_right_where_an_array_that_no_path_leads_to_may_be_learned(kind):
    report = check_gradients(kind(), X)
    assert report.verdict == "undecided"
    assert "1 of 2 arrays that the output depends on were checked" in report.problems[0]


def test_what_is_around_methods_is_in_the_end_as_it_was():
    check_gradients(OfAFunctionThatAMethodCalls(), X)
    assert STATE["gradients"] == {}
    np.testing.assert_array_equal(STATE["parameters"]["weight"], WEIGHT)


class InADeque(Linear):
    def __init__(self, wrong=1.0):
        self.weights, self.grads, self.wrong = deque([WEIGHT.copy(), np.ones((2, 2))]), deque([None, None]), wrong

    def forward(self, x):
        self.inputs: deque[np.ndarray] = deque()
        for weight in self.weights:
            self.inputs.append(x)
            x = np.tanh(x @ weight)
        self.x = x
        return x

    def backward(self, grad_output):
        after = self.x
        for i in (1, 0):
            grad_output = grad_output * (1 - after**2)
            self.grads[i] = (self.wrong if i else 1.0) * self.inputs[i].T @ grad_output
            grad_output, after = grad_output @ self.weights[i].T, self.inputs[i]
        return grad_output


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_arrays_in_a_deque_are_checked_as_those_in_a_list(wrong):
    report = check_gradients(InADeque(wrong), X)
    assert [entry.name for entry in report.entries] == ["x", "weights[0]", "weights[1]"]
    assert [entry.verdict for entry in report.entries] == ["right", "right", "right" if wrong == 1.0 else "wrong"]


class OfItsClass(Linear):
    parameters: ClassVar[dict[str, dict[str, np.ndarray]]] = {"first": {"weight": WEIGHT.copy()}}
    grads: ClassVar[dict[str, dict[str, np.ndarray]]] = {"first": {}}

    def __init__(self, wrong):
        self.wrong = wrong

    def weight(self):
        return self.parameters["first"]["weight"]

    def backward(self, grad_output):
        self.grads["first"]["weight"] = self.wrong * self.x.T @ grad_output
        return grad_output @ self.weight().T


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_dicts_of_dicts_of_the_class_are_checked_as_the_objects_own(wrong):
    report = check_gradients(OfItsClass(wrong), X)
    assert [entry.verdict for entry in report.entries] == ["right", "right" if wrong == 1.0 else "wrong"]
    assert OfItsClass.grads == {"first": {}}


KERNEL = np.array([0.25, 0.5, 0.25])


class Blur:
    """A fixed kernel, and what backward keeps on its way."""

    def forward(self, x):
        self.z = np.stack([np.convolve(row, KERNEL, "same") for row in x])
        return self.z**2

    def backward(self, grad_output):
        self.dz = 2 * self.z * grad_output
        return np.stack([np.convolve(row, KERNEL[::-1], "same") for row in self.dz])


def test_an_array_around_that_nothing_learns_is_only_said():
    report = check_gradients(Blur(), np.random.default_rng(1).standard_normal((2, 6)))
    assert report.verdict == "right"
    assert "used by the functions, and no gradient is claimed of KERNEL: not checked" in report.notes


def functions_of(weights, gradients, wrong):
    """Functions whose weights are in one object, and what backward makes in another."""
    kept = {}

    def forward(x):
        kept["x"] = x
        return x @ weights.first

    def backward(grad_output):
        gradients.first = wrong * kept["x"].T @ grad_output
        return grad_output @ weights.first.T

    return forward, backward


@pytest.mark.parametrize("wrong", [1.0, 2.0])
@pytest.mark.parametrize("kind", [SimpleNamespace, type("Weights", (), {"first": WEIGHT.copy()})])
def test_arrays_around_functions_are_not_taken_for_granted_where_backward_may_make_their_gradients(kind, wrong):
    weights = SimpleNamespace(first=WEIGHT.copy()) if kind is SimpleNamespace else kind
    gradients = SimpleNamespace() if kind is SimpleNamespace else type("Gradients", (), {})
    report = check_gradients(functions_of(weights, gradients, wrong), X)
    assert report.verdict == "undecided"
    assert "1 of 2 arrays that the output depends on were checked" in report.problems[0]


SLOPE = 1.5


class OfANumberAround:
    """It keeps what is called as the gradient of a number of the module."""

    def forward(self, x):
        self.x = x
        return SLOPE * x

    def backward(self, grad_output):
        self.dSLOPE = np.sum(grad_output * self.x)
        return SLOPE * grad_output


class OfAFraction:
    def __init__(self):
        self.a = Fraction(1, 3)

    def forward(self, x):
        self.x = x
        return float(self.a) * x

    def backward(self, grad_output):
        self.da = 2.0 * np.sum(grad_output * self.x)
        return float(self.a) * grad_output


class OfAFloatOfItsClass:
    slope = 1.5

    def forward(self, x):
        self.x = x
        return self.slope * x

    def backward(self, grad_output):
        self.grad_slope = np.sum(grad_output * self.x)
        return self.slope * grad_output


class OfAFloatOfItsClassByName(OfAFloatOfItsClass):
    def forward(self, x):
        self.x = x
        return OfAFloatOfItsClassByName.slope * x


class WithAWrongOne(OfAFloatOfItsClass):
    def backward(self, grad_output):
        grad_input = super().backward(grad_output)
        self.grad_slope = 2.0 * self.grad_slope
        return grad_input


def test_a_float_of_the_class_that_has_a_gradient_is_checked_as_one_of_the_object():
    assert check_gradients(OfAFloatOfItsClass(), X)["slope"].verdict == "right"
    report = check_gradients(WithAWrongOne(), X)
    assert (report.verdict, report["slope"].verdict) == ("wrong", "wrong")
    assert OfAFloatOfItsClass.slope == 1.5
    assert "slope" not in vars(WithAWrongOne())


class OfAWholeFloat:
    gain, eps = 1.0, 1e-8

    def forward(self, x):
        self.x = x
        return self.gain * x + self.eps

    def backward(self, grad_output):
        return self.gain * grad_output


def test_floats_of_the_class_without_a_gradient_are_settings():
    report = check_gradients(OfAWholeFloat(), X)
    assert report.verdict == "right"
    assert any("gain, eps" in note for note in report.notes)


@pytest.mark.parametrize(
    ("kind", "name"), [(OfANumberAround, "SLOPE"), (OfAFraction, "a"), (OfAFloatOfItsClassByName, "slope")]
)
def test_a_number_that_is_no_float_of_the_object_is_counted_where_its_gradient_is_kept(kind, name):
    report = check_gradients(kind(), X)
    assert report.verdict == "undecided"
    assert f"no gradient was found of {name};" in report.problems[0]
    assert check_gradients(kind(), X, constants=[name]).verdict == "right"


def test_weights_of_the_classes_of_a_loss_of_ours_are_not_looked_for():
    loss = nn.CrossEntropyLoss(weight=np.array([2.0, 0.9]))
    report = check_gradients(loss, np.array([[0.1, 0.4]]), np.array([[0.9, 0.1]]))
    assert report.verdict == "right"
    assert report.notes == []


FUTURE = np.triu(np.full((3, 3), -1e9), 1)


class Causal:
    """Attention that does not see what comes later; what backward keeps on its way has the shape of the mask."""

    def forward(self, x):
        self.x = x
        scores = np.exp(x @ x.T / 2 + FUTURE)
        self.p = scores / scores.sum(axis=1, keepdims=True)
        return self.p @ x

    def backward(self, grad_output):
        dp = grad_output @ self.x.T
        self.ds = self.p * (dp - (dp * self.p).sum(axis=1, keepdims=True)) / 2
        return self.ds @ self.x + self.ds.T @ self.x + self.p.T @ grad_output


def test_a_mask_around_is_not_learned_though_backward_keeps_what_has_its_shape():
    assert check_gradients(Causal(), RNG.standard_normal((3, 4))).verdict == "right"
