"""Methods that train, handed over by themselves; and forward passes under names that tell nothing."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal(6)


class Regression:
    def __init__(self, factor=1.0, n_iters=30):
        self.factor, self.n_iters, self.lr = factor, n_iters, 0.1

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), np.zeros(1)
        for _ in range(self.n_iters):
            error = self.predict(X) - y
            dw, db = X.T @ error / len(y), self.factor * error.mean()
            self.w -= self.lr * dw
            self.b -= self.lr * db

    def predict(self, X):
        return X @ self.w + self.b


class Stepping(Regression):
    def __init__(self, factor=1.0):
        super().__init__(factor)
        self.w, self.b = RNG.standard_normal(4), np.zeros(1)

    def train_step(self, X, y):
        error = self.predict(X) - y
        self.w -= self.lr * X.T @ error / len(y)
        self.b -= self.lr * self.factor * error.mean()
        return np.mean(error**2) / 2

    def fit(self, X, y):
        for _ in range(self.n_iters):
            self.train_step(X, y)


@pytest.mark.parametrize("kind", [Regression, Stepping])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_fit_by_itself_is_that_of_its_object(kind, factor, verdict):
    model = kind(factor)
    report = check_gradients(model.fit, X, Y)
    assert report["w"].verdict == "right"
    assert report["b"].verdict == verdict
    assert check_gradients(model.fit, (X, Y))["b"].verdict == verdict


class Other(Stepping):
    def learn(self, inputs, results):
        del inputs, results
        for _ in range(self.n_iters):
            self.b -= 0.01


def test_a_fit_that_is_not_the_one_by_which_its_object_is_judged_is_none():
    with pytest.raises(TypeError):
        check_gradients(Other().learn, X, Y)


class Numbers:
    """In lists of numbers, with ``update`` for its forward pass, as it was written before there were libraries."""

    def __init__(self, n_in, n_hidden, power=1):
        self.power, self.ni, self.nh = power, n_in + 1, n_hidden
        self.ai, self.ah, self.ao = [1.0] * self.ni, [1.0] * n_hidden, 0.0
        self.wi = [[RNG.uniform(-1, 1) for _ in range(n_hidden)] for _ in range(self.ni)]
        self.wo = [RNG.uniform(-1, 1) for _ in range(n_hidden)]

    def update(self, inputs):
        self.ai[:-1] = inputs
        for j in range(self.nh):
            self.ah[j] = math.tanh(sum(self.ai[i] * self.wi[i][j] for i in range(self.ni)))
        self.ao = sum(h * w for h, w in zip(self.ah, self.wo, strict=True))
        return [self.ao]

    def backPropagate(self, targets, N):
        error = targets[0] - self.ao
        deltas = [(1 - h**2) ** self.power * error * w for h, w in zip(self.ah, self.wo, strict=True)]
        for j in range(self.nh):
            self.wo[j] += N * error * self.ah[j]
            for i in range(self.ni):
                self.wi[i][j] += N * deltas[j] * self.ai[i]
        return 0.5 * error**2

    def weights(self):
        return self.wi


@pytest.mark.parametrize(("power", "verdict"), [(1, "right"), (2, "wrong")])
def test_the_one_method_that_gives_an_output_for_each_target_is_the_forward_pass(power, verdict):
    if power == 1:
        assert check_gradients(Numbers(2, 2), [0.3, 0.7], [1.0]).verdict == verdict
    else:
        with pytest.raises(TypeError):  # nothing tells what N is, where 1 does not fit
            check_gradients(Numbers(2, 2, power), [0.3, 0.7], [1.0])
