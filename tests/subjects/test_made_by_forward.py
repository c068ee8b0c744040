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
