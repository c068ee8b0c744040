"""The perceptron's loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import Loss, same_shape


class PerceptronLoss(Loss):
    """max(0, -y f) for outputs f and targets y in {-1, +1} of one shape: the hinge at zero.

    The derivative with respect to f is -y where y f <= 0, else 0. At the kink, f = 0, it is -y, not 0, so that one
    step of SGD with batch size 1 is Rosenblatt's update, which counts f = 0 as a mistake.
    """

    def terms(self, f: FloatArray, y: NDArray[Any]) -> FloatArray:
        if y.dtype.kind in "iu":
            whole, y = y, self._work("y", y.shape, f.dtype)
            np.copyto(y, whole, casting="unsafe")
        y = same_shape(y, f, "PerceptronLoss")
        terms = np.abs(y, out=self._work.like("terms", f))
        if not (terms.min() == 1.0 == terms.max()):
            raise ValueError("PerceptronLoss: expected targets -1 and +1, got others")
        self.saved = f, y
        np.negative(np.multiply(y, f, out=terms), out=terms)
        return np.maximum(terms, 0.0, out=terms)

    def gradient(self) -> FloatArray:
        f, y = self.saved
        gradient, mistake = self._work.like("gradient", f), self._work.like("mistake", f)
        right = np.greater(np.multiply(y, f, out=gradient), 0.0, out=mistake)
        # y ([y f > 0] - 1): also where f is NaN the row counts as a mistake, as in the score.
        mistake = np.subtract(right, 1.0, out=mistake)
        return np.multiply(y, mistake, out=gradient)

    def _count_correct(self) -> int | None:
        """Entries with y f > 0."""
        f, y = self.saved
        return int(np.count_nonzero(y * f > 0.0))
