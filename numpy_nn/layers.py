"""The layer contract, and the layers Linear, Flatten and Dropout.

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

from numpy_nn import initializers
from numpy_nn.checks import Seed, count, float_array, float_dtype, generator, is_float, number
from numpy_nn.parameter import Parameter
from numpy_nn.workspace import FloatArray, Workspace


class Layer:
    """The base class: what a layer of your own inherits.

    Override :meth:`forward` and :meth:`backward`. Attributes that are :class:`Parameter` objects are found by
    themselves; names of further arrays that a checkpoint must hold go into ``buffers``. ``self._work`` hands out
    arrays that are kept from call to call (:class:`~numpy_nn.workspace.Workspace`).
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


class Linear(Layer):
    """y = x W + b, with x (batch, in_features), W (in_features, out_features), b (out_features,).

    Backward, with G = dL/dy of shape (batch, out_features)::

        dL/dW = x^T G        since y_nj = sum_i x_ni W_ij + b_j, dL/dW_ij = sum_n x_ni G_nj
        dL/db = sum_n G_n
        dL/dx = G W^T

    W lies the other way round than in torch.nn.Linear. Initial values are torch's: both uniform on
    [-1/sqrt(in_features), 1/sqrt(in_features)].
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, rng: Seed = None, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__()
        self.in_features = count(in_features, "in_features")
        self.out_features = count(out_features, "out_features")
        dtype = float_dtype(dtype)
        self.weight = Parameter(np.empty((self.in_features, self.out_features), dtype))
        self.bias = Parameter(np.empty(self.out_features, dtype)) if bias else None
        initializers.linear_default_(self.weight, self.bias, rng=rng)
        self._one = np.ones(0, dtype)

    def forward(self, x: FloatArray) -> FloatArray:
        """X W + b."""
        weight = self.weight.data
        self._input = x = self._check_features(x, self.in_features, weight.dtype)
        output = self._work("output", (x.shape[0], self.out_features), weight.dtype)
        np.matmul(x, weight, out=output)
        if self.bias is not None:
            output += self.bias.data
        return output

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G W^T, after writing x^T G and the column sums of G into the parameters' ``grad``."""
        self.backward_parameters(grad_output)
        x = self._last_input()
        return np.matmul(grad_output, self.weight.data.T, out=self._work("grad_input", x.shape, x.dtype))

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """Write x^T G and the column sums of G into the parameters' ``grad``."""
        x = self._last_input()
        grad_output = self._check_grad(grad_output, (x.shape[0], self.out_features), x.dtype)
        # matmul does not know that a product of one row is an outer one; dot does, but fills its result with 0 first.
        product = np.dot if x.shape[0] == 1 else np.matmul
        product(x.T, grad_output, out=self.weight.grad)
        if self.bias is not None:
            # A product with ones, as sum is slow over few rows.
            np.matmul(self._ones(x.shape[0], x.dtype), grad_output, out=self.bias.grad)

    def _ones(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        if self._one.size < rows or self._one.dtype != dtype:
            self._one = np.ones(rows, dtype)
        return self._one[:rows]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _short(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"


class Flatten(Layer):
    """(batch, d_1, d_2, ...) to (batch, d_1 d_2 ...), in C order; backward reshapes back."""

    def forward(self, x: FloatArray) -> FloatArray:
        """The same numbers, one row for each sample; a view where the memory allows it."""
        self._input = x = self._check_batch(x)
        if not x.flags.c_contiguous:
            copy = self._work.like("output", x)
            np.copyto(copy, x)
            x = copy
        return x.reshape(x.shape[0], -1)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """The gradient in the shape of the input."""
        x = self._last_input()
        grad_output = self._check_grad(grad_output, (x.shape[0], math.prod(x.shape[1:])), x.dtype)
        return grad_output.reshape(x.shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(input_shape),)


class Dropout(Layer):
    """Inverted dropout: y = x m, with each m_ij 0 with probability p, else 1 / (1 - p); in eval mode y = x.

    E[y] = x in both modes, so that evaluation needs no rescaling (Srivastava et al., JMLR 15, 2014, section 10).
    Backward: dL/dx = G m with the mask of the last forward call, which stays readable as ``mask``.
    """

    def __init__(self, p: float = 0.5, *, rng: Seed = None) -> None:
        super().__init__()
        self.p = number(p, "p", low=0.0, high=1.0)
        self.rng = generator(rng)
        self.mask: FloatArray | None = None

    def forward(self, x: FloatArray) -> FloatArray:
        """X m in training mode, x itself in evaluation mode."""
        self._input = x = self._check_batch(x)
        if not self.training or self.p == 0.0:
            self.mask = None
            return x
        self.mask = mask = self._work.like("mask", x)
        self.rng.random(out=mask, dtype=x.dtype.type)
        np.greater_equal(mask, self.p, out=mask)
        if self.p < 1.0:
            mask *= 1.0 / (1.0 - self.p)
        return np.multiply(x, mask, out=self._work.like("output", x))

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G m."""
        x = self._last_input()
        grad_output = self._check_grad(grad_output, x.shape, x.dtype)
        if self.mask is None:
            return grad_output
        return np.multiply(grad_output, self.mask, out=self._work.like("grad_input", x))

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
