"""What the layers here have in common beyond the contract: checks of their inputs, and arrays that they reuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numpy_nn._support.checks import float_array, is_float
from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.layers.base import Layer


class FloatLayer(Layer):
    """The base class of the layers here, which take float32 or float64 and reuse their arrays from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self._work = Workspace()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._work = Workspace()

    def check_input(self, x: FloatArray) -> FloatArray:
        """``x`` as an array of floats with at least one row."""
        x = np.asarray(x)
        if not is_float(x.dtype):  # the label is made for the message alone: it takes longer than a small layer
            float_array(x, f"{self.label}: input")
        if x.ndim == 0 or x.shape[0] == 0:
            raise ValueError(f"{self.label}: expected a batch of at least one row, got shape {x.shape}")
        return x

    def check_features(self, x: FloatArray, features: int, dtype: np.dtype[Any]) -> FloatArray:
        """``x`` as an array of shape (batch, features) and of the parameters' dtype."""
        x = np.asarray(x)
        if x.dtype == dtype and x.ndim == 2 and x.shape[1] == features and x.shape[0] > 0:
            return x
        x = self.check_dtype(x, dtype)
        if x.ndim != 2 or x.shape[1] != features:
            hint = ""
            if x.ndim > 2 and math.prod(x.shape[1:]) == features:
                hint = "; put Flatten() before it"
            elif x.shape == (features,):
                hint = "; a single row is x[None, :]"
            raise ValueError(f"{self.label}: expected input of shape (batch, {features}), got {x.shape}{hint}")
        raise ValueError(f"{self.label}: expected a batch of at least one row, got shape {x.shape}")

    def check_dtype(self, x: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
        """``x``, which must have the parameters' dtype."""
        if x.dtype != dtype:
            float_array(x, f"{self.label}: input")
            raise TypeError(
                f"{self.label}: expected {dtype} input, got {x.dtype}; "
                f"use x.astype(numpy.{dtype}) or build the layer with dtype=numpy.{x.dtype}"
            )
        return x
