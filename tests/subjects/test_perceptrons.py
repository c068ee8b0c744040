"""Adaline, perceptrons and support vector machines, which predict by a sign: judged by their losses."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((6, 3))
CLASSES = np.array([0, 1, 1, 0, 1, 0])
SIGNS = 2 * CLASSES - 1


class Adaline:
    def __init__(self, eta=0.01, n_iter=50, random_state=1):
        self.eta, self.n_iter, self.random_state = eta, n_iter, random_state

    def fit(self, X, y):
        rng = np.random.RandomState(self.random_state)
        self.w_ = rng.normal(scale=0.01, size=1 + X.shape[1])
        self.cost_ = []
        for _ in range(self.n_iter):
            errors = y - self.activation(self.net_input(X))
            self.w_[1:] += self.eta * X.T @ errors
            self.w_[0] += self.eta * errors.sum()
            self.cost_.append((errors**2).sum() / 2)
        return self

    def net_input(self, X):
        return X @ self.w_[1:] + self.w_[0]

    def activation(self, z):
        return z

    def predict(self, X):
        return np.where(self.activation(self.net_input(X)) >= 0.0, 1, -1)


class Perceptron(Adaline):
    """Moves where it errs; ``sign`` is wrong with -1."""

    sign = 1.0

    def fit(self, X, y):
        rng = np.random.RandomState(self.random_state)
        self.w_ = rng.normal(scale=0.01, size=1 + X.shape[1])
        for _ in range(self.n_iter):
            for row, target in zip(X, y, strict=True):
                update = self.eta * (target - self.predict(row))
                self.w_[1:] += update * row
                self.w_[0] += self.sign * update
        return self


class Machine:
    """A support vector machine, with weight decay."""

    def __init__(self, lr=0.001, decay=0.01, n_iters=1000, margin=1.0):
        self.lr, self.decay, self.n_iters, self.margin = lr, decay, n_iters, margin

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), 0
        for _ in range(self.n_iters):
            for row, target in zip(X, y, strict=True):
                self.w -= self.lr * 2 * self.decay * self.w
                if target * (row @ self.w - self.b) < self.margin:
                    self.w += self.lr * target * row
                    self.b -= self.lr * target

    def predict(self, X):
        approx = X @ self.w - self.b
        return np.sign(approx)


@pytest.mark.parametrize("model", [Adaline, Perceptron])
def test_adaline_and_the_perceptron_are_judged_by_their_losses(model):
    report = check_gradients(model(), X, SIGNS)
    assert report.ok, report
    formula = "(a - y)^2" if model is Adaline else "sum((sign(a) - y) a)"
    assert any(formula in note for note in report.notes)


def test_a_perceptron_that_moves_its_bias_the_wrong_way_is_not_right():
    model = Perceptron()
    model.sign = -1.0
    with pytest.raises(TypeError, match="those of none of the usual ones: they are wrong, or the loss is another"):
        check_gradients(model, X, SIGNS)


class ZeroOne:
    """A perceptron with classes 0 and 1, of which the parts are apart, and the step in an attribute."""

    def __init__(self, learning_rate=0.01, n_iters=1000):
        self.lr, self.n_iters, self.activation = learning_rate, n_iters, self._step
        self.weights = self.bias = None

    def fit(self, X, y):
        self.weights, self.bias = np.zeros(X.shape[1]), 0
        for _ in range(self.n_iters):
            for index, row in enumerate(X):
                update = self.lr * (y[index] - self.activation(row @ self.weights + self.bias))
                self.weights += update * row
                self.bias += update

    def predict(self, X):
        linear = X @ self.weights + self.bias
        return self.activation(linear)

    def _step(self, z):
        return np.where(z >= 0, 1, 0)


def test_a_sample_at_which_a_perceptron_errs_is_found():
    # The first rows all fall on the right side at first, and several steps together could agree at this point alone.
    for targets in (CLASSES, np.zeros(6, int), np.ones(6, int)):
        report = check_gradients(ZeroOne(), X, targets)
        assert report.verdict != "wrong", report
    report = check_gradients(ZeroOne(), X, CLASSES)
    assert report.ok, report
    assert any("sum(max(0, -y a))" in note for note in report.notes)


def test_on_both_sides_of_its_kink_one_sample_tells_the_loss():
    # From here all weights that were looked at were on the side where abs(a) has the same gradients.
    report = check_gradients(ZeroOne(n_iters=100), np.array([[0.7001213, -1.1616037]]), np.array([0]))
    assert report.verdict == "right", report
    assert any("sum(max(0, -y a))" in note for note in report.notes)


def test_far_out_a_perceptron_is_not_judged_by_a_cross_entropy():
    x = [
        [0.27477086, 1.7408267, -0.03235318, 0.11555036, 2.987973],
        [0.0946639, -3.6059961, 1.1364144, -1.6601782, 2.7492077],
    ]
    x += [[-0.21573931, -0.24893661, -0.24540563, -1.6334978, 0.9747854]]
    report = check_gradients(ZeroOne(n_iters=100), np.array(x), np.array([0, 1, 1]))
    assert report.verdict == "right", report


def test_a_hinge_with_decay():
    report = check_gradients(Machine(), X, SIGNS)
    assert report.ok, report
    assert any("weight decay is in each step, and not counted to the gradient: 0.02 of w" in n for n in report.notes)
    assert any("sum(max(0, 1 - y a))" in note for note in report.notes)
