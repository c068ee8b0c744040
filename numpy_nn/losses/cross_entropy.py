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
        picked, q = self._read_target(z, target)
        shifted, e, total = self._exponentials(z)
        self.saved = e, total, picked, q, shifted, z, target
        log_total = np.log(total, out=self._work.like("terms", total))
        if q is None:
            terms = np.subtract(log_total, self._at_label(shifted, picked), out=log_total)
            if self._row_weights is not None:
                terms *= self._row_weights
        else:
            log_softmax = np.subtract(shifted, log_total, out=self._work.like("log softmax", shifted))
            log_softmax *= q
            terms = np.add.reduce(log_softmax, axis=0, out=log_total)
            np.negative(terms, out=terms)
        return self._leave_out_ignored(terms)

    def gradient(self) -> FloatArray:
        e, total, picked, q, *_ = self.saved
        by_class = np.divide(e, total, out=self._work.like("by class", e))  # the softmax
        if q is None:
            self._subtract_one_hot(by_class, picked)
            if self._row_weights is not None:
                by_class *= self._row_weights
        else:
            by_class *= np.add.reduce(q, axis=0, out=self._work.like("s", total))
            by_class -= q
        gradient = self._work("gradient", e.shape[::-1], e.dtype)
        np.copyto(gradient, by_class.T)
        return gradient

    # A class in each row, here and in all that follows: sums over ten classes are then sums of ten long rows, not of
    # many short ones.
    def _exponentials(self, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """z - m, exp(z - m) and its sum over the classes."""
        work, (n, classes) = self._work, z.shape
        shifted, e = work("shifted", (classes, n), z.dtype), work("exp", (classes, n), z.dtype)
        np.copyto(shifted, z.T)
        shifted -= np.maximum.reduce(shifted, axis=0, out=work("max", (n,), z.dtype))
        np.exp(shifted, out=e)
        return shifted, e, np.add.reduce(e, axis=0, out=work("total", (n,), z.dtype))

    def _read_target(self, z: FloatArray, target: NDArray[Any]) -> tuple[Any, FloatArray | None]:
        """Where the labels stand, None for probabilities; and q, None for one-hot rows, which are not written down."""
        if target.dtype.kind == "f":
            return None, self._q_of_probabilities(z, target)
        picked = self._places(self._read_labels(z, target))
        return picked, self._q_of_labels(z, picked) if self.label_smoothing else None

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
        self._row_weights = self._ignored = None
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
        picked = self._work("picked", (n,), np.intp)
        np.copyto(picked, y, casting="unsafe")  # first, as y may be of 8 bits
        picked *= n
        picked += self._samples[:n]
        return picked

    def _at_label(self, by_class: FloatArray, picked: NDArray[np.intp]) -> FloatArray:
        at_label = self._work("at label", by_class.shape[1:], by_class.dtype)
        return by_class.reshape(-1).take(picked, out=at_label, mode="clip")

    def _subtract_one_hot(self, by_class: FloatArray, picked: NDArray[np.intp]) -> None:
        # Not `flat[picked] -= 1`, which makes an array on its way.
        at_label = self._at_label(by_class, picked)
        at_label -= 1.0
        by_class.reshape(-1)[picked] = at_label

    def _count_correct(self) -> int:
        """Rows whose largest logit, of several the first, is that of the label or of the most probable class."""
        _, _, picked, _, shifted, z, target = self.saved
        if picked is None:
            return self._count_right(z.argmax(axis=1) == target.argmax(axis=1))
        n = picked.size
        if shifted.size - np.count_nonzero(shifted) == n:  # z_c - m is 0 at one place in each row
            return self._count_right(self._at_label(shifted, picked) == 0.0)
        return self._count_right(z.argmax(axis=1) == picked // n)

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return f"{super().extra_repr()}, label_smoothing={self.label_smoothing:g}"
