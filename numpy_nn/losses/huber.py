"""Huber's loss: squared for small errors, absolute for large ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import Loss, same_shape


class HuberLoss(Loss):
    """Half the square of d = o - t up to |d| = ``delta``, from there on straight, for each entry of one shape.

        term = d^2 / 2 if |d| <= delta, else delta (|d| - delta / 2)
        d term / d o = d cut off at -delta and delta

    With c = min(|d|, delta) both are c (|d| - c / 2). The two meet at |d| = delta with one value and one derivative,
    so that an outlier pulls no more than an error of delta does (P. J. Huber, "Robust Estimation of a Location
    Parameter", 1964). "mean" divides by the number of entries, not of rows.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = number(delta, "HuberLoss: delta", above=0.0)

    def terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        target = same_shape(target, output, "HuberLoss")
        difference = np.subtract(output, target, out=self._work.like("difference", output))
        self.saved = (difference,)
        size = np.abs(difference, out=self._work.like("terms", output))
        cut = np.minimum(size, self.delta, out=self._work.like("cut", output))
        half = np.multiply(cut, 0.5, out=self._work.like("half", output))
        size -= half
        size *= cut
        return size

    def gradient(self) -> FloatArray:
        (difference,) = self.saved
        return np.clip(difference, -self.delta, self.delta, out=self._work.like("gradient", difference))

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"{super().extra_repr()}, delta={self.delta:g}"
