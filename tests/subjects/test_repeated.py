"""Arguments that are one array, as of self-attention, and arguments that have the same numbers by chance."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4)), RNG.standard_normal((5, 4))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Attention:
    """One whose backward pass has a gradient for each array that it was given."""

    def __init__(self, wrong=1.0):
        self.W, self.wrong = np.random.default_rng(1).standard_normal((4, 4)), wrong

    def forward(self, q, k, v):
        self.q, self.k, self.v = q, k, v
        self.p = softmax(q @ self.W @ k.T)
        return self.p @ v

    def backward(self, grad_output):
        dp = grad_output @ self.v.T
        ds = self.p * (dp - (dp * self.p).sum(axis=1, keepdims=True))
        self.dW = self.q.T @ ds @ self.k
        dq, dk, dv = ds @ self.k @ self.W.T, ds.T @ self.q @ self.W, self.wrong * self.p.T @ grad_output
        if np.array_equal(self.q, self.k):
            return dq + dk + dv
        return dq, dk + dv


class OfThree(Attention):
    """One with a gradient for each argument."""

    def backward(self, grad_output):
        dp = grad_output @ self.v.T
        ds = self.p * (dp - (dp * self.p).sum(axis=1, keepdims=True))
        self.dW = self.q.T @ ds @ self.k
        return ds @ self.k @ self.W.T, ds.T @ self.q @ self.W, self.wrong * self.p.T @ grad_output


@pytest.mark.parametrize("inputs", [(X, X, X), (X, Y, Y)], ids=["self", "cross"])
def test_a_gradient_for_each_array_is_that_of_all_arguments_that_it_is(inputs):
    report = check_gradients(Attention(), inputs)
    assert report.verdict == "right", report
    assert any("are one array" in note for note in report.notes)
    assert check_gradients(Attention(1.5), inputs).verdict == "wrong"


@pytest.mark.parametrize("inputs", [(X, X, X), (X, Y, Y), (X, X.copy(), X.copy())])
def test_a_gradient_for_each_argument_is_checked_by_itself(inputs):
    report = check_gradients(OfThree(), inputs)
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["q", "k", "v", "W"]
    assert check_gradients(OfThree(1.5), inputs)["v"].verdict == "wrong"


def attend(q, k, v):
    return Attention().forward(q, k, v), (q, k, v)


def attend_backward(grad_output, cache):
    layer = Attention()
    layer.forward(*cache)
    return layer.backward(grad_output)


def test_the_same_holds_of_functions():
    report = check_gradients((attend, attend_backward), (X, X, X))
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["q"]


def test_one_array_twice_in_a_product():
    def f(a, b):
        return a * b, (a, b)

    def both(grad_output, cache):
        return grad_output * cache[1], grad_output * cache[0]

    def one(grad_output, cache):
        return 2 * grad_output * cache[0]

    assert [entry.name for entry in check_gradients((f, both), (X, X)).entries] == ["a", "b"]
    report = check_gradients((f, one), (X, X))
    assert report.verdict == "right", report
    assert report.notes == ["a and b are one array: a stands for all of them"]
