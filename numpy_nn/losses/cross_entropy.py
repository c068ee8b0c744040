"""Cross-entropy from logits, and labels or class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray, aligned_empty
from numpy_nn.losses.base import same_shape
from numpy_nn.losses.labels import LabelLoss


class _Arrays:
    """The arrays that a batch of n rows needs, with a row for each class, and flat where single entries are picked."""

    def __init__(self, n: int, classes: int, dtype: np.dtype[Any]) -> None:
        self.shifted, self.e, self.softmax = (aligned_empty((classes, n), dtype) for _ in range(3))
        self.flat_shifted, self.flat_softmax = self.shifted.reshape(-1), self.softmax.reshape(-1)
        self.total, self.terms, self.label, self.at_label = (aligned_empty(n, dtype) for _ in range(4))
        self._columns, self._picked = np.arange(n), aligned_empty(n, np.intp)

    def places(self, y: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Where the label of each sample stands in the flat arrays: both passes pick out just those entries."""
        # y may be of 8 bits.
        picked = np.multiply(y, y.size, out=self._picked, dtype=np.intp, casting="unsafe")
        picked += self._columns
        return picked


class CrossEntropyLoss(LabelLoss):
    """-sum_c q_c log softmax(z)_c for logits z of shape (batch, classes).

    The target is labels y, integers of shape (batch,), or the probability p_c of each class, floats of the shape and
    dtype of z. ``label_smoothing`` mixes it with the uniform distribution, ``weight`` weighs the classes:

        q_c = weight_c ((1 - label_smoothing) p_c + label_smoothing / classes),  p_c = [c = y] for labels

    With m = max z and s = sum_c q_c, which is 1 if nothing is weighed,

        log softmax(z)_c = (z_c - m) - log sum_k exp(z_k - m)
        d term / d z_c = s softmax(z)_c - q_c

    The gradient has this form because d/dz_c of log sum_k exp(z_k) is softmax(z)_c. The mean divides by the rows'
    weights as :class:`LabelLoss` says for labels, by the number of rows for probabilities; those need not sum to 1.
    ``ignore_index`` is for labels only, as in torch: ValueError if it is >= 0 and probabilities come.
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = number(label_smoothing, "CrossEntropyLoss: label_smoothing", low=0.0, high=1.0)

    def terms(self, z: FloatArray, target: NDArray[Any]) -> FloatArray:
        picked, q, label_shifted = None, None, None
        classes = self._count_classes(z)
        arrays = self._work.group(_Arrays, len(z), classes, z.dtype)
        if target.dtype.kind == "f":
            q = self._q_of_probabilities(z, target)
        else:
            picked = arrays.places(self._read_labels(z, target))
            if self.label_smoothing:  # else q is one-hot, and never written down
                q = self._q_of_labels(z, picked)
        # A class in each row, here and in all that follows: sums over ten classes are then sums of ten long rows, not
        # of many short ones.
        shifted, e, total = arrays.shifted, arrays.e, arrays.total
        np.copyto(shifted, z.T)
        shifted -= np.maximum.reduce(shifted, axis=0, out=total)
        np.exp(shifted, out=e)
        log_total = np.log(np.add.reduce(e, axis=0, out=total), out=arrays.terms)
        if picked is not None:
            label_shifted = arrays.flat_shifted.take(picked, out=arrays.label, mode="clip")
        self.saved = arrays, picked, q, label_shifted, z, target
        if q is not None:
            return self._terms_of_q(q, shifted, log_total)
        log_total -= label_shifted
        if self.row_weights is not None:
            log_total *= self.row_weights
        return log_total

    def gradient(self) -> FloatArray:
        """s softmax(z) - q, or weight_y (softmax(z) - q) for a one-hot q."""
        arrays, picked, q, *_ = self.saved
        softmax = np.divide(arrays.e, arrays.total, out=arrays.softmax)
        if q is None:
            # Less 1 at the label. Not `flat[picked] -= 1`, which makes an array on its way.
            at_label = arrays.flat_softmax.take(picked, out=arrays.at_label, mode="clip")
            at_label -= 1.0
            arrays.flat_softmax[picked] = at_label
            if self.row_weights is not None:
                softmax *= self.row_weights
        else:
            softmax *= np.add.reduce(q, axis=0, out=self._work.like("s", arrays.total))
            softmax -= q
        gradient: FloatArray = softmax.T
        return gradient

    def _terms_of_q(self, q: FloatArray, shifted: FloatArray, log_total: FloatArray) -> FloatArray:
        """-sum_c q_c log softmax(z)_c."""
        log_softmax = np.subtract(shifted, log_total, out=self._work.like("log softmax", shifted))
        log_softmax *= q
        terms = np.add.reduce(log_softmax, axis=0, out=log_total)
        return np.negative(terms, out=terms)

    def _q_of_labels(self, z: FloatArray, picked: NDArray[np.intp]) -> FloatArray:
        q = self._work("q", z.shape[::-1], z.dtype)
        uniform = self.label_smoothing / z.shape[1]
        q.fill(uniform)
        q.reshape(-1)[picked] = 1.0 - self.label_smoothing + uniform
        return self._weighted(q, z)

    def _q_of_probabilities(self, z: FloatArray, target: NDArray[Any]) -> FloatArray:
        classes = self._count_classes(z)
        if target.ndim == 1:
            raise TypeError(
                "CrossEntropyLoss: target: expected an array of integers as labels, or of probabilities of shape "
                f"{z.shape}, got an array of {target.dtype}; convert labels with .astype(numpy.int64)"
            )
        p = same_shape(target, z, "CrossEntropyLoss")
        if self.ignore_index >= 0:
            raise ValueError(f"CrossEntropyLoss: ignore_index={self.ignore_index} goes with labels, not probabilities")
        q = self._work("q", z.shape[::-1], z.dtype)
        np.copyto(q, p.T)
        if self.label_smoothing:
            q *= 1.0 - self.label_smoothing
            q += self.label_smoothing / classes
        return self._weighted(q, z)

    def _weighted(self, q: FloatArray, z: FloatArray) -> FloatArray:
        weight = self._class_weights(z)
        if weight is not None:
            q *= weight[:, None]
        return q

    def _count_correct(self) -> int:
        """Rows whose largest logit, of several the first, is that of the label or of the most probable class."""
        arrays, picked, _, label_shifted, z, target = self.saved
        if picked is None:
            return self._count_right(z.argmax(axis=1) == target.argmax(axis=1))
        n, shifted = picked.size, arrays.shifted
        if shifted.size - np.count_nonzero(shifted) == n:  # z_c - m is 0 at one place in each row
            right = n - np.count_nonzero(label_shifted)
            return int(right) if self.left_out is None else self._count_right(label_shifted == 0.0)
        return self._count_right(z.argmax(axis=1) == picked // n)

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"{super().extra_repr()}, label_smoothing={self.label_smoothing:g}"
