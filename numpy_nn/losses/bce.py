"""Binary cross-entropy from logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import same_dtype
from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations import sigmoid
from numpy_nn.losses.base import Loss, same_shape, shown, weight_array


class BCEWithLogitsLoss(Loss):
    """w (-p t log s(z) - (1 - t) log(1 - s(z))) for logits z and targets t in [0, 1] of one shape; s is the sigmoid.

    p is ``pos_weight``, the weight of the positive answers, say one for each column; w is ``weight``, that of each
    entry or row or column. Either is an array >= 0 of the dtype of z that broadcasts to its shape, or None for 1. The
    mean divides by the number of entries, whatever they weigh.

    Since log s(z) = -log(1 + exp(-z)) and log(1 - s(z)) = log s(z) - z,

        term = w ((1 - t) max(z, 0) + p t max(-z, 0) + ((1 - t) + p t) log(1 + exp(-|z|)))
        d term / d z = w ((1 - t) s(z) - p t s(-z)), which is w (s(z) - t) for p = 1

    in which no two parts cancel, so that a confident right answer keeps the digits of its small loss and gradient.
    """

    def __init__(
        self, weight: ArrayLike | None = None, reduction: str = "mean", pos_weight: ArrayLike | None = None
    ) -> None:
        super().__init__(reduction)
        name = "BCEWithLogitsLoss"
        self.weight = None if weight is None else weight_array(weight, f"{name}: weight")
        self.pos_weight = None if pos_weight is None else weight_array(pos_weight, f"{name}: pos_weight")

    def terms(self, z: FloatArray, t: NDArray[Any]) -> FloatArray:
        t = same_shape(t, z, "BCEWithLogitsLoss")
        if not (t.min() >= 0.0 and t.max() <= 1.0):
            raise ValueError(f"BCEWithLogitsLoss: expected targets in [0, 1], got {t.min():g} .. {t.max():g}")
        weight, pos_weight = _fitting(self.weight, "weight", z), _fitting(self.pos_weight, "pos_weight", z)
        yes = t if pos_weight is None else np.multiply(pos_weight, t, out=self._work.like("yes", z))
        self.saved = z, t, yes, weight
        terms, scratch = self._work.like("terms", z), self._work.like("scratch", z)
        no = np.subtract(1.0, t, out=self._work.like("no", z))
        np.exp(np.negative(np.abs(z, out=terms), out=terms), out=terms)
        np.log1p(terms, out=terms)
        if pos_weight is not None:
            terms *= np.add(no, yes, out=scratch)  # else 1
        positive = np.maximum(z, 0.0, out=scratch)
        positive *= no
        terms += positive
        negative = np.minimum(z, 0.0, out=scratch)
        negative *= yes
        terms -= negative
        if weight is not None:
            terms *= weight
        return terms

    def gradient(self) -> FloatArray:
        z, t, yes, weight = self.saved
        gradient = sigmoid(z, out=self._work.like("gradient", z), work=self._work)
        gradient *= np.subtract(1.0, t, out=self._work.like("no", z))
        mirrored = np.negative(z, out=self._work.like("scratch", z))
        sigmoid(mirrored, out=mirrored, work=self._work)
        mirrored *= yes
        gradient -= mirrored
        if weight is not None:
            gradient *= weight
        return gradient

    def _count_correct(self) -> int | None:
        """Entries on the right side: z > 0 where t > 1/2, z <= 0 elsewhere."""
        z, t, *_ = self.saved
        return int(np.count_nonzero((z > 0.0) == (t > 0.5)))

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"{shown('weight', self.weight)}{shown('pos_weight', self.pos_weight)}{super().extra_repr()}"


def _fitting(weight: FloatArray | None, name: str, z: FloatArray) -> FloatArray | None:
    """``weight``, which must have the dtype of z and broadcast to its shape."""
    if weight is None:
        return None
    weight = same_dtype(weight, z.dtype, f"BCEWithLogitsLoss: {name}")
    fits = weight.ndim <= z.ndim and all(
        mine in (1, theirs) for mine, theirs in zip(weight.shape[::-1], z.shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"BCEWithLogitsLoss: {name}: expected a shape that broadcasts to the output's {z.shape}, got {weight.shape}"
        )
    return weight
