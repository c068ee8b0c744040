"""Steps of training that move the arrays that they are given, beside the loss of which these are."""

from argparse import Namespace

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, THETA, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((4, 3)), np.array([0, 1, 2, 2, 1, 0])


def loss(X, y, theta):
    z = X @ theta
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y])


def step(X, y, theta, lr=0.1, batch=2):
    """The mean of the steps by batches that an epoch makes at once."""
    total = np.zeros_like(theta)
    for i in range(0, len(X), batch):
        z = np.exp(X[i : i + batch] @ theta)
        z /= z.sum(axis=1, keepdims=True)
        z[np.arange(len(z)), y[i : i + batch]] -= 1.0
        total += X[i : i + batch].T @ z
    theta[:, :] -= lr * total / len(X)


def slipped(X, y, theta, lr=0.1):
    other = theta.copy()
    step(X, y, other, lr)
    theta += 1.5 * (other - theta)


@pytest.mark.parametrize(("function", "verdict"), [(step, "right"), (slipped, "wrong")])
def test_the_step_over_its_rate_is_the_gradient_of_the_array_that_it_moves(function, verdict):
    theta = THETA.copy()
    report = check_gradients((loss, function), (X, Y, theta))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("theta", verdict)], report
    assert report.warnings == [
        "backward changes theta: it updates its parameters; judged are the gradients at the values before"
    ]
    np.testing.assert_array_equal(theta, THETA)


def cost(X, y, w, b):
    return np.mean((X @ w + b - y) ** 2) / 2


def moved(X, y, w, b, lr):
    error = (X @ w + b - y) / len(y)
    w = w - lr * X.T @ error
    b = b - lr * error.sum(axis=0)
    return w, b


def moved_in_place(X, y, w, lr, b):
    w -= lr * X.T @ ((X @ w + b - y) / len(y))
    return w


def moved_up(X, y, w, b, lr=0.1):
    w = w + lr * X.T @ ((X @ w + b - y) / len(y))
    return w


def moved_by_a_number(X, y, w, b):
    w = w - 0.1 * X.T @ ((X @ w + b - y) / len(y))
    return w


def gradient_by_that_name(X, y, w, b):
    w = X.T @ ((X @ w + b - y) / len(y))
    return w


@pytest.mark.parametrize(
    ("function", "verdicts"),
    [
        (moved, {"w": "right", "b": "right"}),
        (moved_in_place, {"w": "right"}),
        (moved_up, {"w": "wrong"}),
        (moved_by_a_number, {}),
        (gradient_by_that_name, {"w": "right"}),
    ],
)
def test_what_is_returned_moved_is_no_gradient_but_tells_it_by_the_rate(function, verdicts):
    report = check_gradients((cost, function), (X, Y[:, np.newaxis] * 1.0, THETA[:, :1], np.array([0.5])))
    assert {entry.name: entry.verdict for entry in report.entries} == verdicts, report
    if not verdicts:
        assert "the rate of its steps as an argument" in report.problems[0]


class Pairs:
    """Two tables of words; a step for a word, and one beside it or not, by a rate that it is given."""

    def __init__(self, off=1.0):
        self.A, self.B, self.off = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3)), off

    def train_pair(self, word, beside, others, lr):
        a, b, c = self.A[word], self.B[beside], self.B[others]
        p, q = 1 / (1 + np.exp(-a @ b)), 1 / (1 + np.exp(-c @ a))
        loss = -np.log(p) - np.log(1 - q).sum()
        d = (p - 1) * b + q @ c * self.off
        self.B[beside] -= lr * (p - 1) * a
        np.add.at(self.B, others, -lr * q[:, np.newaxis] * a)
        self.A[word] -= lr * d
        return loss


SETTINGS, CONFIG = Namespace(learning_rate=0.05), {"lr": 0.05}


class BySettings(Pairs):
    def train_step(self, word, beside, others):
        return self.train_pair(word, beside, others, SETTINGS.learning_rate)


class ByADict(Pairs):
    def train_step(self, word, beside, others):
        return self.train_pair(word, beside, others, CONFIG["lr"])


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (0.0, "wrong")])
def test_a_rate_that_is_given_or_among_settings_around_is_known(off, verdict):
    words = 2, 3, np.array([1, 4, 4])
    assert check_gradients(Pairs(off).train_pair, (*words, 0.1)).verdict == verdict
    for kind in (BySettings, ByADict):
        report = check_gradients(kind(off).train_step, words)
        assert {entry.name: entry.verdict for entry in report.entries} == {"A": verdict, "B": "right"}, report
        assert not any("no learning rate was found" in note for note in report.notes)
