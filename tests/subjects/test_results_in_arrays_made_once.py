"""Layers that make the arrays for their results once, and write into them at each call: these are no parameters."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(7)
X = RNG.standard_normal((6, 4))


class Buffered:
    """A dense layer whose numbers lie in arrays that it makes when it is made, each beside that of its gradient."""

    def __init__(self, wrong=1.0, silent=False):
        self.W, self.b, self.wrong = RNG.standard_normal((4, 3)), RNG.standard_normal(3), wrong
        self.z, self.dz, self.dx = np.zeros((6, 3)), np.zeros((6, 3)), np.zeros((6, 4))
        self.dW, self.db, self.silent = np.zeros((4, 3)), np.zeros(3), silent

    def forward(self, x):
        self.x = x
        np.matmul(x, self.W, out=self.z)
        self.z += 0.0 if self.silent else self.b
        return np.maximum(self.z, 0.0)

    def backward(self, grad):
        self.dz[...] = grad * (self.z > 0.0)
        np.matmul(self.x.T, self.dz, out=self.dW)
        self.db[...] = self.wrong * self.dz.sum(axis=0)
        return np.matmul(self.dz, self.W.T, out=self.dx)


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_an_array_that_forward_writes_anew_is_no_parameter(wrong):
    # Once "z: the output does not depend on it, and another gradient is claimed".
    report = check_gradients(Buffered(wrong), X)
    assert [entry.name for entry in report.entries] == ["x", "W", "b"]
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == (["b"] if wrong != 1.0 else [])
    assert report.ok == (wrong == 1.0), report


def test_one_that_forward_leaves_alone_is_still_asked_for_its_gradient():
    report = check_gradients(Buffered(silent=True), X)
    assert report["b"].verdict == "wrong"
    assert report["b"].cause == "no_influence"
