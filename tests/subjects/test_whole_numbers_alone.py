"""What reads whole numbers, given as a list or as a number; and a claim that takes no gradient of a loss."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.inputs import drawn


class Reader:
    """A recurrent network that reads the indices of words."""

    def __init__(self, wrong=False):
        r = np.random.default_rng(0)
        self.E, self.W, self.wrong = r.standard_normal((6, 3)), r.standard_normal((3, 3)), wrong

    def forward(self, words):
        self.words, self.h = words, [np.zeros(3)]
        for word in words:
            self.h.append(np.tanh(self.E[word] + self.h[-1] @ self.W))
        return self.h[-1]

    def backward(self, d):
        self.dE, self.dW = np.zeros_like(self.E), np.zeros_like(self.W)
        for t in reversed(range(len(self.words))):
            d = d * (1 - self.h[t + 1 - self.wrong] ** 2)
            self.dE[self.words[t]] += d
            self.dW += np.outer(self.h[t], d)
            d = self.W @ d


@pytest.mark.parametrize(("wrong", "verdict"), [(False, "right"), (True, "wrong")])
def test_a_list_of_whole_numbers_is_read_as_indices_where_the_code_takes_no_floats(wrong, verdict):
    assert check_gradients(Reader(wrong), [1, 3, 0, 5, 3]).verdict == verdict


class SkipGram:
    def __init__(self, off=0.0):
        r = np.random.default_rng(0)
        self.W, self.U, self.lr, self.off = r.standard_normal((7, 3)), r.standard_normal((3, 7)), 0.1, off

    def step(self, word, other):
        h = self.W[word].copy()
        p = np.exp(h @ self.U) / np.exp(h @ self.U).sum()
        e = p - np.eye(7)[other]
        self.W[word] -= self.lr * self.U @ (e + self.off * p)
        self.U -= self.lr * np.outer(h, e)
        return -np.log(p[other])


@pytest.mark.parametrize(("off", "verdict"), [(0.0, "right"), (1.0, "wrong")])
def test_one_whole_number_is_an_index_too(off, verdict):
    assert check_gradients(SkipGram(off), 2, 5).verdict == verdict


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_gradients_of_a_loss_may_be_given_by_a_function_without_arguments(off, verdict):
    w, x = np.array([0.3, -0.5]), np.linspace(-1, 1, 8).reshape(4, 2)
    report = check_gradients(lambda: np.sum(np.exp(x @ w)), lambda: off * x.T @ np.exp(x @ w), w=w)
    assert report.verdict == verdict


def test_a_whole_number_on_the_command_line_is_no_shape():
    asked = drawn("k=int(2)")
    assert (asked.name, asked.made(None, {})) == ("k", 2)


class NotBuilt(Reader):
    def backward(self, d):
        return d.reshape(-1, vars(self)["width"])


def test_of_what_reads_indices_the_error_is_told_that_comes_with_indices():
    with pytest.raises(KeyError, match="width"):
        check_gradients(NotBuilt(), np.array([1, 3, 0]))


class Factors:
    """Users and items by their features; a step for each rating, by a number that no name tells to be a rate."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.U, self.V, self.epsilon = rng.standard_normal((3, 2)), rng.standard_normal((3, 2)), 0.1

    def loss(self, ratings):
        return sum((r - self.U[i] @ self.V[j]) ** 2 for i, j, r in ratings) / 2

    def update(self, ratings):
        for i, j, r in ratings:
            error = self.U[i] @ self.V[j] - r
            u, v = error * self.V[j], error * self.U[i]
            self.U[i] = self.U[i] - self.epsilon * u
            self.V[j] = self.V[j] - self.epsilon * v


def test_steps_for_each_sample_are_judged_where_they_are_those_of_a_gradient():
    factors = Factors()
    ratings = np.array([[0, 1, 3], [1, 2, 4], [2, 0, 1]])
    assert check_gradients((factors.loss, factors.update), ratings).verdict == "right"
    # Where two have a user in common the second step is from where the first has led to: once a KeyError.
    report = check_gradients((factors.loss, factors.update), np.concatenate([ratings, [[0, 0, 5]]]))
    assert report.verdict == "undecided"
    assert not report.entries
