"""Gradients that are kept for each step of a sequence."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

XS = np.random.default_rng(12).normal(size=(4, 3))


class Summing:
    """A running sum of W x, whose gradient has a part for each step."""

    factor, stacked = 1.0, False

    def __init__(self):
        self.W = np.random.default_rng(13).normal(size=(3, 2))

    def forward(self, xs):
        self.xs = xs
        return np.cumsum(xs @ self.W, axis=0)

    def backward(self, grads):
        later = np.cumsum(grads[::-1], axis=0)[::-1]
        steps = [self.factor * np.outer(x, one) for x, one in zip(self.xs, later, strict=True)]
        self.dW = np.array(steps) if self.stacked else steps
        return later @ self.W.T


class Updating(Summing):
    def update(self, lr):
        self.W = self.W - lr * np.sum(self.dW, axis=0)


class OneByOne(Summing):
    stacked = True

    def step(self, lr):
        for one in self.dW:
            self.W -= lr * one


class Averaging(Summing):
    stacked = True

    def update(self, lr):
        self.W = self.W - lr * np.mean(self.dW, axis=0)


class TheFirst(Summing):
    """It adds up something else."""

    stacked = True

    def update(self, lr):
        self.size = np.sum(np.square(self.dW))
        self.W = self.W - lr * self.dW[0]


@pytest.mark.parametrize("kind", [Updating, OneByOne, Averaging])
def test_they_are_added_up_as_what_updates_does(kind, monkeypatch):
    report = check_gradients(kind(), XS)
    assert report["W"].verdict == "right"
    assert "there is a gradient for each of 4 steps" in str(report.notes)
    monkeypatch.setattr(kind, "factor", 1.5)
    assert check_gradients(kind(), XS)["W"].verdict == "wrong"


def test_nobody_adds_them_up():
    assert check_gradients(TheFirst(), XS)["W"].verdict == "wrong"
    report = check_gradients(Summing(), XS)
    assert report.verdict == "undecided"
    assert "no method that updates adds them up" in str(report.problems)
