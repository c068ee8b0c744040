"""Linear, the layer that learns: y = x W + b."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn import initializers
from numpy_nn._support.checks import Seed, count, float_dtype
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.float_layer import FloatLayer
from numpy_nn.parameter import Parameter


class Linear(FloatLayer):
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

    def check_input(self, x: FloatArray) -> FloatArray:
        return self.check_features(x, self.in_features, self.weight.dtype)

    def forward(self, x: FloatArray) -> FloatArray:
        """x W + b."""
        y = np.matmul(x, self.weight.data, out=self._work("y", (x.shape[0], self.out_features), x.dtype))
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G W^T, after x^T G and the column sums of G, which are the parameters' gradients."""
        x = self.saved
        self._write_gradients(x, grad_output)
        return np.matmul(grad_output, self.weight.data.T, out=self._work.like("dx", x))

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """x^T G and the column sums of G."""
        self._write_gradients(self.saved, grad_output)

    def _write_gradients(self, x: FloatArray, grad_output: FloatArray) -> None:
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
