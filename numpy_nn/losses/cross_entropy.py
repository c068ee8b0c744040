"""Cross-entropy from logits and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import label_array, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import Loss


class CrossEntropyLoss(Loss):
    """-sum_c q_c log softmax(z)_c for logits z of shape (batch, classes) and labels y of shape (batch,).

    The labels are integers 0 .. classes - 1; q is their one-hot row, mixed with the uniform distribution:
    q_c = (1 - label_smoothing) [c = y] + label_smoothing / classes. With m = max z and the weights summing to 1,

        term = log sum_c exp(z_c - m) - sum_c q_c (z_c - m)
        d term / d z_c = softmax(z)_c - q_c

    The gradient has this form because d/dz_c of the first part is softmax(z)_c, of the second q_c.
    """

    def __init__(self, label_smoothing: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.label_smoothing = number(label_smoothing, "CrossEntropyLoss: label_smoothing", low=0.0, high=1.0)
        self._samples = np.zeros(0, np.intp)

    def terms(self, z: FloatArray, y: NDArray[Any]) -> FloatArray:
        work, (n, classes) = self._work, self._check(z, y)
        # A class in each row: sums over ten classes are then sums of ten long rows, not of many short ones.
        shifted, e = work("shifted", (classes, n), z.dtype), work("exp", (classes, n), z.dtype)
        np.copyto(shifted, z.T)
        shifted -= np.maximum.reduce(shifted, axis=0, out=work("max", (n,), z.dtype))
        np.exp(shifted, out=e)
        total = np.add.reduce(e, axis=0, out=work("total", (n,), z.dtype))

        # Where the label of each sample stands in the flattened arrays: both passes pick out just those entries.
        if self._samples.size < n:
            self._samples = np.arange(n)
        picked = work("picked", (n,), np.intp)
        np.copyto(picked, y, casting="unsafe")  # first, as y may be of 8 bits
        picked *= n
        picked += self._samples[:n]
        label_shifted = shifted.reshape(-1).take(picked, out=work("label", (n,), z.dtype), mode="clip")
        self.saved = e, total, picked, label_shifted, shifted, z

        terms = np.log(total, out=work("terms", (n,), z.dtype))
        terms -= label_shifted
        if self.label_smoothing:
            # sum_c q_c (z_c - m) is z_y - m moved towards the mean of all z_c - m.
            towards = shifted.mean(axis=0, out=work("mean", (n,), z.dtype))
            towards -= label_shifted
            towards *= self.label_smoothing
            terms -= towards
        return terms

    def gradient(self) -> FloatArray:
        e, total, picked, picked_values, *_ = self.saved
        by_class = np.divide(e, total, out=self._work.like("by class", e))
        if self.label_smoothing:
            by_class -= self.label_smoothing / e.shape[0]
        # Not `flat[picked] -= ...`, which makes an array on its way.
        flat, at_label = by_class.reshape(-1), self._work.like("at label", picked_values)
        flat.take(picked, out=at_label, mode="clip")
        at_label -= 1.0 - self.label_smoothing
        flat[picked] = at_label
        gradient = self._work("gradient", e.shape[::-1], e.dtype)
        np.copyto(gradient, by_class.T)
        return gradient

    def _count_correct(self) -> int:
        """Rows in which the label's logit is the largest, and of several that are as large the first, as argmax is."""
        _, _, picked, label_shifted, shifted, z = self.saved
        n = label_shifted.size
        if shifted.size - np.count_nonzero(shifted) == n:  # z_c - m is 0 at one place in each row
            return int(n - np.count_nonzero(label_shifted))
        return int(np.count_nonzero(z.argmax(axis=1) == picked // n))

    def _check(self, z: FloatArray, y: NDArray[Any]) -> tuple[int, int]:
        if z.ndim != 2:
            raise ValueError(f"CrossEntropyLoss: expected output of shape (batch, classes), got {z.shape}")
        y = label_array(y, "CrossEntropyLoss: target")
        if y.shape != z.shape[:1]:
            raise ValueError(f"CrossEntropyLoss: expected target of shape {z.shape[:1]}, got {y.shape}")
        n, classes = z.shape
        # Seen as unsigned, a negative label is huge: one pass finds both kinds of stray.
        unsigned = y if y.dtype.kind == "u" else y.view(f"u{y.itemsize}")
        if np.maximum.reduce(unsigned) >= classes:
            row = int(np.flatnonzero((y < 0) | (y >= classes))[0])
            raise ValueError(
                f"CrossEntropyLoss: expected labels in 0 .. {classes - 1}, got {y[row]} in row {row} of target"
            )
        return n, classes

    def __repr__(self) -> str:
        return f"CrossEntropyLoss(label_smoothing={self.label_smoothing:g}, reduction={self.reduction!r})"
