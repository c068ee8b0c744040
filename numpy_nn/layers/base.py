"""The layer contract.

A layer is two formulas. ``forward(x)`` returns the output; ``backward(grad_output)``, given dL/d(output), returns
dL/dx and writes the gradients of the layer's own parameters into their ``grad``. Both return arrays that belong to
the layer and are valid until its next call, or the input itself where the layer has nothing to do; an input is never
written to. The first axis of every array is the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import float_array, float_dtype, is_float
from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.parameter import Parameter


class Layer:
    """The base class: what a layer of your own inherits.

    Override :meth:`forward` and :meth:`backward`. Attributes that are :class:`Parameter` objects are found by
    themselves; names of further arrays that a checkpoint must hold go into ``buffers``. ``self._work`` hands out
    arrays that are kept from call to call (:class:`~numpy_nn._support.workspace.Workspace`).
    """

    buffers: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.training = True
        self.name = ""  # its place in the network, such as "0" or "2.1"; the network fills it in
        self._work = Workspace()
        self._input: FloatArray | None = None

    def forward(self, x: FloatArray) -> FloatArray:
        """The output for the batch ``x``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """dL/dx from dL/d(output) of the last forward call; writes the parameters' ``grad``.

        Raises ValueError before any forward call, or for a gradient that has not the output's shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """The part of :meth:`backward` that writes the parameters' ``grad``.

        A network calls it on its first layer while training, where nobody asks for the gradient of the data.
        """
        self.backward(grad_output)

    def __call__(self, x: FloatArray) -> FloatArray:
        return self.forward(x)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their names, in the order in which they were set."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def parameters(self) -> Sequence[Parameter]:
        """The parameters, as a list that an optimizer takes."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The arrays that belong to the state without being learned."""
        for name in self.buffers:
            if getattr(self, name) is not None:
                yield name, getattr(self, name)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode; returns the layer."""
        self.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode; returns the layer."""
        return self.train(False)

    def to(self, dtype: DTypeLike) -> Self:
        """Convert parameters, gradients and buffers of floats to float32 or float64, in place; returns the layer."""
        resolved = float_dtype(dtype)
        for p in self.parameters():
            p.data, p.grad = p.data.astype(resolved), p.grad.astype(resolved)
        for name, buffer in self.named_buffers():
            if buffer.dtype.kind == "f":
                setattr(self, name, buffer.astype(resolved))
        if hasattr(self, "dtype"):
            self.dtype = resolved
        self.forget()
        return self

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one output row for one input row (both without the batch)."""
        return input_shape

    def forget(self) -> None:
        """Drop what the last forward call left for a backward call, which then needs a new forward call."""
        self._input = None

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    @property
    def label(self) -> str:
        """How error messages call the layer."""
        return f"layer {self.name}, {self._short()}" if self.name else self._short()

    def _short(self) -> str:
        return repr(self)

    def _check_batch(self, x: FloatArray) -> FloatArray:
        """``x`` as a float array with at least one row."""
        x = np.asarray(x)
        if not is_float(x.dtype):  # the label is made for the message alone: it takes longer than a small layer
            float_array(x, f"{self.label}: input")
        if x.ndim == 0 or x.shape[0] == 0:
            raise ValueError(f"{self.label}: expected a batch of at least one row, got shape {x.shape}")
        return x

    def _check_features(self, x: FloatArray, features: int, dtype: np.dtype[Any]) -> FloatArray:
        """``x`` as an array of shape (batch, features) and of the parameters' dtype."""
        x = self._check_dtype(np.asarray(x), dtype)
        if x.ndim != 2 or x.shape[1] != features:
            hint = ""
            if x.ndim > 2 and math.prod(x.shape[1:]) == features:
                hint = "; put Flatten() before it"
            elif x.shape == (features,):
                hint = "; a single row is x[None, :]"
            raise ValueError(f"{self.label}: expected input of shape (batch, {features}), got {x.shape}{hint}")
        if x.shape[0] == 0:
            raise ValueError(f"{self.label}: expected a batch of at least one row, got shape {x.shape}")
        return x

    def _check_dtype(self, x: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
        if x.dtype != dtype:
            float_array(x, f"{self.label}: input")
            raise TypeError(
                f"{self.label}: expected {dtype} input, got {x.dtype}; "
                f"use x.astype(numpy.{dtype}) or build the layer with dtype=numpy.{x.dtype}"
            )
        return x

    def _last_input(self) -> FloatArray:
        if self._input is None:
            raise ValueError(f"{self.label}: backward needs a forward call before it")
        return self._input

    def _check_grad(self, grad_output: FloatArray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FloatArray:
        grad_output = np.asarray(grad_output)
        if grad_output.shape != shape:
            raise ValueError(f"{self.label}: expected grad_output of shape {shape}, got {grad_output.shape}")
        if grad_output.dtype != dtype:
            raise TypeError(f"{self.label}: expected {dtype} grad_output, got {grad_output.dtype}")
        return grad_output
