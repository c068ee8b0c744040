"""Two-layer networks as different people write them, with torch's counterpart; ``off`` multiplies what is named.

A style returns the arguments of ``parity``, those by name, and the quantities that may be multiplied.
"""

from typing import Any

import numpy as np
import torch

import numpy_nn as nn

IN, HIDDEN, OUT, ROWS = 5, 7, 3, 12
STYLES: dict[str, Any] = {}


def style(function):
    STYLES[function.__name__] = function
    return function


class Off(dict[str, float]):
    """Factors by name; 1 where there is none."""

    def __missing__(self, _):
        return 1


def drawn(rng):
    shapes = {"W1": (IN, HIDDEN), "b1": (HIDDEN,), "W2": (HIDDEN, OUT), "b2": (OUT,)}
    return {name: rng.standard_normal(shape) * 0.5 for name, shape in shapes.items()}


def batch(rng):
    return rng.standard_normal((ROWS, IN)), rng.integers(0, OUT, ROWS)


def torch_net(activation=torch.nn.ReLU):
    layers = torch.nn.Linear(IN, HIDDEN), activation(), torch.nn.Linear(HIDDEN, OUT)
    return torch.nn.Sequential(*layers).double()


@style
def loss_and_grads_in_a_dict(rng, off):
    """A class with a dict of parameters and its own softmax and loss: loss(X, y) -> (loss, grads)."""

    class TwoLayerNet:
        def __init__(self):
            self.params = drawn(rng)

        def scores(self, X):
            p = self.params
            self.h = np.maximum(0, X @ p["W1"] + p["b1"])
            return self.h @ p["W2"] + p["b2"]

        def loss(self, X, y):
            p = self.params
            scores = self.scores(X)
            e = np.exp(scores - scores.max(axis=1, keepdims=True))
            probs = e / e.sum(axis=1, keepdims=True)
            value = -np.log(probs[np.arange(len(y)), y]).mean()
            probs[np.arange(len(y)), y] -= 1
            probs /= len(y)
            grads = {"W2": self.h.T @ probs * off["W2"], "b2": probs.sum(axis=0)}
            dh = probs @ p["W2"].T
            dh[self.h <= 0] = 0
            grads["W1"], grads["b1"] = X.T @ dh * off["W1"], dh.sum(axis=0) * off["b1"]
            return value * off["loss"], grads

    x, y = batch(rng)
    return (TwoLayerNet(), torch_net(), x, y, torch.nn.CrossEntropyLoss()), {}, ["W1", "b1", "W2"]


@style
def attributes_with_rows_of_biases(rng, off):
    """Attributes, biases of shape (1, n), gradients kept as dW1 ..., an update of its own: step()."""

    class Net:
        def __init__(self):
            p = drawn(rng)
            self.W1, self.b1, self.W2, self.b2 = p["W1"], p["b1"][None], p["W2"], p["b2"][None]
            self.lr = 0.05

        def forward(self, x):
            self.x = x
            self.a = np.tanh(x @ self.W1 + self.b1)
            return (self.a @ self.W2 + self.b2) * off["output"]

        def backward(self, grad):
            self.dW2, self.db2 = self.a.T @ grad, grad.sum(axis=0, keepdims=True) * off["b2"]
            d = grad @ self.W2.T * (1 - self.a**2)
            self.dW1, self.db1 = self.x.T @ d * off["W1"], d.sum(axis=0, keepdims=True)
            return d @ self.W1.T

        def step(self):
            for name in ("W1", "b1", "W2", "b2"):
                rate = self.lr * (off["step"] if name == "W2" else 1)
                setattr(self, name, getattr(self, name) - rate * getattr(self, f"d{name}"))

    x, y = batch(rng)
    return (Net(), torch_net(torch.nn.Tanh), x, y, nn.CrossEntropyLoss()), {}, ["W1", "b2", "output", "step"]


