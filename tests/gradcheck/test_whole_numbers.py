"""An input of whole numbers: floats, unless the code needs indices."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
IDS = np.array([1, 4, 4, 0])


class Embedding:
    def __init__(self, look, times=1.0):
        self.W, self.look, self.times = RNG.standard_normal((6, 3)), look, times

    def forward(self, ids):
        self.ids = ids
        return self.look(self.W, ids)

    def backward(self, grad):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.ids, self.times * grad)


@pytest.mark.parametrize(
    "look",
    [
        lambda W, ids: W[ids],
        lambda W, ids: np.take(W, ids, axis=0),
        lambda W, ids: np.eye(6)[ids] @ W,
        lambda W, ids: np.stack([W[i] for i in ids]),
    ],
    ids=["brackets", "take", "one-hot", "one by one"],
)
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_indices(look, times, verdict):
    report = check_gradients(Embedding(look, times), IDS)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W", verdict)]


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_numbers(times, verdict):
    report = check_gradients((lambda x: x**2, lambda x, g: times * 2.0 * x * g), np.array([1, 2, 3]))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", verdict)]


class Xor:
    """Outputs in a column, targets in a row, a step of training: as in a book's first network."""

    def __init__(self, times=1.0):
        self.w, self.v, self.lr, self.times = RNG.standard_normal((4, 2)), RNG.standard_normal((1, 4)), 0.5, times

    def query(self, inputs):
        return np.tanh(self.v @ np.tanh(self.w @ np.array(inputs, ndmin=2).T))

    def train(self, inputs, targets):
        x, t = np.array(inputs, ndmin=2).T, np.array(targets, ndmin=2)
        h = np.tanh(self.w @ x)
        o = np.tanh(self.v @ h)
        d = (o - t) * (1.0 - o**2)
        e = self.v.T @ d * (1.0 - h**2)
        self.v = self.v - self.lr * d @ h.T
        self.w = self.w - self.lr * self.times * e @ x.T


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
@pytest.mark.parametrize("targets", [np.array([0, 1, 1, 0]), np.array([[0], [1], [1], [0]])])
def test_a_truth_table(targets, times, verdict):
    table = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    report = check_gradients(Xor(times), table, targets.T)
    assert {entry.name: entry.verdict for entry in report.entries} == {"v": "right", "w": verdict}


def test_an_error_of_another_kind_comes_through():
    def fails(x):
        raise KeyError(x.dtype.name)

    with pytest.raises(KeyError, match="float64"):
        check_gradients((fails, fails), IDS)


class AsksForThem(Embedding):
    def forward(self, ids):
        assert ids.dtype.kind == "i", "ids must be integers"
        return super().forward(ids)


class HasAGradientOfOneHots(Embedding):
    def forward(self, ids):
        self.rows = np.zeros((len(ids), 6))
        for row, i in enumerate(ids):
            self.rows[row, int(i)] = 1.0
        return self.rows @ self.W

    def backward(self, grad):
        self.dW = self.times * self.rows.T @ grad
        return grad @ self.W.T


@pytest.mark.parametrize("kind", [AsksForThem, HasAGradientOfOneHots])
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_code_that_wants_whole_numbers_gets_them(kind, times, verdict):
    report = check_gradients(kind(lambda W, ids: W[ids], times), IDS)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W", verdict)]
