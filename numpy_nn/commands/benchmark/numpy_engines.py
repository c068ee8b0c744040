"""The engines on NumPy: numpy_nn, a loop written by hand for this one network, and the matrix products alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn._support.workspace import FloatArray, aligned_empty, aligned_zeros
from numpy_nn.commands.benchmark.cases import MOMENTUM
from numpy_nn.commands.benchmark.engine import Engine, TwoPassEngine, rows_of
from numpy_nn.commands.benchmark.workload import Workload

# Two factors and where their product goes.
Product = tuple[FloatArray, FloatArray, FloatArray]


class Ours(TwoPassEngine):
    """numpy_nn, by its public functions."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.net, self.criterion, self._optimizer = workload.network()
        self.x, self.y = workload.first_batch
        self.loader = nn.DataLoader(workload.x, workload.y, self.case.batch, rng=workload.orders())

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
        self.net.predict(self.workload.x, self.case.batch)


class ByHand(TwoPassEngine):
    """What a careful programmer would write for this one network, without layers, checks or choices.

    Every array is made beforehand and every operation writes into one. The parameters are one vector, the gradients
    another. ReLU works in place; the sums over the batch for the gradients of the biases are products with a vector of
    ones. The softmax is computed with a class in each row, where NumPy takes maxima and sums of whole rows at a time;
    adding the bias and multiplying with the factor, which must be done anyway, transpose there and back.

    The learning rate, a constant, is part of that factor: what SGD subtracts is then the gradient itself, and the
    "optimizer" of this engine is one subtraction. Adam is the textbook's, array by array.
    """

    velocity: FloatArray
    m: FloatArray
    v: FloatArray
    scratch: FloatArray

    def __init__(self, workload: Workload, dtype: str | None = None) -> None:
        """``dtype`` other than the case's makes this the same loop with more digits, on the first batch."""
        super().__init__(workload)
        self.dtype = dtype or self.case.dtype
        self.x_all, self.y_all = workload.x, workload.y
        if self.dtype != self.case.dtype:
            self.x_all = self.x_all[: self.case.batch].astype(self.dtype)
        self.rng = workload.orders()
        self._lay_out()
        self._make_batch_arrays(self.case.batches[0])
        states = {"sgd": (), "momentum": ("velocity",), "adam": ("m", "v", "scratch")}[self.case.optimizer]
        for state in states:
            setattr(self, state, aligned_zeros(self.p.shape, self.p.dtype))
        self.steps = 0
        # Adam divides the gradient by its own size, and needs it without the rate.
        self.rate = 1.0 if self.case.optimizer == "adam" else self.case.learning_rate
        self._update = {"sgd": self._sgd, "momentum": self._momentum, "adam": self._adam}[self.case.optimizer]

    def _lay_out(self) -> None:
        """Parameters and gradients as views into two vectors."""
        self.p, self.g = (aligned_empty(self.case.parameters, self.dtype) for _ in range(2))
        self.layers: list[tuple[FloatArray, FloatArray]] = []
        self.gradients: list[tuple[FloatArray, FloatArray]] = []
        start = 0
        for weight, bias in self.workload.weights:
            middle, stop = start + weight.size, start + weight.size + bias.size
            for vector, views in ((self.p, self.layers), (self.g, self.gradients)):
                views.append((vector[start:middle].reshape(weight.shape), vector[middle:stop]))
            self.layers[-1][0][...], self.layers[-1][1][...] = weight, bias
            start = stop

    def _make_batch_arrays(self, n: int) -> None:
        sizes, dtype = self.case.sizes, self.dtype
        self.gathered, self.gathered_y = aligned_empty((n, sizes[0]), dtype), aligned_empty(n, np.int64)
        self.outputs = [aligned_empty((n, width), dtype) for width in sizes[1:]]
        self.deltas = [aligned_empty((n, width), dtype) for width in sizes[1:-1]]
        self.masks = [aligned_empty((n, width), np.bool_) for width in sizes[1:-1]]
        self.ones = np.ones(n, dtype)
        self.by_class = aligned_empty(sizes[-1] * n, dtype)
        self.largest, self.total, self.terms = (aligned_empty(n, dtype) for _ in range(3))
        self.columns, self.picked = np.arange(n), aligned_empty(n, np.intp)
        self.zero = np.zeros((), dtype)  # an array spares NumPy the conversion of a Python number

    def _forward(self, x: FloatArray, y: NDArray[np.int64]) -> float:
        """The loss; leaves exp(z - max) in ``by_class``, with a row for each class, and its sums in ``total``."""
        n, classes = len(x), self.case.sizes[-1]
        h = x
        for index, (weight, bias) in enumerate(self.layers[:-1]):
            z = np.matmul(h, weight, out=self.outputs[index][:n])
            z += bias
            h = np.maximum(z, self.zero, out=z)
        weight, bias = self.layers[-1]
        z = np.matmul(h, weight, out=self.outputs[-1][:n])
        z = np.add(z.T, bias[:, None], out=self.by_class[: classes * n].reshape(classes, n))
        z -= np.maximum.reduce(z, axis=0, out=self.largest[:n])
        picked = np.multiply(y, n, out=self.picked[:n])
        picked += self.columns[:n]
        # Every index exists; the mode spares NumPy a copy made in case one does not.
        label = self.by_class.take(picked, out=self.largest[:n], mode="clip")
        np.exp(z, out=z)
        terms = np.log(np.add.reduce(z, axis=0, out=self.total[:n]), out=self.terms[:n])
        terms -= label
        return float(np.add.reduce(terms)) / n

    def _backward(self, x: FloatArray, y: NDArray[np.int64]) -> None:
        """The gradients times the rate, after a forward pass on the same batch."""
        n, classes = len(x), self.case.sizes[-1]
        scale = self.rate / n
        e = self.by_class[: classes * n].reshape(classes, n)
        delta = self.outputs[-1][:n]
        np.multiply(e, np.divide(scale, self.total[:n], out=self.terms[:n]), out=delta.T)
        delta[self.columns[:n], y] -= scale
        for index in range(len(self.layers) - 1, 0, -1):
            h = self.outputs[index - 1][:n]
            self._layer_gradients(h, delta, *self.gradients[index])
            before = np.matmul(delta, self.layers[index][0].T, out=self.deltas[index - 1][:n])
            before *= np.greater(h, self.zero, out=self.masks[index - 1][:n])
            delta = before
        self._layer_gradients(x, delta, *self.gradients[0])

    def _layer_gradients(self, x: FloatArray, delta: FloatArray, weight: FloatArray, bias: FloatArray) -> None:
        _product_over_batch(x, delta, weight)
        np.matmul(self.ones[: len(x)], delta, out=bias)

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

    def backward(self) -> None:
        self._backward(*self._first_batch())

    def optimizer(self) -> None:
        self._update()

    def step(self) -> None:
        self._step(*self._first_batch())

    def _step(self, x: FloatArray, y: NDArray[np.int64]) -> float:
        value = self._forward(x, y)
        self._backward(x, y)
        self._update()
        return value

    def epoch(self) -> None:
        total = 0.0
        for rows in rows_of(self.rng.permutation(len(self.x_all)), self.case.batch):
            n = len(rows)
            x = np.take(self.x_all, rows, axis=0, out=self.gathered[:n], mode="clip")
            y = np.take(self.y_all, rows, out=self.gathered_y[:n], mode="clip")
            total += self._step(x, y) * n
        self.mean_loss = total / self.case.rows

    def inference(self) -> None:
        logits = aligned_empty((self.case.rows, self.case.sizes[-1]), self.dtype)
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

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self._products = {n: (self._forward_products(n), self._backward_products(n)) for n in set(self.case.batches)}
        self._first = self._products[self.case.batches[0]]

    def _forward_products(self, n: int) -> list[Product]:
        return [
            (self._rows(n, len(weight)), weight, aligned_empty((n, weight.shape[1]), weight.dtype))
            for weight, _ in self.workload.weights
        ]

    def _backward_products(self, n: int) -> list[Product]:
        """Over the batch, for the gradient of the weight, and with the weight, for that of the input, in turn."""
        products: list[Product] = []
        for weight, _ in reversed(self.workload.weights):
            x, delta = self._rows(n, weight.shape[0]), self._rows(n, weight.shape[1])
            products.append((x, delta, aligned_empty(weight.shape, weight.dtype)))
            products.append((delta, weight.T, aligned_empty(x.shape, x.dtype)))
        return products[:-1]  # nobody asks for the gradient of the data

    def _rows(self, n: int, width: int) -> FloatArray:
        # Not the results of other products, so that numbers neither grow nor vanish.
        rows = aligned_empty((n, width), self.case.dtype)
        rows[...] = np.random.default_rng(0).random((n, width))
        return rows

    def prepare(self) -> None:
        """Nothing: each product has its operands."""

    def forward(self) -> None:
        _multiply_forward(self._first[0])

    def backward(self) -> None:
        _multiply_backward(self._first[1])

    def step(self) -> None:
        _multiply_forward(self._first[0])
        _multiply_backward(self._first[1])

    def epoch(self) -> None:
        for n in self.case.batches:
            forward, backward = self._products[n]
            _multiply_forward(forward)
            _multiply_backward(backward)

    def inference(self) -> None:
        for n in self.case.batches:
            _multiply_forward(self._products[n][0])


def _multiply_forward(products: list[Product]) -> None:
    for a, b, out in products:
        np.matmul(a, b, out=out)


def _multiply_backward(products: list[Product]) -> None:
    for index, (a, b, out) in enumerate(products):
        if index % 2 == 0:
            _product_over_batch(a, b, out)
        else:
            np.matmul(a, b, out=out)


def _product_over_batch(x: FloatArray, delta: FloatArray, out: FloatArray) -> None:
    """x^T delta; of a single row it is an outer product, which dot gives to BLAS and matmul does not."""
    if len(x) == 1:
        np.dot(x.T, delta, out=out)
    else:
        np.matmul(x.T, delta, out=out)
