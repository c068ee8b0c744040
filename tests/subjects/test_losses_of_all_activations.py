"""Networks whose forward pass returns a list of all activations, of which the loss takes the last by itself."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(8)
X, Y = RNG.standard_normal((5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]


class Network:
    def __init__(self, wrong=1.0):
        self.w, self.v = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))
        self.alpha, self.wrong = 0.1, wrong

    def feedforward(self, x):
        hidden = np.tanh(x @ self.w)
        return [x, hidden, 1 / (1 + np.exp(-hidden @ self.v))]

    def compute_loss(self, y, predictions):
        last = predictions[-1]
        return np.sum(-y * np.log(last + 1e-7) - (1 - y) * np.log(1 - last + 1e-7)) / len(y)

    def backpropagate(self, activations, y):
        x, hidden, last = activations
        delta = (-y / (last + 1e-7) + (1 - y) / (1 - last + 1e-7)) * last * (1 - last) / len(y)
        before = delta @ self.v.T * (1 - self.wrong * hidden**2)
        self.v = self.v - self.alpha * hidden.T @ delta
        self.w = self.w - self.alpha * x.T @ before


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (0.0, "wrong")])
def test_they_are_judged_by_that_loss(wrong, verdict):
    report = check_gradients(Network(wrong), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"w": verdict, "v": "right"}
    assert not any("not written" in note for note in report.notes)
