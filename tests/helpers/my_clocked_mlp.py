"""Networks as a user may have them, for the benchmark: right ones, and wrong ones that must not be timed."""

import itertools

import numpy as np


class MyMLP:
    """Two layers with the contract's three methods, and the two that may be there."""

    def set_weights(self, weights):
        (self.W1, self.b1), (self.W2, self.b2) = weights

    def forward(self, x):
        self.h = np.maximum(x @ self.W1 + self.b1, 0)
        return self.h @ self.W2 + self.b2

    def loss(self, x, y):
        z = self.forward(x)
        z -= z.max(axis=1, keepdims=True)
        self.p = np.exp(z)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (np.log(total[:, 0]) - z[np.arange(len(y)), y]).mean()

    def backward(self, x, y):
        d = self.p.copy()
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        dh = d @ self.W2.T * (self.h > 0)
        return (x.T @ dh, dh.sum(axis=0)), (self.h.T @ d, d.sum(axis=0))

    def step(self, x, y, lr):
        self.loss(x, y)
        (dW1, db1), (dW2, db2) = self.backward(x, y)
        self.W1 -= lr * dW1
        self.b1 -= lr * db1
        self.W2 -= lr * dW2
        self.b2 -= lr * db2


class StepOnly:
    """Any depth, weights (out, in) and rows of biases that its class draws; no method but the step."""

    def __init__(self, sizes):
        rng = np.random.default_rng(0)
        self.layers = [[rng.standard_normal((n, m)), np.zeros((1, n))] for m, n in itertools.pairwise(sizes)]

    def step(self, x, y, lr):
        inputs = [x]
        for W, b in self.layers:
            inputs.append(np.maximum(inputs[-1] @ W.T + b, 0))
        z = inputs[-2] @ self.layers[-1][0].T + self.layers[-1][1]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        d = (e / e.sum(axis=1, keepdims=True) - np.eye(z.shape[1], dtype=z.dtype)[y]) / len(y)
        for layer, a in zip(reversed(self.layers), reversed(inputs[:-1]), strict=True):
            W, b = layer
            layer[:] = W - lr * (d.T @ a), b - lr * d.sum(axis=0)
            d = d @ W * (a > 0)


class Packed(MyMLP):
    """All parameters in one vector, which ``weights`` takes apart."""

    def set_weights(self, weights):
        self.shapes = [array.shape for layer in weights for array in layer]
        self.theta = np.concatenate([array.ravel() for layer in weights for array in layer])
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        parts = np.split(self.theta, ends)
        self.W1, self.b1, self.W2, self.b2 = (p.reshape(s) for p, s in zip(parts, self.shapes, strict=True))
        self.packed = True

    def weights(self):
        return [(self.W1, self.b1), (self.W2, self.b2)]


class BiasOver64(MyMLP):
    """The gradients of the biases are divided once more."""

    def backward(self, x, y):
        (dW1, db1), (dW2, db2) = super().backward(x, y)
        return (dW1, db1 / 64), (dW2, db2 / 64)


class BackwardOnlyWrong(MyMLP):
    """A right step, and a backward pass with another mistake."""

    def backward(self, x, y):
        return [(dW, db * np.float32(1.0001)) for dW, db in super().backward(x, y)]

    def step(self, x, y, lr):
        self.loss(x, y)
        for (W, b), (dW, db) in zip(((self.W1, self.b1), (self.W2, self.b2)), super().backward(x, y), strict=True):
            W -= lr * dW
            b -= lr * db


class Transposed(MyMLP):
    """Square weights the wrong way round."""

    def set_weights(self, weights):
        super().set_weights([(W.T.copy(), b) for W, b in weights])


class TransposedInStep(MyMLP):
    """The product with the wrong factor in the backward pass, of a square weight."""

    def backward(self, x, y):
        (dW1, db1), last = super().backward(x, y)
        return (dW1.T, db1), last


class NoUpdate(MyMLP):
    """Changes copies."""

    def step(self, x, y, lr):
        W1 = self.W1.copy()
        self.loss(x, y)
        W1 -= lr * self.backward(x, y)[0][0]


class InFloat64(MyMLP):
    """Computes in float64 whatever it is given."""

    def set_weights(self, weights):
        super().set_weights([(W.astype(float), b.astype(float)) for W, b in weights])


class Forgetful(MyMLP):
    """Keeps no weight that it is given."""

    def set_weights(self, weights):
        super().set_weights([(np.zeros_like(W), np.zeros_like(b)) for W, b in weights])


class WholeBatchesOnly(MyMLP):
    """Takes batches of eight rows and no others."""

    def step(self, x, y, lr):
        np.ones(8) + np.ones(len(x))
        super().step(x, y, lr)


class WithoutStep:
    """Has nothing that trains."""

    def accuracy(self, x, y):
        return float(len(x) - len(y))


class AnotherStep(WithoutStep):
    """Steps without data."""

    def step(self, lr):
        pass


class ManyArguments(MyMLP):
    """Wants words."""

    def __init__(self, inputs, hidden, outputs, activation):
        self.made = f"{inputs}-{hidden}-{outputs} with {activation}"


THING = 3
