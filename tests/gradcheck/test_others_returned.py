"""Backward passes that take the gradient of something else than the first that forward returns."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.calls import _is_made_probabilities

X = np.random.default_rng(0).standard_normal((5, 4))


class Words:
    """Probabilities, what is hidden, and the scores, of which backward takes the gradient; it updates."""

    def __init__(self, factor=1.0):
        r = np.random.default_rng(1)
        self.W1, self.W2, self.lr, self.factor = r.standard_normal((4, 3)), r.standard_normal((3, 6)), 0.1, factor

    def forward(self, x):
        h = x @ self.W1
        u = h @ self.W2
        e = np.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True), h, u

    def backward(self, e, h, x):
        dW2, dW1 = h.T @ e, x.T @ (e @ self.W2.T)
        self.W1 = self.W1 - self.lr * dW1 * self.factor
        self.W2 = self.W2 - self.lr * dW2


def test_the_gradients_by_scores_that_forward_returns_beside_their_softmax_are_named():
    report = check_gradients(Words(), X)
    for name in ("W1", "W2"):
        diagnosis = report[name].diagnosis
        assert diagnosis is not None
        assert diagnosis.cause == "fused_activation"
        assert "that of u, which forward returns beside its output at all" in diagnosis.evidence


def test_they_are_those_of_the_scores_or_they_are_not():
    diagnosis = check_gradients(Words(1.7), X)["W1"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause != "fused_activation"


def test_of_what_is_no_probability_the_derivative_is_left_out():
    def forward(x, w, v):
        h = np.tanh(x @ w)
        z = h @ v
        kept = (x, h, v, z)
        return np.cos(z) * z, kept

    def backward(d, cache):
        x, h, v, _ = cache
        return x.T @ (d @ v.T * (1 - h**2)), h.T @ d

    r = np.random.default_rng(2)
    given = X, r.standard_normal((4, 3)), r.standard_normal((3, 2))
    diagnosis = check_gradients((lambda w, v: forward(X, w, v), backward), given[1:])["w"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "derivative_missing"
    assert "which forward returns beside its output at all 12" in diagnosis.evidence


@pytest.mark.parametrize("axis", [0, 1])
def test_what_makes_probabilities_of_scores(axis):
    p = np.exp(X) / np.exp(X).sum(axis=axis, keepdims=True)
    assert _is_made_probabilities(p, X)
    assert _is_made_probabilities(1 / (1 + np.exp(-X)), X)
    assert not _is_made_probabilities(1.01 * p, X)
