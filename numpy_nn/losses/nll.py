"""The negative log-likelihood of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.labels import LabelLoss


class NLLLoss(LabelLoss):
    """-weight_y o_y for log-probabilities o of shape (batch, classes) and labels y: what follows a LogSoftmax.

    d term / d o_c = -weight_y [c = y]. ``weight``, ``ignore_index`` and the mean are those of :class:`LabelLoss`.
    """

    def terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        y = self._read_labels(output, target)
        rows = np.arange(y.size)
        self.saved = output, rows, y
        terms = np.negative(output[rows, y])
        if self.row_weights is not None:
            terms *= self.row_weights
        return terms

    def gradient(self) -> FloatArray:
        output, rows, y = self.saved
        gradient = self._work.like("gradient", output)
        gradient.fill(0.0)
        gradient[rows, y] = -1.0 if self.row_weights is None else -self.row_weights
        return gradient

    def _count_correct(self) -> int:
        """Rows whose largest output, of several the first, is that of the label."""
        output, _, y = self.saved
        return self._count_right(output.argmax(axis=1) == y)
