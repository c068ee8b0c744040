"""Cross-entropy from logits, and labels or class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import same_shape
from numpy_nn.losses.labels import LabelLoss


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
        self._samples = np.zeros(0, np.intp)

    def terms(self, z: FloatArray, target: NDArray[Any]) -> FloatArray:
        picked, q, label_shifted = None, None, None
        if target.dtype.kind == "f":
            q = self._q_of_probabilities(z, target)
        else:
            picked = self._places(self._read_labels(z, target))
            if self.label_smoothing:  # else q is one-hot, and never written down
                q = self._q_of_labels(z, picked)
        shifted, e, total = self._exponentials(z)
        log_total = np.log(total, out=self._work.like("terms", total))
        if picked is not None:
            label_shifted = shifted.reshape(-1).take(picked, out=self._work.like("label", total), mode="clip")
        self.saved = e, total, picked, q, label_shifted, shifted, z, target
        if q is not None:
            return self._terms_of_q(q, shifted, log_total)
        log_total -= label_shifted
        if self.row_weights is not None:
            log_total *= self.row_weights
        return log_total

    def gradient(self) -> FloatArray:
        """s softmax(z) - q, or weight_y (softmax(z) - q) for a one-hot q."""
        e, total, picked, q, *_ = self.saved
        softmax = np.divide(e, total, out=self._work.like("by class", e))
        if q is None:
            gradient = self._less_one_hot(softmax, picked)
            if self.row_weights is not None:
                gradient *= self.row_weights
        else:
            softmax *= np.add.reduce(q, axis=0, out=self._work.like("s", total))
            gradient = np.subtract(softmax, q, out=softmax)
        rows = self._work("gradient", e.shape[::-1], e.dtype)
        np.copyto(rows, gradient.T)
        return rows

    # A class in each row, here and in all that follows: sums over ten classes are then sums of ten long rows, not of
    # many short ones.
    def _exponentials(self, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """z - m, exp(z - m) and its sum over the classes."""
        work, (n, classes) = self._work, z.shape
        shifted, e = work("shifted", (classes, n), z.dtype), work("exp", (classes, n), z.dtype)
        total = work("total", (n,), z.dtype)
        np.copyto(shifted, z.T)
        shifted -= np.maximum.reduce(shifted, axis=0, out=total)
        np.exp(shifted, out=e)
        return shifted, e, np.add.reduce(e, axis=0, out=total)

    def _terms_of_q(self, q: FloatArray, shifted: FloatArray, log_total: FloatArray) -> FloatArray:
        """-sum_c q_c log softmax(z)_c."""
        log_softmax = np.subtract(shifted, log_total, out=self._work.like("log softmax", shifted))
        log_softmax *= q
        terms = np.add.reduce(log_softmax, axis=0, out=log_total)
        return np.negative(terms, out=terms)

    def _less_one_hot(self, softmax: FloatArray, picked: NDArray[np.intp]) -> FloatArray:
        """softmax(z) - q for a q that is 1 at the label, else 0."""
        # Not `flat[picked] -= 1`, which makes an array on its way.
        flat = softmax.reshape(-1)
        at_label = flat.take(picked, out=self._work("at label", picked.shape, softmax.dtype), mode="clip")
        at_label -= 1.0
        flat[picked] = at_label
        return softmax

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

    def _places(self, y: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Where the label of each sample stands in the flattened arrays: both passes pick out just those entries."""
        n = y.size
        if self._samples.size < n:
            self._samples = np.arange(n)
        picked = self._work("picked", (n,), self._samples.dtype)
        np.copyto(picked, y, casting="unsafe")  # first, as y may be of 8 bits
        picked *= n
        picked += self._samples[:n]
        return picked

    def _count_correct(self) -> int:
        """Rows whose largest logit, of several the first, is that of the label or of the most probable class."""
        _, _, picked, _, label_shifted, shifted, z, target = self.saved
        if picked is None:
            return self._count_right(z.argmax(axis=1) == target.argmax(axis=1))
        n = picked.size
        if shifted.size - np.count_nonzero(shifted) == n:  # z_c - m is 0 at one place in each row
            right = n - np.count_nonzero(label_shifted)
            return int(right) if self.left_out is None else self._count_right(label_shifted == 0.0)
        return self._count_right(z.argmax(axis=1) == picked // n)

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"{super().extra_repr()}, label_smoothing={self.label_smoothing:g}"
