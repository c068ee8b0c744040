"""Functions of an object, its methods or closures, are checked with its parameters and leave no trace."""

import copy
from types import MethodType, SimpleNamespace

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.owners import made_ours, owned

X = np.random.default_rng(1).standard_normal((5, 4))


class Net:
    def __init__(self, wrong=1.0, dtype=np.float64):
        self.W, self.b = np.random.default_rng(0).standard_normal((4, 3)).astype(dtype), np.zeros(3, dtype)
        self.wrong = wrong

    def forward(self, x):
        self.x = x
        return np.tanh(x @ self.W + self.b)

    def backward(self, grad_output):
        dz = grad_output * (1 - np.tanh(self.x @ self.W + self.b) ** 2)
        self.dW, self.db = self.wrong * self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


class Patched(Net):
    """Its forward pass is a function of the object's own, which a copy of the object takes with it."""

    def __init__(self, wrong=1.0, dtype=np.float64):
        super().__init__(wrong, dtype)
        vars(self)["forward"] = lambda x: Net.forward(self, x)


class HalfWrapped:
    def __init__(self, net):
        self.net, self.forward = net, lambda x: net.forward(x)

    def backward(self, grad_output):
        return self.net.backward(grad_output)


def closures(net):
    return lambda x: net.forward(x), lambda grad_output: net.backward(grad_output)


FORMS = {
    "two closures": closures,
    "a closure and a method": lambda net: (lambda x: net.forward(x), net.backward),
    "two methods": lambda net: (net.forward, net.backward),
    "closures of a wrapper": lambda net: SimpleNamespace(net=net, forward=closures(net)[0], backward=closures(net)[1]),
    "closures of what keeps nothing": lambda net: SimpleNamespace(forward=closures(net)[0], backward=net.backward),
    "a closure and a method of a wrapper": HalfWrapped,
    "the object itself": lambda net: net,
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), [(Net, np.float64), (Patched, np.float32)])
@pytest.mark.parametrize("form", FORMS)
def test_the_parameters_of_the_object_are_checked_and_it_is_left_as_it_was(form, kind, dtype):
    for wrong in (1.0, 3.0):
        net = kind(wrong, dtype)
        before = {name: copy.copy(value) for name, value in vars(net).items()}
        report = check_gradients(FORMS[form](net), X)
        verdicts = {entry.name.removeprefix("net."): entry.verdict for entry in report.entries}
        assert verdicts == {"x": "right", "W": "right" if wrong == 1.0 else "wrong", "b": "right"}, report
        assert not report.warnings
        assert vars(net).keys() == before.keys()
        assert net.W.dtype == dtype
        np.testing.assert_array_equal(net.W, before["W"])


def test_what_goes_wrong_while_the_check_looks_for_the_form_leaves_no_trace_either():
    net = Net()
    before = dict(vars(net))
    with pytest.raises(ZeroDivisionError):
        check_gradients((lambda x: net.forward(x) / 0.0, lambda g: net.backward(g) / (1 // 0)), X)
    assert vars(net) == before


def test_methods_of_a_layer_of_float32_are_checked_in_float64():
    layer = nn.Linear(4, 3, dtype=np.float32)
    layer.forward(X.astype(np.float32))
    weight = layer.weight.data.copy()
    for pair in ((layer.forward, layer.backward), closures(layer)):
        assert check_gradients(pair, X).verdict == "right"
        assert layer.weight.data.dtype == np.float32
        np.testing.assert_array_equal(layer.weight.data, weight)
        assert layer.forward(X.astype(np.float32)).dtype == np.float32


def test_what_two_functions_use_without_a_gradient_is_said_and_no_problem():
    settings = SimpleNamespace(A=np.random.default_rng(0).standard_normal((4, 3)))
    report = check_gradients((lambda x: x @ settings.A, lambda g: g @ settings.A.T), X)
    assert report.ok
    assert any("no gradient is claimed of A" in note for note in report.notes)


def test_a_gradient_missing_of_an_object_whose_methods_are_given_is_a_problem():
    class Scaled(Net):
        def backward(self, grad_output):
            result = super().backward(grad_output)
            del self.db
            return result

    net = Scaled()
    report = check_gradients((net.forward, net.backward), X)
    assert report.verdict == "undecided"
    assert "no gradient was found of b" in report.problems[0]


class Regression:
    def __init__(self):
        self.w = np.random.default_rng(0).standard_normal(4)

    def loss(self, X, y):
        return 0.5 * np.sum((X @ self.w - y) ** 2)

    def gradient(self, X, y):
        return {"w": 2.0 * X.T @ (X @ self.w - y)}

    def loss_and_grads(self, X, y):
        return self.loss(X, y), self.gradient(X, y)


@pytest.mark.parametrize("pair", [lambda r: (r.loss, r.gradient), lambda r: r.loss_and_grads])
def test_methods_of_a_loss_are_checked_with_the_parameters(pair):
    report = check_gradients(pair(Regression()), X, np.ones(5))
    assert report["w"].verdict == "wrong", report
    assert report["w"].cause in ("factor", "batch_mean_missing")


def test_functions_that_are_bound_to_an_object_under_no_name_stay_what_they_are():
    net = Net()
    forward, backward = (MethodType(lambda self, x: x @ self.W, net), MethodType(lambda self, g: g @ self.W.T, net))
    found = owned(forward, backward)
    assert (found.forward, found.backward) == (forward, backward)
    assert found.owner is not net


def test_an_object_whose_functions_refer_to_others_is_made_float64_with_these():
    held = {"W": np.ones(2, np.float32)}
    target = SimpleNamespace(forward=lambda x: x * held["W"], b=np.zeros(2, np.float32))
    assert made_ours(target) is target
    assert held["W"].dtype == target.b.dtype == np.float64
