"""A parameter that backward takes for the number that it begins with: said, where it is moved off that number."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(2)
X = RNG.standard_normal((6, 4))


class PReLU:
    """One slope below 0; backward uses the parameter, or the number that it begins with."""

    def __init__(self, first):
        self.a, self.first = np.array(0.25), first

    def forward(self, x):
        self.x = x
        return np.where(x > 0.0, x, self.a * x)

    def backward(self, grad):
        self.da = (grad * np.minimum(self.x, 0.0)).sum()
        return grad * np.where(self.x > 0.0, 1.0, 0.25 if self.first else self.a)


class Softplus:
    """A dense layer with a bias of zeros, and the derivative of softplus at z, or at z without the bias."""

    def __init__(self, first):
        self.W, self.b, self.first = RNG.standard_normal((4, 3)), np.zeros(3), first

    def forward(self, x):
        self.x, self.z = x, x @ self.W + self.b
        return np.log1p(np.exp(self.z))

    def backward(self, grad):
        dz = grad / (1.0 + np.exp(-(self.x @ self.W if self.first else self.z)))
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


@pytest.mark.parametrize(("layer", "wrong", "moved"), [(PReLU, ["x"], "a"), (Softplus, ["x", "W", "b"], "b")])
def test_a_gradient_that_stays_what_it_was_where_a_parameter_moves_leaves_it_out(layer, wrong, moved):
    assert check_gradients(layer(first=False), X).ok
    report = check_gradients(layer(first=True), X)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == wrong
    for name in wrong:
        found = diagnosed(report[name])
        # Once "the derivative of another activation", or none of the known mistakes.
        assert (found.cause, found.confident) == ("first_value", True)
        assert f"where {moved} is moved, and nothing else, the claimed gradient stays what it was" in found.evidence


class Twice(Softplus):
    def backward(self, grad):
        dz = grad / (1.0 + np.exp(-self.z)) * np.exp(np.abs(self.b)).mean()
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


def test_one_that_moves_and_is_wrong_has_another_cause():
    report = check_gradients(Twice(first=False), X)
    assert {entry.verdict for entry in report.entries} == {"wrong"}
    assert {entry.cause for entry in report.entries} == {"factor"}


class Elu:
    """With a setting of 1, and what backward has of it."""

    def __init__(self, alpha, slope):
        self.alpha, self.slope = alpha, slope

    def forward(self, x):
        self.x = x
        return np.where(x > 0.0, x, self.alpha * (np.exp(x) - 1.0))

    def backward(self, grad_output):
        return grad_output * np.where(self.x > 0.0, 1.0, self.slope(self.alpha) * np.exp(self.x))


@pytest.mark.parametrize(("slope", "told"), [(lambda alpha: alpha, False), (lambda _: 1.0, True)])
def test_a_setting_of_one_that_backward_leaves_out_is_told_and_is_no_mistake_at_one(slope, told):
    x = np.random.default_rng(0).standard_normal((4, 3))
    report = check_gradients(Elu(1.0, slope), x)
    text = "x: right where alpha is 1, and wrong where it alone is 1.25: backward leaves it out,"
    assert report.verdict == "right"
    assert any(note.startswith(text) for note in report.notes) == told
    assert check_gradients(Elu(1.25, slope), x).verdict == ("wrong" if told else "right")
