"""A file as a user may have it, for the command line of the comparison with torch."""

import itertools

import numpy as np


class TwoLayerNet:
    """A loss and its gradients from one method."""

    def __init__(self, input_size, hidden_size, output_size):
        rng = np.random.default_rng(0)
        self.params = {
            "W1": rng.standard_normal((input_size, hidden_size)) / np.sqrt(input_size),
            "b1": np.zeros(hidden_size),
            "W2": rng.standard_normal((hidden_size, output_size)) / np.sqrt(hidden_size),
            "b2": np.zeros(output_size),
        }

    def loss(self, X, y):
        p = self.params
        h = np.maximum(0, X @ p["W1"] + p["b1"])
        e = np.exp(h @ p["W2"] + p["b2"])
        probs = e / e.sum(axis=1, keepdims=True)
        value = -np.log(probs[np.arange(len(y)), y]).mean()
        probs[np.arange(len(y)), y] -= 1
        d = probs / len(y)
        grads = {"W2": h.T @ d, "b2": d.sum(axis=0)}
        d = d @ p["W2"].T * (h > 0)
        return value, grads | {"W1": X.T @ d, "b1": d.sum(axis=0)}


class Forgets(TwoLayerNet):
    """The mean over the batch is forgotten in one gradient."""

    def loss(self, X, y):
        value, grads = super().loss(X, y)
        return value, grads | {"W2": grads["W2"] * len(y)}


class Columns:
    """Samples in columns, sigmoids, and gradients of half the squared errors, which are written nowhere."""

    def __init__(self, sizes):
        rng = np.random.default_rng(0)
        self.biases = [rng.standard_normal((n, 1)) for n in sizes[1:]]
        self.weights = [rng.standard_normal((n, m)) for m, n in itertools.pairwise(sizes)]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights, strict=True):
            a = 1 / (1 + np.exp(-(w @ a + b)))
        return a

    def backprop(self, x, y):
        found = [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            found.append(1 / (1 + np.exp(-(w @ found[-1] + b))))
        d2 = (found[2] - y) * found[2] * (1 - found[2])
        d1 = self.weights[1].T @ d2 * found[1] * (1 - found[1])
        nabla_b = [d.sum(axis=1, keepdims=True) for d in (d1, d2)]
        return nabla_b, [d1 @ found[0].T, d2 @ found[1].T]


class Probabilities:
    """Softmax at the end, gradients from targets with one 1, and an update of its own."""

    def __init__(self, inputs, hidden, outputs):
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.standard_normal((inputs, hidden)), np.zeros((1, hidden))
        self.W2, self.b2 = rng.standard_normal((hidden, outputs)), np.zeros((1, outputs))

    def forward(self, X):
        self.a = np.tanh(X @ self.W1 + self.b1)
        e = np.exp(self.a @ self.W2 + self.b2)
        self.probs = e / e.sum(axis=1, keepdims=True)
        return self.probs

    def backward(self, X, y):
        d = (self.probs - y) / len(X)
        self.dW2, self.db2 = self.a.T @ d, d.sum(axis=0, keepdims=True)
        d = d @ self.W2.T * (1 - self.a**2)
        self.dW1, self.db1 = X.T @ d, d.sum(axis=0, keepdims=True)

    def update(self, lr):
        for name in ("W1", "b1", "W2", "b2"):
            setattr(self, name, getattr(self, name) - lr * getattr(self, f"d{name}"))


class ColumnsOfProbabilities:
    """Samples in columns, softmax at the end, and gradients by name."""

    def __init__(self, sizes):
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.standard_normal((sizes[1], sizes[0])), np.zeros((sizes[1], 1))
        self.W2, self.b2 = rng.standard_normal((sizes[2], sizes[1])), np.zeros((sizes[2], 1))

    def forward(self, X):
        self.A0, self.A1 = X, np.tanh(self.W1 @ X + self.b1)
        e = np.exp(self.W2 @ self.A1 + self.b2)
        self.A2 = e / e.sum(axis=0)
        return self.A2

    def backward(self, Y):
        d = (self.A2 - Y) / Y.shape[1]
        grads = {"dW2": d @ self.A1.T, "db2": d.sum(axis=1, keepdims=True)}
        d = self.W2.T @ d * (1 - self.A1**2)
        return grads | {"dW1": d @ self.A0.T, "db1": d.sum(axis=1, keepdims=True)}


class NoBackward:
    """What has no gradient."""

    def __init__(self, inputs, outputs):
        self.W = np.ones((inputs, outputs))

    def forward(self, x):
        return x @ self.W


class Breaks(NoBackward):
    """What raises."""

    def forward(self, x):
        raise RuntimeError(f"no such thing as {len(x)} rows")

    def backward(self, grad):
        return grad @ self.W.T


def affine(x, w):
    return np.tanh(x @ w), (x, w)


def affine_backward(dout, cache):
    x, w = cache
    d = dout * (1 - np.tanh(x @ w) ** 2)
    return d @ w.T, x.T @ d


def other(x, w):
    e = np.exp(-2 * (x @ w))
    return (1 - e) / (1 + e), (x, w, e)


def other_backward(dout, cache):
    x, w, e = cache
    d = dout * 4 * e / (1 + e) ** 2
    return d @ w.T, x.T @ d
