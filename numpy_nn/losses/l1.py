"""The mean absolute error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import Loss, same_shape


class L1Loss(Loss):
    """|o - t| for each entry of output and target, which have one shape; d term / d o = sign(o - t), 0 at the kink.

    Where o - t is NaN so is the derivative, which is 0 in torch. "mean" divides by the number of entries, not of rows.
    """

    def terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        target = same_shape(target, output, "L1Loss")
        difference = np.subtract(output, target, out=self._work.like("difference", output))
        self.saved = (difference,)
        return np.abs(difference, out=self._work.like("terms", output))

    def gradient(self) -> FloatArray:
        (difference,) = self.saved
        return np.sign(difference, out=self._work.like("gradient", difference))
