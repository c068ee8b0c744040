"""Models with ``fit`` and ``predict``, which make their weights and go on by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.proof.forms.draws import form, sigmoid, softmax


@form
def a_regression_that_makes_its_weights(d, wrong):
    class Regression:
        def __init__(self, learning_rate=0.01, n_iters=1000):
            self.lr, self.n_iters = learning_rate, n_iters
            self.weights = self.bias = None

        def fit(self, X, y):
            self.weights, self.bias = np.zeros(X.shape[1]), 0
            self.losses = []
            for _ in range(self.n_iters):
                errors = X @ self.weights + self.bias - y
                self.losses.append(np.mean(errors**2))
                self.weights = self.weights - self.lr * wrong * 2 / len(y) * X.T @ errors
                self.bias = self.bias - self.lr * 2 * np.mean(errors)

        def predict(self, X):
            return X @ self.weights + self.bias

    return (Regression(), d.array(6, 4), d.array(6)), {}, "weights"


@form
def a_classifier_that_decides(d, wrong):
    class Classifier:
        def __init__(self, eta=0.1, n_iter=50, random_state=1):
            self.eta, self.n_iter, self.random_state = eta, n_iter, random_state

        def fit(self, X, y):
            rng = np.random.default_rng(self.random_state)
            self.w_, self.b_ = rng.normal(scale=0.01, size=X.shape[1]), 0.0
            self.loss_ = []
            for _ in range(self.n_iter):
                output = self.activation(self.net_input(X))
                errors = y - output
                self.w_ += self.eta * wrong * X.T @ errors / len(y)
                self.b_ += self.eta * errors.mean()
                self.loss_.append(float(-np.mean(y * np.log(output) + (1 - y) * np.log(1 - output))))
            return self

        def net_input(self, X):
            return X @ self.w_ + self.b_

        def activation(self, z):
            return sigmoid(z)

        def predict(self, X):
            return np.where(self.activation(self.net_input(X)) >= 0.5, 1, 0)

    return (Classifier(), d.array(6, 4), d.binary(6)), {}, "w_"


@form
def a_network_that_fits_in_batches(d, wrong):
    class Network:
        def __init__(self, hidden=5, lr=0.1, epochs=20, batch_size=2, seed=0):
            self.hidden, self.lr, self.epochs, self.batch_size = hidden, lr, epochs, batch_size
            self.rng = np.random.default_rng(seed)

        def fit(self, X, y):
            targets = np.eye(3)[y]
            self.W1, self.b1 = self.rng.normal(size=(X.shape[1], self.hidden)), np.zeros(self.hidden)
            self.W2, self.b2 = self.rng.normal(size=(self.hidden, 3)), np.zeros(3)
            for _ in range(self.epochs):
                order = self.rng.permutation(len(X))
                for start in range(0, len(X), self.batch_size):
                    rows = order[start : start + self.batch_size]
                    h = np.tanh(X[rows] @ self.W1 + self.b1)
                    d2 = (softmax(h @ self.W2 + self.b2) - targets[rows]) / len(rows)
                    d1 = d2 @ self.W2.T * (1 - h**2)
                    self.W2 -= self.lr * h.T @ d2
                    self.b2 -= self.lr * d2.sum(axis=0)
                    self.W1 -= self.lr * wrong * X[rows].T @ d1
                    self.b1 -= self.lr * d1.sum(axis=0)

        def predict_proba(self, X):
            return softmax(np.tanh(X @ self.W1 + self.b1) @ self.W2 + self.b2)

        def predict(self, X):
            return self.predict_proba(X).argmax(axis=1)

    labels = np.arange(6) % 3
    return (Network(), d.fixed(6, 4), labels), {}, "W1"


@form
def a_perceptron_that_errs(d, wrong):
    class Perceptron:
        def __init__(self, lr=0.01, n_iters=100):
            self.lr, self.n_iters = lr, n_iters

        def fit(self, X, y):
            self.weights, self.bias = np.zeros(X.shape[1]), 0.0
            for _ in range(self.n_iters):
                for row, target in zip(X, y, strict=True):
                    update = self.lr * (target - self.step(row @ self.weights + self.bias))
                    self.weights += wrong * update * row
                    self.bias += update

        def step(self, z):
            return np.where(z >= 0, 1, 0)

        def predict(self, X):
            linear_output = X @ self.weights + self.bias
            return self.step(linear_output)

    return (Perceptron(), d.array(6, 4), np.array([0, 1, 1, 0, 1, 0, 0, 1])[: len(d.array(6, 1))]), {}, "weights"


@form
def a_model_that_steps_by_adam(d, wrong):
    class Model:
        def __init__(self, lr=0.01, n_epochs=100):
            self.lr, self.n_epochs = lr, n_epochs

        def fit(self, X, y):
            self.w, self.b = np.zeros(X.shape[1]), 0.0
            self.losses = []
            m, v, mb, vb = np.zeros(X.shape[1]), np.zeros(X.shape[1]), 0.0, 0.0
            for t in range(1, self.n_epochs + 1):
                errors = self.predict(X) - y
                self.losses.append(np.mean(errors**2))
                dw, db = wrong * 2 * X.T @ errors / len(y), 2 * np.mean(errors)
                m, mb = 0.9 * m + 0.1 * dw, 0.9 * mb + 0.1 * db
                v, vb = 0.999 * v + 0.001 * dw**2, 0.999 * vb + 0.001 * db**2
                self.w -= self.lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
                self.b -= self.lr * (mb / (1 - 0.9**t)) / (np.sqrt(vb / (1 - 0.999**t)) + 1e-8)

        def predict(self, X):
            return X @ self.w + self.b

    return (Model(), d.array(6, 4), d.array(6)), {}, "w"


@form
def a_model_that_goes_on_until_it_has_converged(d, wrong):
    class Model:
        def __init__(self, alpha=0.1, tol=1e-6):
            self.alpha, self.tol = alpha, tol

        def fit(self, X, y):
            self.w, self.b = np.zeros(X.shape[1]), 0.0
            change = np.inf
            while change > self.tol:
                p = sigmoid(X @ self.w + self.b)
                step = self.alpha * wrong * X.T @ (p - y) / len(y)
                self.w = self.w - step
                self.b = self.b - self.alpha * np.mean(p - y)
                change = np.abs(step).max()

        def predict(self, X):
            return np.array([1 if sigmoid(np.dot(self.w, x) + self.b) >= 0.5 else 0 for x in X])

    return (Model(), d.array(6, 4), d.binary(6)), {}, "w"


@form
def batches_that_are_drawn(d, wrong):
    class Model:
        def __init__(self, eta0=0.1, n_iter=100):
            self.eta0, self.n_iter = eta0, n_iter
            self.w, self.b = d.array(4), d.array(1)

        def predict(self, X):
            return X @ self.w + self.b

        def loss(self, X, y):
            return np.mean((self.predict(X) - y) ** 2)

        def fit(self, X, y, batch_size=32):
            rng = np.random.default_rng(0)
            for _ in range(self.n_iter):
                rows = rng.choice(len(X), batch_size)
                errors = self.predict(X[rows]) - y[rows]
                self.w = self.w - self.eta0 * wrong * 2 * X[rows].T @ errors / len(rows)
                self.b = self.b - self.eta0 * 2 * np.mean(errors)

    return (Model(), d.array(6, 4), d.array(6)), {}, "w"


@form
def rows_that_are_kept_for_validation(d, wrong):
    class Model:
        def __init__(self, lr=0.1, epochs=50, validation_split=0.25):
            self.lr, self.epochs, self.validation_split = lr, epochs, validation_split
            self.w, self.b = d.array(4), d.array(1)

        def predict(self, X):
            return X @ self.w + self.b

        def fit(self, X, y):
            n = int(len(X) * (1 - self.validation_split))
            best = np.inf
            for _ in range(self.epochs):
                errors = self.predict(X[:n]) - y[:n]
                self.w = self.w - self.lr * wrong * 2 * X[:n].T @ errors / n
                self.b = self.b - self.lr * 2 * np.mean(errors)
                validation = np.mean((self.predict(X[n:]) - y[n:]) ** 2)
                if validation > best:
                    break
                best = validation

    return (Model(), d.array(8, 4), d.array(8)), {}, "w"


@form
def a_loss_with_its_gradient_beside_what_trains(d, wrong):
    class Classifier:
        W: Any = None

        def loss(self, X, y, reg):
            scores = softmax(X @ self.W)
            loss = -np.mean(np.log(scores[np.arange(len(y)), y])) + reg * np.sum(self.W**2)
            scores[np.arange(len(y)), y] -= 1
            return loss, wrong * X.T @ scores / len(y) + 2 * reg * self.W

        def train(self, X, y, learning_rate=1e-3, reg=1e-5, num_iters=100, batch_size=200):
            if self.W is None:
                self.W = 0.001 * np.random.default_rng(0).standard_normal((X.shape[1], 3))
            for _ in range(num_iters):
                rows = np.random.default_rng(1).choice(len(X), batch_size)
                self.W -= learning_rate * self.loss(X[rows], y[rows], reg)[1]

        def predict(self, X):
            return np.argmax(X @ self.W, axis=1)

    X = d.array(6, 4)
    return (Classifier(), X, np.arange(len(X)) % 3), {}, "W"
