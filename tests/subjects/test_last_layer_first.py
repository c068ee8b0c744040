"""Gradients that a backward pass appends to a list: those of the last layer are the first."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 3))


class Network:
    """Tanh and squares; ``factor`` times the gradients of the weights are kept."""

    sizes: tuple[tuple[int, int], ...] = ((3, 4), (4, 2))
    factor = 1.0

    def __init__(self):
        rng = np.random.default_rng(1)
        self.params = [{"W": rng.standard_normal(size), "b": np.zeros((1, size[1]))} for size in self.sizes]

    def weight(self, i):
        return self.params[i]["W"]

    def forward(self, X):
        self.memory, a = [], X
        for i in range(len(self.params)):
            z = a @ self.weight(i) + self.params[i]["b"]
            self.memory.append((a, z))
            a = np.tanh(z) if i < len(self.params) - 1 else z
        return a

    def loss(self, pred, y):
        return np.mean((pred - y) ** 2)

    def backward(self, pred, y):
        self.gradients, d = [], 2 * (pred - y) / pred.size
        for i in reversed(range(len(self.params))):
            a, z = self.memory[i]
            d = d if i == len(self.params) - 1 else d * (1 - np.tanh(z) ** 2)
            self.gradients.append({"dW": self.factor * a.T @ d, "db": d.sum(axis=0, keepdims=True)})
            d = d @ self.weight(i).T


class AsWide(Network):
    sizes = ((3, 3), (3, 3), (3, 3))


class OfTheTransposed(Network):
    """Keeps W^T, and turns the gradient of W in the step."""

    def __init__(self):
        super().__init__()
        for one in self.params:
            one["W"] = one["W"].T.copy()

    def weight(self, i):
        return self.params[i]["W"].T

    def train(self, X, y, epochs, lr=0.1):
        for _ in range(epochs):
            self.backward(self.forward(X), y)
            for one, gradients in zip(self.params, reversed(self.gradients), strict=True):
                one["W"] -= lr * gradients["dW"].T
                one["b"] -= lr * gradients["db"]


class KeptTransposed(Network):
    """Keeps the gradient of W^T, which the step turns."""

    sizes = ((3, 4), (4, 4), (4, 2))

    def backward(self, pred, y):
        super().backward(pred, y)
        self.grads = [{"W": one["dW"].T, "b": one["db"]} for one in reversed(self.gradients)]
        self.gradients = []

    def update(self, lr):
        for one, gradients in zip(self.params, self.grads, strict=True):
            one["W"] -= lr * gradients["W"].T
            one["b"] -= lr * gradients["b"]


class Twice(Network):
    factor = 2.0


class TwiceAsWide(AsWide):
    factor = 2.0


RIGHT_ONES = (Network, AsWide, OfTheTransposed, KeptTransposed)


@pytest.mark.parametrize(
    ("kind", "of_weights"), [*((kind, "right") for kind in RIGHT_ONES), (Twice, "wrong"), (TwiceAsWide, "wrong")]
)
def test_each_layer_gets_its_own(kind, of_weights):
    targets = RNG.standard_normal((5, kind.sizes[-1][1]))
    report = check_gradients(kind(), X, targets)
    verdicts = {"W": {of_weights}, "b": {"right"}}
    for name, expected in verdicts.items():
        assert {entry.verdict for entry in report.entries if entry.name.endswith(f"['{name}']")} == expected
    assert of_weights == "right" or {entry.cause for entry in report.entries if entry.verdict == "wrong"} == {"factor"}
