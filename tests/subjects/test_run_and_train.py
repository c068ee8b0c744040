"""A network that is run and trained: its backward pass wants sums to add to, which its step of training gives it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal(6)


class Network:
    """One that goes through the rows one by one, and adds up by how much its weights are to grow."""

    def __init__(self, wrong=1.0):
        rng = np.random.default_rng(1)
        self.W_in, self.W_out = rng.standard_normal((4, 3)), rng.standard_normal((3, 1))
        self.wrong, self.lr = wrong, 0.5

    def train(self, features, targets):
        steps_in, steps_out = np.zeros(self.W_in.shape), np.zeros(self.W_out.shape)
        for x, y in zip(features, targets, strict=True):
            out, hidden = self.forward_pass_train(x)
            steps_in, steps_out = self.backpropagation(out, hidden, x, y, steps_in, steps_out)
        self.update_weights(steps_in, steps_out, len(features))

    def forward_pass_train(self, x):
        hidden = 1 / (1 + np.exp(-x @ self.W_in))
        return hidden @ self.W_out, hidden

    def backpropagation(self, out, hidden, x, y, steps_in, steps_out):
        error = y - out
        steps_in += x[:, None] * (self.W_out @ error * self.wrong * hidden * (1 - hidden))
        steps_out += hidden[:, None] * error
        return steps_in, steps_out

    def update_weights(self, steps_in, steps_out, n):
        self.W_in += self.lr * steps_in / n
        self.W_out += self.lr * steps_out / n

    def run(self, features):
        return 1 / (1 + np.exp(-features @ self.W_in)) @ self.W_out


@pytest.mark.parametrize("targets", [Y, Y[:, None]], ids=["flat", "a column"])
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_run_is_its_forward_pass_and_train_a_step(targets, wrong, verdict):
    report = check_gradients(Network(wrong), X, targets)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W_in", verdict), ("W_out", "right")], report
    assert any("sum((a - y)^2) / 2 / n" in note for note in report.notes)
