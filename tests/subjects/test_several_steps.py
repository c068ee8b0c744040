"""Objects that step after each sample: judged with the first alone, but for those that make one step of all."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.losses.several_steps import moves_several_times

LEARNING_RATE = 0.1
RNG = np.random.default_rng(0)
X, Y = RNG.random((5, 3)), RNG.random((5, 2))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Network:
    """Of two layers; ``factor`` multiplies the step of W1."""

    def __init__(self, factor=1.0):
        rng = np.random.default_rng(1)
        self.W1, self.W2 = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
        self.factor = factor

    def predict(self, x):
        return sigmoid(sigmoid(x @ self.W1) @ self.W2)

    def _moved_by(self, x, y, rate):
        h = sigmoid(x @ self.W1)
        o = sigmoid(h @ self.W2)
        d2 = (o - y) * o * (1 - o)
        d1 = d2 @ self.W2.T * h * (1 - h)
        self.W2 -= rate * h.T @ d2
        self.W1 -= rate * self.factor * x.T @ d1


class OfSamples(Network):
    lr = 0.1

    def train(self, x, y):
        for row, target in zip(x, y, strict=True):
            self._moved_by(row[None], target[None], self.lr)


class OfAll(Network):
    def __init__(self, factor=1.0):
        super().__init__(factor)
        self.lr = 0.1

    def train(self, x, y):
        self._moved_by(x, y, self.lr)


class WithRate(Network):
    """Is given its rate, and how many epochs."""

    def fit(self, x, y, epochs, learning_rate):
        for epoch in range(epochs):
            print("epoch", epoch)
            for row, target in zip(x, y, strict=True):
                self._moved_by(row[None], target[None], learning_rate)


class Around(Network):
    def train(self, x, y):
        for row, target in zip(x, y, strict=True):
            self._moved_by(row[None], target[None], LEARNING_RATE)


class Fails(OfSamples):
    def _moved_by(self, *_):
        raise ValueError("no")


class WithoutRate(Network):
    def train(self, x, y):
        for row, target in zip(x, y, strict=True):
            self._moved_by(row[None], target[None], 0.1)


SAID = "moves the parameters several times, as after each sample: judged with the first alone"


@pytest.mark.parametrize("kind", [OfSamples, OfAll, WithRate, Around])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_steps_after_each_sample_are_judged_by_the_first(kind, factor, verdict):
    report = check_gradients(kind(factor), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"W1": verdict, "W2": "right"}
    assert (SAID in str(report)) == (kind is not OfAll)
    assert LEARNING_RATE == 0.1


def test_what_is_printed_after_each_epoch_is_not_printed_hundreds_of_times(capsys):
    assert check_gradients(WithRate(), X, Y).ok
    assert capsys.readouterr().out == ""


def test_of_one_sample_nothing_is_said():
    report = check_gradients(OfSamples(), X[:1], Y[:1])
    assert report.verdict == "right"
    assert SAID not in str(report)


@pytest.mark.parametrize(
    ("kind", "several"), [(OfSamples, True), (OfAll, False), (WithRate, True), (Fails, False), (WithoutRate, True)]
)
def test_several_steps_are_known_by_what_half_the_rate_moves(kind, several):
    net = kind()
    before = net.W1.copy(), net.W2.copy()
    step = (lambda x, y, learning_rate: net.fit(x, y, 1, learning_rate)) if kind is WithRate else net.train
    assert moves_several_times(net, step, (X, Y)) is several
    assert not moves_several_times(net, step, (X[:1], Y[:1]))
    for array, kept in zip((net.W1, net.W2), before, strict=True):
        np.testing.assert_array_equal(array, kept)


class OneRowAtATime:
    """Of two rows the step fails when it has moved the weights already."""

    def __init__(self, factor):
        rng = np.random.default_rng(2)
        self.W, self.b, self.factor = rng.standard_normal((3, 2)), rng.standard_normal((1, 2)), factor

    def forward(self, x):
        self.x, self.out = x, np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, grad, lr):
        dz = grad * (1 - self.out**2)
        dx = dz @ self.W.T
        self.W -= lr * self.factor * self.x.T @ dz
        self.b -= lr * dz
        return dx


def test_what_a_failed_step_has_moved_is_put_back():
    # Why W is wrong is asked of two rows as well, where the step fails between W and b.
    report = check_gradients(OneRowAtATime(3.0), X[:1])
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": "wrong", "b": "right"}
    right = check_gradients(OneRowAtATime(1.0), X[:1])
    for name in ("x", "b"):
        np.testing.assert_array_equal(report[name].numerical, right[name].numerical)


class Drawing(Network):
    """Trains by batches whose rows it draws, each perhaps more than once."""

    def loss(self, x, y):
        return 0.5 * np.sum((self.predict(x) - y) ** 2) / len(x)

    def train(self, x, y, lr=0.1, iterations=100, batch_size=200):
        rng = np.random.default_rng(3)
        for _ in range(iterations):
            batch = rng.choice(len(x), batch_size)
            self._moved_by(x[batch], y[batch], lr / batch_size)


class NotDivided(Drawing):
    def train(self, x, y, lr=0.1, iterations=100, batch_size=200):
        for _ in range(iterations):
            batch = np.random.default_rng().integers(len(x), size=batch_size)
            self._moved_by(x[batch], y[batch], lr)


class DrawingOne(Network):
    """Of samples whose losses are added up."""

    def loss(self, x, y):
        return 0.5 * np.sum((self.predict(x) - y) ** 2)

    def train(self, x, y, lr=0.1, iterations=100):
        rng = np.random.default_rng(3)
        for _ in range(iterations):
            row = rng.integers(len(x))
            self._moved_by(x[row : row + 1], y[row : row + 1], lr)


@pytest.mark.parametrize("kind", [Drawing, DrawingOne])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_steps_of_rows_that_are_drawn_are_judged_by_these(kind, factor, verdict):
    report = check_gradients(kind(factor), X, Y)
    assert (report["W1"].verdict, report["W2"].verdict) == (verdict, "right")


def test_what_is_divided_by_the_number_of_rows_shows_also_where_they_are_drawn():
    report = check_gradients(NotDivided(), X, Y)
    assert {entry.cause for entry in report.entries} == {"batch_mean_missing"}
    assert "train makes a step of some of the rows: judged with the first sample in the place of each" in report.notes


class Validating(Network):
    """Keeps the last rows for validation, of which one sample alone would leave none to train with."""

    def mse(self, x, y):
        return np.mean(np.sum((self.predict(x) - y) ** 2, axis=1))

    def fit(self, x, y, epochs=50, lr=0.1):
        kept, best = int(0.7 * len(x)), np.inf
        for _ in range(epochs):
            self._moved_by(x[:kept], y[:kept], 2 * lr / kept)
            if self.mse(x[kept:], y[kept:]) >= best:
                break
            best = self.mse(x[kept:], y[kept:])


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_steps_of_the_rows_that_are_not_kept_for_validation_are_judged_by_one_of_them(factor, verdict):
    report = check_gradients(Validating(factor), X, Y)
    assert (report["W1"].verdict, report["W2"].verdict) == (verdict, "right")
    assert "fit makes a step of some of the rows: judged with the first sample in the place of each" in report.notes


class Recurrent:
    """Its rows are steps of one sequence, of which each does something, in its place."""

    def __init__(self, through_time=True):
        rng = np.random.default_rng(1)
        self.W, self.U, self.through_time = rng.standard_normal((3, 2)), rng.standard_normal((2, 2)), through_time

    def forward(self, x):
        self.h = [np.zeros(2)]
        for row in x:
            self.h.append(np.tanh(row @ self.W + self.h[-1] @ self.U))
        return np.array(self.h[1:])

    def loss(self, x, y):
        return 0.5 * np.sum((self.forward(x) - y) ** 2)

    def train_step(self, x, y, lr):
        d_all, dW, dU, later = self.forward(x) - y, np.zeros((3, 2)), np.zeros((2, 2)), np.zeros(2)
        for t in reversed(range(len(x))):
            d = (d_all[t] + later) * (1 - self.h[t + 1] ** 2)
            dW += np.outer(x[t], d)
            dU += np.outer(self.h[t], d)
            later = self.through_time * d @ self.U.T
        self.W -= lr * dW
        self.U -= lr * dU


@pytest.mark.parametrize(("through_time", "verdict"), [(True, "right"), (False, "wrong")])
def test_rows_of_a_sequence_are_judged_together(through_time, verdict):
    assert check_gradients(Recurrent(through_time), X, Y).verdict == verdict
