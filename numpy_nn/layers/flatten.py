"""Flatten: a row of numbers for each sample."""

from __future__ import annotations

import math

import numpy as np

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.base import Layer


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
