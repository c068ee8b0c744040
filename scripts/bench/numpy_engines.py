"""The engines on NumPy: numpy_nn, a loop written by hand for this one network, and the matrix products alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.workspace import FloatArray
from scripts.bench.cases import MOMENTUM, Problem
from scripts.bench.engines import Engine, rows_of

# Two factors and where their product goes.
Product = tuple[FloatArray, FloatArray, FloatArray]


class Ours(Engine):
    """numpy_nn, by its public functions."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.net, self.criterion, self._optimizer = problem.network()
        self.x, self.y = problem.first_batch
        self.loader = nn.DataLoader(problem.x, problem.y, self.case.batch, rng=problem.orders())

    def loss(self) -> float:
        return float(self.criterion(self.net(self.x), self.y))

    def parameters(self) -> list[NDArray[Any]]:
        return [p.data.copy() for p in self.net.parameters()]

    def forward(self) -> None:
        self.criterion(self.net(self.x), self.y)

    def backward(self) -> None:
        self.net.backward_parameters(self.criterion.backward())

    def optimizer(self) -> None:
        self._optimizer.step()

    def step(self) -> None:
        nn.train_step(self.net, self.criterion, self._optimizer, self.x, self.y)

    def epoch(self) -> None:
        total = 0.0
        for x, y in self.loader:
            total += nn.train_step(self.net, self.criterion, self._optimizer, x, y) * len(x)
        self.mean_loss = total / self.case.rows

    def inference(self) -> None:
        self.net.predict(self.problem.x, self.case.batch)


