"""Binary cross-entropy from logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations import sigmoid
from numpy_nn.losses.base import Loss, same_shape


class BCEWithLogitsLoss(Loss):
    """-t log s(z) - (1 - t) log(1 - s(z)) for logits z and targets t in [0, 1] of one shape; s is the sigmoid.

    Since log s(z) = -log(1 + exp(-z)) and log(1 - s(z)) = log s(z) - z,

        term = (1 - t) max(z, 0) + t max(-z, 0) + log(1 + exp(-|z|))
        d term / d z = s(z) - t = (1 - t) s(z) - t s(-z)

    in which no two parts cancel, so that a confident right answer keeps the digits of its small loss and gradient.
    """

    def terms(self, z: FloatArray, t: NDArray[Any]) -> FloatArray:
        t = same_shape(t, z, "BCEWithLogitsLoss")
        if not (t.min() >= 0.0 and t.max() <= 1.0):
            raise ValueError(f"BCEWithLogitsLoss: expected targets in [0, 1], got {t.min():g} .. {t.max():g}")
        self.saved = z, t
        terms, scratch = self._work.like("terms", z), self._work.like("scratch", z)
        np.exp(np.negative(np.abs(z, out=terms), out=terms), out=terms)
        np.log1p(terms, out=terms)
        positive = np.maximum(z, 0.0, out=scratch)
        positive *= np.subtract(1.0, t, out=self._work.like("weight", z))
        terms += positive
        negative = np.minimum(z, 0.0, out=scratch)
        negative *= t
        terms -= negative
        return terms

    def gradient(self) -> FloatArray:
        z, t = self.saved
        gradient = sigmoid(z, out=self._work.like("gradient", z), work=self._work)
        gradient *= np.subtract(1.0, t, out=self._work.like("weight", z))
        mirrored = np.negative(z, out=self._work.like("scratch", z))
        sigmoid(mirrored, out=mirrored, work=self._work)
        mirrored *= t
        gradient -= mirrored
        return gradient

    def _count_correct(self) -> int | None:
        """Entries on the right side: z > 0 where t > 1/2, z <= 0 elsewhere."""
        z, t = self.saved
        return int(np.count_nonzero((z > 0.0) == (t > 0.5)))
