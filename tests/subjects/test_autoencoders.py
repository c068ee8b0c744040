"""Networks that compare what they make with their own input, and are given no other targets, or those."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)) / 2


class Parts:
    def __init__(self, wrong=1.0):
        self.W, self.b, self.c, self.wrong = W.copy(), np.zeros(3), np.zeros(4), wrong

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W + self.b)
        self.out = self.h @ self.W.T + self.c
        return self.out

    def differentiate(self, x):
        d = (self.out - x) / len(x)
        dz = d @ self.W * (1 - self.h**2)
        self.dW, self.db, self.dc = x.T @ dz + self.wrong * d.T @ self.h, dz.sum(axis=0), d.sum(axis=0)


class Autoencoder(Parts):
    def backward(self):
        self.differentiate(self.x)


class Learning(Autoencoder):
    lr = 0.1

    def backward(self):
        super().backward()
        self.W, self.b, self.c = self.W - self.lr * self.dW, self.b - self.lr * self.db, self.c - self.lr * self.dc


class TakesItByThatName(Parts):
    def backward(self, x):
        self.differentiate(x)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Autoencoder, Learning, TakesItByThatName])
@pytest.mark.parametrize("targets", [None, X], ids=["no targets", "the input"])
@pytest.mark.parametrize("wrong", [1.0, 0.0])
def test_the_target_of_an_autoencoder_is_its_input_at_every_point(kind, targets, wrong):
    report = check_gradients(kind(wrong), X, targets)
    assert [entry.name for entry in report.entries] == ["W", "b", "c"]
    assert [entry.name for entry in report.entries if entry.verdict != "right"] == ["W"] * (wrong != 1.0)
    said = "backward takes no gradient: the targets are the input itself, as those of an autoencoder"
    assert (said in report.notes) == (targets is None)


def test_gradients_of_no_loss_of_the_input_are_wrong_without_targets():
    class Other(Autoencoder):
        def backward(self):
            super().backward()
            self.dW, self.db, self.dc = self.dW**2, self.db**2, self.dc**2

    report = check_gradients(Other(), X)
    assert report.verdict == "wrong"
    assert not any("autoencoder" in note for note in report.notes)


class Training:
    """One with a step of its input alone, which may move V before it differentiates the rest."""

    lr = 0.1

    def __init__(self, wrong=1.0, early=False):
        self.W, self.b, self.V, self.c = W.copy(), np.zeros(3), W.T.copy(), np.zeros(4)
        self.wrong, self.early = wrong, early

    def reconstruct(self, x):
        return np.tanh(x @ self.W + self.b) @ self.V + self.c

    def train(self, x):
        h = np.tanh(x @ self.W + self.b)
        d = (h @ self.V + self.c - x) / len(x)
        before = d @ self.V.T
        self.V -= self.lr * h.T @ d
        dz = (d @ self.V.T if self.early else before) * (1 - h**2)
        self.W -= self.lr * self.wrong * x.T @ dz
        self.b -= self.lr * dz.sum(axis=0)
        self.c -= self.lr * d.sum(axis=0)


class Saying(Training):
    def loss(self, x):
        return np.sum((self.reconstruct(x) - x) ** 2) / 2 / len(x)


class Returning(Training):
    def train(self, x):
        loss = np.sum((self.reconstruct(x) - x) ** 2) / 2 / len(x)
        super().train(x)
        return loss


@pytest.mark.parametrize("kind", [Training, Saying, Returning])
@pytest.mark.parametrize("targets", [None, X], ids=["no targets", "the input"])
def test_a_step_may_take_the_input_alone(kind, targets):
    assert check_gradients(kind(), X, targets)
    report = check_gradients(kind(wrong=2.0), X, targets)
    assert [entry.name for entry in report.entries if entry.verdict != "right"] == ["W"]


def test_weights_that_a_step_has_moved_already_are_told():
    report = check_gradients(Training(early=True), X)
    assert [entry.verdict for entry in report.entries] == ["wrong", "wrong", "right", "right"]
    assert [report[name].cause for name in ("W", "b")] == ["updated_too_early"] * 2


class ComparesByName(Parts):
    def backward(self, X_reconstructed, X_true):
        self.differentiate(X_true + (X_reconstructed - self.out))
        return self.dW, self.db, self.dc


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (0.0, "wrong")])
def test_what_is_made_anew_and_what_is_true_of_it_are_known_by_their_names(wrong, verdict):
    report = check_gradients(ComparesByName(wrong), X, X)
    assert (report["W"].verdict, report["c"].verdict) == (verdict, "right"), report
    with pytest.raises(TypeError, match="takes X_true: pass the targets too"):
        check_gradients(ComparesByName(), X)