@style
def lists_with_samples_in_columns(rng, off):
    """Lists of weights (out, in) and of biases (n, 1), samples in columns, gradients of a loss that is not written."""

    class Network:
        def __init__(self):
            p = drawn(rng)
            self.weights = [p["W1"].T.copy(), p["W2"].T.copy()]
            self.biases = [p["b1"][:, None], p["b2"][:, None]]

        def feedforward(self, a):
            for w, b in zip(self.weights, self.biases, strict=True):
                a = 1 / (1 + np.exp(-(w @ a + b)))
            return a

        def backprop(self, x, y):
            activations = [x]
            for w, b in zip(self.weights, self.biases, strict=True):
                activations.append(1 / (1 + np.exp(-(w @ activations[-1] + b))))
            a0, a1, a2 = activations
            d2 = (a2 - y) * a2 * (1 - a2)
            d1 = self.weights[1].T @ d2 * a1 * (1 - a1)
            nabla_b = [d1.sum(axis=1, keepdims=True) * off["b1"], d2.sum(axis=1, keepdims=True)]
            return nabla_b, [d1 @ a0.T, d2 @ a1.T * off["W2"]]

    x, _ = batch(rng)
    y = rng.random((ROWS, OUT))
    theirs = torch.nn.Sequential(*torch_net(torch.nn.Sigmoid), torch.nn.Sigmoid())
    half = HalfSquares()
    return (Network(), theirs, x.T.copy(), y.T.copy(), half), {}, ["b1", "W2"]


class HalfSquares(torch.nn.Module):
    """sum((a - y)^2) / 2."""

    def forward(self, a, y):
        return ((a - y) ** 2).sum() / 2


@style
def a_pair_of_functions(rng, off):
    """out, cache = forward(x, W1, ...) and dx, dW1, ... = backward(dout, cache), beside a function of tensors."""
    p = drawn(rng)

    def forward(x, W1, b1, W2, b2):
        h = np.maximum(x @ W1 + b1, 0)
        return h @ W2 + b2, (x, W1, W2, h)

    def backward(dout, cache):
        x, W1, W2, h = cache
        dh = dout @ W2.T * (h > 0)
        return dh @ W1.T * off["x"], x.T @ dh, dh.sum(axis=0), h.T @ dout, dout.sum(axis=0) * off["b2"]

    def theirs(x, W1, b1, W2, b2):
        return torch.relu(x @ W1 + b1) @ W2 + b2

    x, y = batch(rng)
    return ((forward, backward), theirs, (x, *p.values()), y, nn.CrossEntropyLoss()), {}, ["x", "b2"]


@style
def columns_divided_by_the_batch(rng, off):
    """A dict of parameters, samples in columns, probabilities, gradients divided by m."""

    class Model:
        def __init__(self):
            p = drawn(rng)
            self.parameters = {"W1": p["W1"].T.copy(), "b1": p["b1"][:, None]}
            self.parameters |= {"W2": p["W2"].T[:1].copy(), "b2": p["b2"][:1, None]}

        def forward(self, X):
            p = self.parameters
            self.A1 = np.tanh(p["W1"] @ X + p["b1"])
            self.A2 = 1 / (1 + np.exp(-(p["W2"] @ self.A1 + p["b2"])))
            return self.A2

        def backward(self, X, Y):
            m = X.shape[1]
            dZ2 = self.A2 - Y
            dZ1 = self.parameters["W2"].T @ dZ2 * (1 - self.A1**2)
            return {
                "dW1": dZ1 @ X.T / m * off["W1"],
                "db1": dZ1.sum(axis=1, keepdims=True) / m,
                "dW2": dZ2 @ self.A1.T / m,
                "db2": dZ2.sum(axis=1, keepdims=True) / m * off["b2"],
            }

    x, _ = batch(rng)
    y = rng.integers(0, 2, (1, ROWS)).astype(float)
    theirs = torch.nn.Sequential(torch.nn.Linear(IN, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 1))
    theirs = torch.nn.Sequential(*theirs, torch.nn.Sigmoid()).double()
    return (Model(), theirs, x.T.copy(), y, torch.nn.BCELoss()), {}, ["W1", "b2"]


