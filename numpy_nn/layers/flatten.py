"""Flatten, which makes rows of images."""

from __future__ import annotations

import math

import numpy as np

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.float_layer import FloatLayer


class Flatten(FloatLayer):
    """(batch, d_1, d_2, ...) to (batch, d_1 d_2 ...), in C order; backward reshapes back."""

    def forward(self, x: FloatArray) -> FloatArray:
        """The same numbers, one row for each sample."""
        self.saved = x.shape
        if not x.flags.c_contiguous:
            copy = self._work.like("y", x)
            np.copyto(copy, x)
            x = copy
        return x.reshape(x.shape[0], -1)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """The gradient in the shape of the input."""
        return grad_output.reshape(self.saved)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(input_shape),)
