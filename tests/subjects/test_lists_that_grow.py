"""Networks that append what they compute to lists, which only those who train empty, if anybody does."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(1).normal(size=(6, 4))


class Appending:
    """Two layers; ``end`` says whether the pass backward reads what the last pass forward added, or the first one."""

    def __init__(self, end, factor):
        rng = np.random.default_rng(0)
        self.W, self.b = [rng.normal(size=(4, 5)), rng.normal(size=(5, 3))], [np.zeros(5), np.zeros(3)]
        self.kept, self.dW, self.db = [], [], []
        self.end, self.factor = end, factor

    def forward(self, x):
        hidden = np.tanh(x @ self.W[0] + self.b[0])
        self.kept += [x, hidden]
        return hidden @ self.W[1] + self.b[1]

    def backward(self, grad_output):
        x, hidden = self.kept[-2:] if self.end else self.kept[:2]
        self.dW.append(self.factor * hidden.T @ grad_output)
        self.db.append(grad_output.sum(0))
        grad_hidden = (grad_output @ self.W[1].T) * (1.0 - hidden * hidden)
        self.dW.append(x.T @ grad_hidden)
        self.db.append(grad_hidden.sum(0))
        return grad_hidden @ self.W[0].T


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize(("factor", "wrong"), [(1.0, []), (2.0, ["W[1]"])])
def test_each_evaluation_begins_with_lists_as_they_were_and_that_they_grow_is_said(end, factor, wrong):
    report = check_gradients(Appending(end, factor), X)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == wrong, report
    assert {"W[0]", "W[1]", "b[0]", "b[1]"} <= {entry.name for entry in report.entries}
    assert any("kept: longer after every call, as nothing there empties it" in one for one in report.warnings)


class Emptying(Appending):
    def forward(self, x):
        self.kept, self.dW, self.db = [], [], []
        return super().forward(x)


def test_lists_that_are_emptied_are_left_as_they_are():
    report = check_gradients(Emptying(False, 1.0), X)
    assert report.ok, report
    assert not report.warnings


class Stacking:
    """A layer that pops what forward has pushed, which is used twice."""

    def __init__(self):
        self.W, self.stack = np.random.default_rng(0).normal(size=(4, 4)), []

    def forward(self, x):
        self.stack.append(x)
        return x @ self.W

    def backward(self, grad_output):
        x = self.stack.pop()
        self.dW = x.T @ grad_output
        return grad_output @ self.W.T


def test_what_backward_pops_does_not_grow():
    report = check_gradients(Stacking(), X)
    assert report.ok, report
    assert not report.warnings


class LastFirst(Appending):
    """Of weights with a row for each output, as torch's; their gradients are those of the transpose."""

    def __init__(self, end, factor):
        super().__init__(end, factor)
        self.W = [W.T for W in self.W]

    def forward(self, x):
        self.W, own = [W.T for W in self.W], self.W
        output = super().forward(x)
        self.W = own
        return output

    def backward(self, grad_output):
        self.W, own = [W.T for W in self.W], self.W
        super().backward(grad_output)
        self.W = own

    def update(self, lr):
        for W, b, dW, db in zip(self.W, self.b, self.dW[::-1], self.db[::-1], strict=True):
            W -= lr * dW.T
            b -= lr * db


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_gradients_of_transposes_may_be_those_of_the_last_layer_first(factor):
    report = check_gradients(LastFirst(False, factor), X)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["W[1]"] * (factor != 1.0), report
    assert any("kept transposed, and update turns them" in note for note in report.notes)
