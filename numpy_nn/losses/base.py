"""Losses: each a scalar function of the network's output and the targets, and its gradient with respect to the output.

``loss(output, target)`` returns a Python float for ``reduction="mean"`` and "sum", an array with one entry for each
term for "none". ``loss.backward()`` then returns dL/d(output), in the shape and dtype of the output. With "none" it
takes the gradient of each term, ones if none is given; else it takes none. What is returned is the caller's. What is
given stays the caller's as well, but must stay as it is until the backward call, which reads it again.

TypeError is raised for outputs that are not float32 or float64 and for targets of the wrong kind, ValueError for an
empty batch, shapes that do not fit, labels out of range, and ``backward()`` before a forward call.
"""

from __future__ import annotations

import math
from abc import ABCMeta, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import choice, float_array, is_float, same_dtype
from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.parameter import structure

REDUCTIONS = ("mean", "sum", "none")


class Score(NamedTuple):
    """What a batch gave: its loss, how many of how many answers are right, and what the batch weighs.

    An answer is a row, or an entry where each entry of a row is classified by itself; ``correct`` is None for a loss
    that does not classify. ``weight`` is that of the batch's loss in a mean over batches: the number of rows, or where
    rows are weighed or left out, the sum of their weights; 0 if no row counts, and the loss is NaN.
    """

    loss: float
    correct: int | None
    answers: int
    weight: float


class LossType(ABCMeta):
    """The type of all classes of losses: it counts what a class is given, or loses, after it was defined."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        structure.formulas += 1

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        structure.formulas += 1


class Loss(metaclass=LossType):
    """The base class: a subclass gives the terms and their derivatives, the reduction is made here.

    ``terms(output, target)`` returns one term for each row or entry, and keeps in ``saved`` what ``gradient()`` needs:
    the derivative of each term with respect to the outputs that it depends on, which the reduction then scales.
    "mean" divides by the number of terms. For a weighted mean, ``terms`` keeps in ``row_weights`` what it multiplied
    each term by: then their sum divides. Where that is 0, loss and gradient are NaN. Rows that it marks in the mask
    ``left_out`` have neither a term nor a gradient.
    """

    # What a forward call leaves for its reduction and for backward.
    saved: Any = None
    row_weights: Any = None
    left_out: Any = None

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, f"{type(self).__name__}: reduction", REDUCTIONS)
        self._work = Workspace()
        self._terms_shape: tuple[int, ...] | None = None
        self._denominator = math.nan

    @abstractmethod
    def terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        """One term for each row or entry of the output."""

    @abstractmethod
    def gradient(self) -> FloatArray:
        """The derivative of each term of the last call of :meth:`terms`, in the shape of the output."""

    def forward(self, output: FloatArray, target: NDArray[Any]) -> Any:
        """The loss: a float, or an array of terms for reduction "none"."""
        output = np.asarray(output)
        if not is_float(output.dtype):  # the name is made for the message alone
            float_array(output, f"{type(self).__name__}: output")
        if output.ndim == 0 or output.size == 0:
            expected = "expected a batch of at least one row"
            raise ValueError(f"{type(self).__name__}: {expected}, got output of shape {output.shape}")
        self._terms_shape = self.row_weights = self.left_out = None
        return self._reduced(self.terms(output, np.asarray(target)))

    def _reduced(self, terms: FloatArray) -> Any:
        """The loss of these terms, the last ones."""
        if self.left_out is not None:
            terms[self.left_out] = 0.0
        weights = self.row_weights
        size = terms.size if weights is None else float(np.add.reduce(weights, dtype=np.float64))
        self._terms_shape, self._denominator = terms.shape, size or math.nan
        if self.reduction == "none":
            return terms.copy()
        total = float(np.add.reduce(terms, axis=None))
        return total / self._denominator if self.reduction == "mean" else total

    def __call__(self, output: FloatArray, target: NDArray[Any]) -> Any:
        return self.forward(output, target)

    def score(self, output: FloatArray, target: NDArray[Any]) -> Score:
        """The loss, how many terms count and are classified rightly, and what the loss weighs beside other batches'."""
        return self.scored(self(output, target), len(output))

    def scored(self, loss: float, n: int) -> Score:
        """The score of the last batch, of n rows, whose loss this is."""
        assert self._terms_shape is not None
        terms = math.prod(self._terms_shape)
        counted = terms if self.left_out is None else terms - int(np.count_nonzero(self.left_out))
        weight = 0.0 if math.isnan(self._denominator) else n * self._denominator / terms
        return Score(loss, self._count_correct(), counted, weight)

    def _count_correct(self) -> int | None:
        """How many of the rows in ``saved`` are classified rightly."""
        return None

    def backward(self, grad_output: ArrayLike | None = None) -> FloatArray:
        """dL/d(output) for the last forward call."""
        name = type(self).__name__
        if self._terms_shape is None:
            raise ValueError(f"{name}: backward needs a forward call before it")
        gradient = self.gradient()
        # What is returned is the caller's.
        own = np.empty(gradient.shape, gradient.dtype)
        if grad_output is not None:
            if self.reduction != "none":
                raise ValueError(f'{name}: grad_output goes with reduction "none" only, not "{self.reduction}"')
            grad_output = same_dtype(grad_output, gradient.dtype, f"{name}: grad_output")
            if grad_output.shape != self._terms_shape:
                raise ValueError(f"{name}: expected grad_output of shape {self._terms_shape}, got {grad_output.shape}")
            np.multiply(
                gradient, grad_output.reshape(grad_output.shape + (1,) * (own.ndim - grad_output.ndim)), out=own
            )
        else:
            self._reduce_gradient(gradient, own)
        if self.left_out is not None:
            own[self.left_out] = 0.0
        return own

    def _reduce_gradient(self, gradient: FloatArray, out: FloatArray) -> None:
        """The gradient of the mean or the sum, from the derivatives of the terms."""
        if self.reduction == "mean":
            np.multiply(gradient, 1.0 / self._denominator, out=out)
        else:
            np.copyto(out, gradient)

    def __getstate__(self) -> dict[str, Any]:
        # A copy begins before any forward call.
        passing = ("saved", "row_weights", "left_out", "_work")
        return {name: value for name, value in vars(self).items() if name not in passing} | {"_terms_shape": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._work = Workspace()

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"reduction={self.reduction!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


def same_shape(target: NDArray[Any], output: FloatArray, name: str) -> FloatArray:
    """``target``, which must have the shape and dtype of the output."""
    target = same_dtype(target, output.dtype, f"{name}: target")
    if target.shape != output.shape:
        raise ValueError(f"{name}: expected target of the output's shape {output.shape}, got {target.shape}")
    return target


def weight_array(weight: ArrayLike, name: str) -> FloatArray:
    """A copy of ``weight``, which must be float32 or float64, finite and nowhere negative."""
    weight = float_array(weight, name).copy()
    if not (np.isfinite(weight).all() and (weight >= 0.0).all()):
        raise ValueError(f"{name}: expected finite weights >= 0, got {weight.min():g} .. {weight.max():g}")
    return weight


def shown(name: str, weight: FloatArray | None) -> str:
    """``name=[...], `` for a repr, of many numbers their shape; nothing for no weight."""
    if weight is None:
        return ""
    few = weight.ndim == 1 and weight.size <= 10
    return f"{name}=[{', '.join(f'{w:g}' for w in weight)}], " if few else f"{name}=<shape {weight.shape}>, "
