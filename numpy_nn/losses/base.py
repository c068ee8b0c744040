"""The loss contract: a scalar function of the network's output and the targets, and its gradient by the output.

``loss(output, target)`` returns a Python float for ``reduction="mean"`` and "sum", an array with one entry for each
term for "none". ``loss.backward()`` then returns dL/d(output), in the shape and dtype of the output. With "none" it
takes the upstream gradient of each term, ones if none is given; else it takes none. Arrays belong to the loss and are
valid until its next call.

TypeError is raised for outputs that are not float32 or float64 and for targets of the wrong kind, ValueError for an
empty batch, shapes that do not fit, labels out of range, and ``backward()`` before a forward call.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import choice, float_array, same_dtype
from numpy_nn._support.workspace import FloatArray, Workspace

REDUCTIONS = ("mean", "sum", "none")


class Loss:
    """The base class: a subclass gives the terms and their derivatives, the reduction is made here.

    :meth:`_terms` returns one term for each row or entry; :meth:`_gradient` returns the derivative of each term by
    the outputs that it depends on, which the reduction then scales.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, f"{type(self).__name__}: reduction", REDUCTIONS)
        self._work = Workspace()
        self._terms_shape: tuple[int, ...] | None = None
        self._saved: tuple[NDArray[Any], ...] = ()  # what backward needs of the forward call

    def forward(self, output: FloatArray, target: NDArray[Any]) -> Any:
        """The loss: a float, or an array of terms for reduction "none"."""
        name = type(self).__name__
        output = float_array(output, f"{name}: output")
        if output.ndim == 0 or output.size == 0:
            raise ValueError(f"{name}: expected a batch of at least one row, got output of shape {output.shape}")
        self._terms_shape = None
        terms = self._terms(output, np.asarray(target))
        self._terms_shape = terms.shape
        if self.reduction == "none":
            return terms
        total = float(np.add.reduce(terms, axis=None))
        return total / terms.size if self.reduction == "mean" else total

    def __call__(self, output: FloatArray, target: NDArray[Any]) -> Any:
        return self.forward(output, target)

    def backward(self, grad_output: ArrayLike | None = None) -> FloatArray:
        """dL/d(output) for the last forward call."""
        name = type(self).__name__
        if self._terms_shape is None:
            raise ValueError(f"{name}: backward needs a forward call before it")
        gradient = self._gradient()
        if grad_output is not None:
            if self.reduction != "none":
                raise ValueError(f'{name}: grad_output goes with reduction "none" only, not "{self.reduction}"')
            upstream = same_dtype(grad_output, gradient.dtype, f"{name}: grad_output")
            if upstream.shape != self._terms_shape:
                raise ValueError(f"{name}: expected grad_output of shape {self._terms_shape}, got {upstream.shape}")
            gradient *= upstream.reshape(upstream.shape + (1,) * (gradient.ndim - upstream.ndim))
        elif self.reduction == "mean":
            gradient *= 1.0 / math.prod(self._terms_shape)
        return gradient

    def count_correct(self) -> int | None:
        """How many rows of the last forward call were classified rightly; None where that has no meaning."""
        return None

    def _terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        raise NotImplementedError

    def _gradient(self) -> FloatArray:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reduction={self.reduction!r})"


def same_shape(target: NDArray[Any], output: FloatArray, name: str) -> FloatArray:
    """The target as an array of the output's dtype and shape, which it must have."""
    target = same_dtype(target, output.dtype, f"{name}: target")
    if target.shape != output.shape:
        raise ValueError(f"{name}: expected target of the output's shape {output.shape}, got {target.shape}")
    return target