@style
def in_float32(rng, off):
    """Everything cast to float32 inside."""

    class Net32:
        def __init__(self):
            p = {name: value.astype(np.float32) for name, value in drawn(rng).items()}
            self.w1, self.b1, self.w2, self.b2 = p.values()

        def forward(self, x):
            p = [np.asarray(v, np.float32) for v in (x, self.w1, self.b1, self.w2, self.b2)]
            self.x, w1, b1, self.w2_, b2 = p
            self.h = np.maximum(self.x @ w1 + b1, np.float32(0))
            self.w1_ = w1
            return (self.h @ self.w2_ + b2) * np.float32(off["output"])

        def backward(self, grad):
            grad = grad.astype(np.float32)
            self.dw2, self.db2 = self.h.T @ grad * np.float32(off["w2"]), grad.sum(axis=0)
            d = grad @ self.w2_.T * (self.h > 0)
            self.dw1, self.db1 = self.x.T @ d, d.sum(axis=0) * np.float32(off["b1"])
            return d @ self.w1_.T

    x, y = batch(rng)
    x = x.astype(np.float32)
    return (Net32(), torch_net(), x, y, nn.CrossEntropyLoss()), {}, ["w2", "output"]


@style
def backward_that_updates(rng, off):
    """Layers whose backward(gradient, learning_rate) updates them, in a class that chains them."""

    class Dense:
        def __init__(self, W, b, name):
            self.W, self.b, self.name = W, b, name

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, gradient, learning_rate):
            dx = gradient @ self.W.T
            self.W = self.W - learning_rate * (self.x.T @ gradient) * off[self.name]
            self.b = self.b - learning_rate * gradient.sum(axis=0)
            return dx

    class Network:
        def __init__(self):
            p = drawn(rng)
            self.first, self.second = Dense(p["W1"], p["b1"], "W1"), Dense(p["W2"], p["b2"], "W2")

        def forward(self, x):
            self.h = np.maximum(self.first.forward(x), 0)
            return self.second.forward(self.h)

        def backward(self, gradient, learning_rate):
            d = self.second.backward(gradient, learning_rate) * (self.h > 0)
            return self.first.backward(d, learning_rate)

    x, y = batch(rng)
    return (Network(), torch_net(), x, y, torch.nn.CrossEntropyLoss()), {}, ["W1", "W2"]


@style
def beside_another_in_numpy(rng, off):
    """A network with batch normalization and a bias before it, whose gradient is 0, beside a Sequential of ours."""

    class Normalized:
        def __init__(self):
            p = drawn(rng)
            self.W1, self.b1, self.W2, self.b2 = p.values()
            self.gamma, self.beta = np.linspace(0.5, 1.5, HIDDEN), np.linspace(-1, 1, HIDDEN)

        def forward(self, x):
            self.x = x
            z = x @ self.W1 + self.b1
            self.std = np.sqrt(z.var(axis=0) + 1e-5)
            self.zhat = (z - z.mean(axis=0)) / self.std
            self.h = np.tanh(self.zhat * self.gamma + self.beta)
            return self.h @ self.W2 + self.b2

        def backward(self, grad):
            self.dW2, self.db2 = self.h.T @ grad, grad.sum(axis=0)
            d = grad @ self.W2.T * (1 - self.h**2)
            self.dgamma, self.dbeta = (d * self.zhat).sum(axis=0) * off["gamma"], d.sum(axis=0)
            d = d * self.gamma
            d = (d - d.mean(axis=0) - self.zhat * (d * self.zhat).mean(axis=0)) / self.std
            self.dW1, self.db1 = self.x.T @ d * off["W1"], d.sum(axis=0)
            return d @ self.W1.T

    net = nn.Sequential(
        nn.Linear(IN, HIDDEN, dtype=np.float64),
        nn.BatchNorm1d(HIDDEN, dtype=np.float64),
        nn.Tanh(),
        nn.Linear(HIDDEN, OUT, dtype=np.float64),
    )
    names = {"gamma": "1.weight", "beta": "1.bias", "b1": "0.bias"}
    x, y = batch(rng)
    return (Normalized(), net, x, y, nn.CrossEntropyLoss()), {"names": names}, ["W1", "gamma"]