class ByHand(Engine):
    """What a careful programmer would write for this one network, without layers, checks or choices.

    Every array is made beforehand and every operation writes into one. The parameters are one vector, the gradients
    another. ReLU and softmax work in place; the sums over the batch for the gradients of the biases are products with
    a vector of ones. The learning rate, constant, is a factor of the logits' gradient: what SGD subtracts is then the
    gradient itself, and the "optimizer" of this engine is one subtraction. Adam is the textbook's, array by array.
    """

    def __init__(self, problem: Problem, dtype: str | None = None) -> None:
        """``dtype`` other than the case's makes this the same loop with more digits."""
        super().__init__(problem)
        self.dtype = dtype = dtype or self.case.dtype
        self.x_all, self.y_all = problem.x, problem.y
        if dtype != self.case.dtype:
            self.x_all = self.x_all[: self.case.batch].astype(dtype)
        self.rng = problem.orders()
        self._lay_out(dtype)
        self._make_batch_arrays(min(self.case.batch, self.case.rows), dtype)
        self.gathered = np.empty((self.case.batch, self.case.sizes[0]), dtype)
        self.gathered_y = np.empty(self.case.batch, np.int64)
        adam = self.case.optimizer == "adam"
        self.velocity = np.zeros_like(self.p)
        self.m, self.v, self.scratch = (np.zeros_like(self.p) for _ in range(3))
        self.steps = 0
        # Adam divides the gradient by its own size, and needs it without the rate.
        self.rate = 1.0 if adam else self.case.learning_rate
        self._update = {"sgd": self._sgd, "momentum": self._momentum, "adam": self._adam}[self.case.optimizer]

    def _lay_out(self, dtype: str) -> None:
        """Parameters and gradients as views into two vectors."""
        self.p, self.g = (np.empty(self.case.parameters, dtype) for _ in range(2))
        self.layers: list[tuple[FloatArray, FloatArray]] = []
        self.gradients: list[tuple[FloatArray, FloatArray]] = []
        start = 0
        for weight, bias in self.problem.weights:
            middle, stop = start + weight.size, start + weight.size + bias.size
            for vector, views in ((self.p, self.layers), (self.g, self.gradients)):
                views.append((vector[start:middle].reshape(weight.shape), vector[middle:stop]))
            self.layers[-1][0][...], self.layers[-1][1][...] = weight, bias
            start = stop

    def _make_batch_arrays(self, n: int, dtype: str) -> None:
        sizes = self.case.sizes
        self.outputs = [np.empty((n, width), dtype) for width in sizes[1:]]
        self.deltas = [np.empty((n, width), dtype) for width in sizes[1:-1]]
        self.masks = [np.empty((n, width), np.bool_) for width in sizes[1:-1]]
        self.ones = np.ones(n, dtype)
        self.largest, self.total = (np.empty((n, 1), dtype) for _ in range(2))
        self.row_starts = np.arange(n) * sizes[-1]
        self.picked = np.empty(n, np.intp)
        self.label_logits, self.terms = (np.empty(n, dtype) for _ in range(2))
        self.zero = np.zeros((), dtype)  # an array spares NumPy the conversion of a Python number

    def _forward(self, x: FloatArray, y: NDArray[np.int64]) -> float:
        n = len(x)
        h = x
        for index, (weight, bias) in enumerate(self.layers):
            z = np.matmul(h, weight, out=self.outputs[index][:n])
            z += bias
            h = np.maximum(z, self.zero, out=z) if index < len(self.layers) - 1 else z
        h -= np.maximum.reduce(h, axis=1, keepdims=True, out=self.largest[:n])
        picked = np.add(self.row_starts[:n], y, out=self.picked[:n])
        label = h.reshape(-1).take(picked, out=self.label_logits[:n], mode="clip")
        np.exp(h, out=h)
        total = np.add.reduce(h, axis=1, keepdims=True, out=self.total[:n])
        terms = np.log(total[:, 0], out=self.terms[:n])
        terms -= label
        return float(terms.sum()) / n

    def _backward(self, x: FloatArray) -> None:
        """The gradients times the rate. The output holds exp(z - max), whose sums are in ``total``."""
        n = len(x)
        delta, total, picked = self.outputs[-1][:n], self.total[:n], self.picked[:n]
        scale = self.rate / n
        delta *= np.divide(scale, total, out=total)
        flat = delta.reshape(-1)
        flat[picked] -= scale
        for index in range(len(self.layers) - 1, 0, -1):
            h = self.outputs[index - 1][:n]
            weight_gradient, bias_gradient = self.gradients[index]
            np.matmul(h.T, delta, out=weight_gradient)
            np.matmul(self.ones[:n], delta, out=bias_gradient)
            before = np.matmul(delta, self.layers[index][0].T, out=self.deltas[index - 1][:n])
            before *= np.greater(h, self.zero, out=self.masks[index - 1][:n])
            delta = before
        weight_gradient, bias_gradient = self.gradients[0]
        np.matmul(x.T, delta, out=weight_gradient)
        np.matmul(self.ones[:n], delta, out=bias_gradient)

    def _sgd(self) -> None:
        self.p -= self.g

    def _momentum(self) -> None:
        self.velocity *= MOMENTUM
        self.velocity += self.g
        self.p -= self.velocity

    def _adam(self, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        self.steps += 1
        scratch = self.scratch
        self.m *= beta1
        self.m += np.multiply(self.g, 1.0 - beta1, out=scratch)
        self.v *= beta2
        np.square(self.g, out=scratch)
        scratch *= 1.0 - beta2
        self.v += scratch
        # The corrections of the means, as in the note after algorithm 1 of Kingma and Ba, 2015.
        correction = math.sqrt(1.0 - beta2**self.steps)
        np.sqrt(self.v, out=scratch)
        scratch += eps * correction
        np.divide(self.m, scratch, out=scratch)
        scratch *= self.case.learning_rate * correction / (1.0 - beta1**self.steps)
        self.p -= scratch

    def loss(self) -> float:
        return self._forward(*self._first_batch())

    def parameters(self) -> list[NDArray[Any]]:
        return [array.copy() for layer in self.layers for array in layer]

    def _first_batch(self) -> tuple[FloatArray, NDArray[np.int64]]:
        return self.x_all[: self.case.batch], self.y_all[: self.case.batch]

    def forward(self) -> None:
        self._forward(*self._first_batch())

    def prepare(self) -> None:
        super().prepare()
        if self.case.kind == "backward":
            # A backward pass turns the output in place. Timed again and again it would run on its own results: let
            # them be the numbers that it finds after a forward pass.
            self.forward()
            self.saved = self.outputs[-1].copy(), self.total.copy()

    def backward(self) -> None:
        if hasattr(self, "saved"):
            np.copyto(self.outputs[-1], self.saved[0])
            np.copyto(self.total, self.saved[1])
        self._backward(self._first_batch()[0])

    def optimizer(self) -> None:
        self._update()

    def step(self) -> None:
        self._step(*self._first_batch())

    def _step(self, x: FloatArray, y: NDArray[np.int64]) -> float:
        value = self._forward(x, y)
        self._backward(x)
        self._update()
        return value

    def epoch(self) -> None:
        total = 0.0
        for rows in rows_of(self.rng.permutation(len(self.x_all)), self.case.batch):
            n = len(rows)
            # Every row exists; the mode spares NumPy a copy made in case one does not.
            x = np.take(self.x_all, rows, axis=0, out=self.gathered[:n], mode="clip")
            y = np.take(self.y_all, rows, out=self.gathered_y[:n], mode="clip")
            total += self._step(x, y) * n
        self.mean_loss = total / self.case.rows

    def inference(self) -> None:
        logits = np.empty((self.case.rows, self.case.sizes[-1]), self.dtype)
        last = len(self.layers) - 1
        for start in range(0, self.case.rows, self.case.batch):
            h = self.x_all[start : start + self.case.batch]
            n = len(h)
            for index, (weight, bias) in enumerate(self.layers):
                out = logits[start : start + n] if index == last else self.outputs[index][:n]
                z = np.matmul(h, weight, out=out)
                z += bias
                h = z if index == last else np.maximum(z, self.zero, out=z)


class Floor(Engine):
    """Only the matrix products of the case, one after the other, into arrays that exist.

    The rows are one batch that stays in the cache, whatever the case: no engine that multiplies with the same BLAS
    can be faster.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._products = {n: (self._forward_products(n), self._backward_products(n)) for n in set(self.case.batches)}
        self._first = self._products[self.case.batches[0]]

    def _forward_products(self, n: int) -> list[Product]:
        return [
            (self._rows(n, len(weight)), weight, np.empty((n, weight.shape[1]), weight.dtype))
            for weight, _ in self.problem.weights
        ]

    def _backward_products(self, n: int) -> list[Product]:
        products: list[Product] = []
        for weight, _ in reversed(self.problem.weights):
            x, delta = self._rows(n, weight.shape[0]), self._rows(n, weight.shape[1])
            products.append((x.T, delta, np.empty_like(weight)))
            products.append((delta, weight.T, np.empty_like(x)))
        return products[:-1]  # nobody asks for the gradient of the data

    def _rows(self, n: int, width: int) -> FloatArray:
        # Not the results of other products, so that numbers neither grow nor vanish.
        return np.random.default_rng(0).random((n, width)).astype(self.case.dtype)

    def prepare(self) -> None:
        """Nothing: each product has its operands."""

    def forward(self) -> None:
        _multiply(self._first[0])

    def backward(self) -> None:
        _multiply(self._first[1])

    def step(self) -> None:
        _multiply(self._first[0])
        _multiply(self._first[1])

    def epoch(self) -> None:
        for n in self.case.batches:
            for products in self._products[n]:
                _multiply(products)

    def inference(self) -> None:
        for n in self.case.batches:
            _multiply(self._products[n][0])


def _multiply(products: list[Product]) -> None:
    for a, b, out in products:
        np.matmul(a, b, out=out)
