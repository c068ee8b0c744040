"""The same layers and losses as others write them: samples in columns, or float32 inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.proof.bank.right_layers import Array, Case, Layer
from scripts.proof.bank.right_losses import Loss


def transposed(array: NDArray[Any]) -> NDArray[Any]:
    """A matrix transposed, a vector as a column."""
    return array.T if array.ndim == 2 else array.reshape(-1, 1) if array.ndim == 1 else array


class InColumns(Layer):
    """y = W x + b with x of shape (features, batch): a layer for rows with everything transposed."""

    def __init__(self, inner: Layer) -> None:
        super().__init__()
        self.inner = inner
        self.params = {name: transposed(p).copy() for name, p in inner.params.items()}
        self.grads = {name: transposed(g).copy() for name, g in inner.grads.items()}

    def forward(self, x: Array) -> Array:
        for name, p in self.params.items():
            self.inner.params[name] = p.T.reshape(self.inner.params[name].shape)
        y = transposed(self.inner.forward(x.T))
        # What the layer keeps in attributes, its writer would keep too, in columns.
        for name, kept in vars(self.inner).items():
            if isinstance(kept, np.ndarray) and kept.ndim == 2:
                setattr(self, name, kept.T.copy())
        return y

    def backward(self, g: Array) -> Array:
        dx = transposed(self.inner.backward(g.T))
        self.grads = {name: transposed(np.asarray(grad)) for name, grad in self.inner.grads.items()}
        return dx


class LossInColumns:
    """A loss of scores of shape (classes, batch)."""

    def __init__(self, inner: Loss) -> None:
        self.inner = inner

    def forward(self, output: Array, target: NDArray[Any]) -> float:
        return self.inner.forward(output.T, target.T)

    def backward(self) -> Array:
        return self.inner.backward().T


def in_columns(case: Case) -> Case:
    """The case with samples in columns."""
    target, x, targets = case
    if targets is not None:
        return LossInColumns(target), np.ascontiguousarray(x.T), targets.T
    return InColumns(target), np.ascontiguousarray(x.T), None


class InFloat32(Layer):
    """A layer that casts what it is given to float32, and its weights: those it keeps are of float64."""

    def __init__(self, inner: Layer) -> None:
        super().__init__()
        self.inner, self.params, self.grads = inner, dict(inner.params), dict(inner.grads)

    def forward(self, x: Array) -> Array:
        self.inner.params = {name: p.astype(np.float32) for name, p in self.params.items()}
        return self.inner.forward(x.astype(np.float32))

    def backward(self, g: Array) -> Array:
        before = {name: p.copy() for name, p in self.inner.params.items()}
        dx = self.inner.backward(g.astype(np.float32))
        self.grads = dict(self.inner.grads)
        for name, p in self.inner.params.items():
            self.params[name] += p - before[name]
        return dx


class LossInFloat32:
    """A loss that casts its output to float32."""

    def __init__(self, inner: Loss) -> None:
        self.params, self.inner = dict(getattr(inner, "params", {})), inner
        self.grads: dict[str, Array] = {}

    def forward(self, output: Array, target: NDArray[Any]) -> float:
        return self.inner.forward(output.astype(np.float32), target)

    def backward(self) -> Array:
        dx = self.inner.backward()
        self.grads = dict(getattr(self.inner, "grads", {}))
        return dx


def in_float32(case: Case) -> Case:
    """The case with float32 inside."""
    target, x, targets = case
    return (LossInFloat32(target) if targets is not None else InFloat32(target)), x, targets


VARIANTS = {"float64": lambda case: case, "float32": in_float32}
"""By name, what may be done to every case of the bank."""
