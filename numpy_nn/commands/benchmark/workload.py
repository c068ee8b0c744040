"""A case with its numbers: the weights, rows and labels that every engine gets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn._support.workspace import FloatArray
from numpy_nn.commands.benchmark.cases import MOMENTUM, Case


class Workload:
    """A case with its numbers, the same for every engine: weights, rows and labels.

    Weights are numpy_nn's initial ones, layer by layer. Rows are MNIST's where ``mnist`` is given, else uniform in
    [0, 1) with random labels.
    """

    def __init__(self, case: Case, mnist: nn.MNIST | None = None, seed: int = 0) -> None:
        self.case, self.seed = case, seed
        rng = np.random.default_rng(seed)
        net: Any = self._mlp()
        self.weights: list[tuple[FloatArray, FloatArray]] = [
            (layer.weight.data.copy(), layer.bias.data.copy()) for layer in net if hasattr(layer, "in_features")
        ]
        self.x: FloatArray
        self.y: NDArray[np.int64]
        if mnist is not None:
            x, y = mnist[2:] if case.kind == "inference" else mnist[:2]
            if case.rows > len(x) or case.sizes[0] != x.shape[1]:
                raise ValueError(f"{case.label}: expected at most MNIST's {x.shape} rows and pixels")
            self.x, self.y = x[: case.rows].astype(case.dtype, copy=False), y[: case.rows]
        else:
            self.x = rng.random((case.rows, case.sizes[0])).astype(case.dtype)
            self.y = rng.integers(0, case.sizes[-1], case.rows)

    def _mlp(self) -> nn.Sequential:
        return nn.MLP(self.case.sizes, rng=self.seed, dtype=self.case.dtype)

    @property
    def first_batch(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """The batch that one-batch kinds work on, and on which engines must agree."""
        return self.x[: self.case.batch], self.y[: self.case.batch]

    def network(self) -> tuple[nn.Sequential, nn.CrossEntropyLoss, nn.Optimizer]:
        """The network, loss and optimizer in numpy_nn."""
        net, case = self._mlp(), self.case
        parameters = net.parameters()
        optimizer: nn.Optimizer
        if case.optimizer == "adam":
            optimizer = nn.Adam(parameters, case.learning_rate)
        else:
            momentum = MOMENTUM if case.optimizer == "momentum" else 0.0
            optimizer = nn.SGD(parameters, case.learning_rate, momentum)
        return net, nn.CrossEntropyLoss(), optimizer

    def orders(self) -> Any:
        """A generator whose permutations are the order of the rows in each epoch, alike in every engine."""
        return np.random.default_rng(self.seed)

    def loss_bound(self) -> float:
        """How far an engine's loss on the first batch may be from the true one, by rounding alone.

        With u the unit roundoff, the entries of a computed h W + b are within (i + 1) u (|h| |W| + |b|) of the true
        ones for rows of length i (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.5, to first
        order), and an error E in h becomes E |W|; ReLU enlarges none. The loss of a row moves by at most twice its
        logits' largest error. Its own evaluation rounds once for each class, and a few times more, in numbers of the
        size of the largest logit; the mean rounds once for each row.
        """
        x, _ = self.first_batch
        u = float(np.finfo(self.case.dtype).eps) / 2
        h = x.astype(np.float64)
        error = np.zeros_like(h)
        for index, (weight, bias) in enumerate(self.weights):
            size = np.abs(weight.astype(np.float64))
            error = error @ size + (len(weight) + 1) * u * (np.abs(h) @ size + np.abs(bias))
            h = h @ weight + bias
            if index < len(self.weights) - 1:
                h = np.maximum(h, 0.0)
        largest = float(np.abs(h).max()) + np.log(h.shape[1])
        return 2.0 * float(error.max()) + (h.shape[1] + len(h) + 10) * u * 2.0 * largest
