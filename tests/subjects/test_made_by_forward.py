"""Parameters that a first forward pass makes, in code that also keeps a state from call to call."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(1).standard_normal((4, 5))


class Cell:
    """One step of a recurrent net: its weights wait for an input, its states are kept in a list or an attribute."""

    def __init__(self, in_a_list, factor):
        self.in_a_list, self.factor, self.params, self.grads, self.states = in_a_list, factor, {}, {}, []
        self.h = np.zeros((1, 3))

    def forward(self, x):
        if not self.params:
            rng = np.random.default_rng(0)
            self.params = {"W": rng.standard_normal((x.shape[1], 3)), "b": rng.standard_normal(3)}
        before = (self.states or [np.zeros((1, 3))])[-1] if self.in_a_list else self.h
        self.x, self.h = x, np.tanh(x @ self.params["W"] + self.params["b"] + before)
        if self.in_a_list:
            self.states.append(self.h)
        return self.h

    def backward(self, grad_output):
        g = grad_output * (1.0 - self.h**2)
        self.grads = {"W": self.factor * self.x.T @ g, "b": g.sum(axis=0)}
        return g @ self.params["W"].T


@pytest.mark.slow
@pytest.mark.parametrize("in_a_list", [True, False])
def test_they_are_checked_and_the_states_are_not(in_a_list):
    report = check_gradients(Cell(in_a_list, 1.0), X)
    assert report.ok, report
    assert [entry.name for entry in report.entries] == ["x", "params['W']", "params['b']"]
    # Once "right": before the first call there are no weights, and every evaluation began there.
    report = check_gradients(Cell(in_a_list, 2.0), X)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["params['W']"]


class Scaled:
    """x times a number that becomes an array with the first update: its gradient has an entry for each feature."""

    def __init__(self, axes, wrong=1.0):
        self.alpha, self.axes, self.wrong = 0.25, axes, wrong

    def forward(self, x):
        self.x = x
        return np.tanh(self.alpha * x)

    def backward(self, grad):
        dz = grad * (1 - np.tanh(self.alpha * self.x) ** 2)
        self.dalpha = self.wrong * (dz * self.x if self.axes is None else (dz * self.x).sum(axis=self.axes))
        return dz * self.alpha


@pytest.mark.parametrize(
    ("axes", "wrong", "verdict"),
    [
        ((0, 1), 1.0, "right"),
        ((0, 1), 2.0, "wrong"),
        (0, 1.0, "right"),
        (0, 2.0, "wrong"),
        (1, 1.0, "wrong"),  # an entry for each sample
        (None, 1.0, "wrong"),  # not summed at all
    ],
)
def test_a_number_may_have_a_gradient_for_each_feature(axes, wrong, verdict):
    report = check_gradients(Scaled(axes, wrong), np.linspace(-2.0, 2.0, 12).reshape(4, 3))
    assert (report["alpha"].verdict, report["x"].verdict) == (verdict, "right"), report
    told = [
        note for note in report.notes if note.startswith("alpha is one number, of which a gradient for each feature")
    ]
    assert len(told) == (axes == 0)


class Dense:
    """Its parameters are made for a number of features, or for the shape of a sample; it is told whether it trains."""

    def __init__(self, of_shape, wrong=1.0):
        self.of_shape, self.wrong, self.params, self.grads = of_shape, wrong, {}, {}

    def init_params(self, given):
        n = given[0] if self.of_shape and len(given) == 1 else range(given)[-1] + 1
        self.params["W"] = np.random.default_rng(0).standard_normal((n, 3))

    def forward(self, inputs, is_training):
        self.inputs, self.trains = inputs, is_training
        return inputs @ self.params["W"]

    def backward(self, grad):
        self.grads["W"] = self.wrong * self.inputs.T @ grad
        return grad @ self.params["W"].T


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("of_shape", [False, True])
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_they_are_made_for_what_the_method_takes_and_only_where_there_are_none(built, of_shape, wrong, verdict):
    layer = Dense(of_shape, wrong)
    if built:
        layer.params["W"] = np.ones((5, 2))
    report = check_gradients(layer, X)
    assert report["W"].verdict == verdict
    assert report["W"].shape == ((5, 2) if built else (5, 3))


def test_what_no_shape_helps_tells_why_it_fails():
    class Fails(Dense):
        def init_params(self, given):
            raise ValueError(f"not {given}")

    with pytest.raises(KeyError, match="W"):
        check_gradients(Fails(False), X)
