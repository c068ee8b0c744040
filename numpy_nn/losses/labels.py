"""What the losses of class labels share: weights of the classes, a label that does not count, the weighted mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import count, label_array, same_dtype
from numpy_nn._support.workspace import FloatArray
from numpy_nn.losses.base import Loss, shown, weight_array

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class LabelLoss(Loss):
    """The base class of losses of outputs of shape (batch, classes) and labels, integers 0 .. classes - 1, (batch,).

    Row i weighs w_i = ``weight[y_i]``, where ``weight`` has an entry >= 0 for each class and the dtype of the output;
    w_i = 1 without it. Rows whose label is ``ignore_index``, be it a class or not, do not count: w_i is 0, and so are
    the row's term and gradient, whatever its outputs. With l_i the term of a row that weighs 1,

        none = w_i l_i        sum = sum_i w_i l_i        mean = sum_i w_i l_i / sum_i w_i

    If no row counts, the mean is 0 / 0: NaN, with a gradient of 0. If all that count weigh 0, their gradient is NaN
    too. All this is as torch has it, but for a row that does not count and holds NaN or infinity: its gradient is NaN
    in torch's cross-entropy, so that what was to be left out comes back in by the gradient.
    """

    def __init__(self, weight: ArrayLike | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        name = type(self).__name__
        self.weight = None if weight is None else weight_array(weight, f"{name}: weight")
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"{name}: weight: expected one number for each class, got shape {self.weight.shape}")
        self.ignore_index = count(ignore_index, f"{name}: ignore_index", low=-(2**63))

    def _read_labels(self, output: FloatArray, labels: NDArray[Any]) -> NDArray[np.integer[Any]]:
        """The labels, 0 in rows that do not count, after finding what each row weighs."""
        name, classes = type(self).__name__, self._count_classes(output)
        y = labels
        if y.dtype.kind not in "iu" or not y.dtype.isnative:
            y = label_array(labels, f"{name}: target")
        if y.shape != output.shape[:1]:
            raise ValueError(f"{name}: expected target of shape {output.shape[:1]}, got {y.shape}")
        ignored = None
        # Seen as unsigned, a negative label is huge: one pass finds both kinds of stray.
        unsigned = y if y.dtype.kind == "u" else y.view(UNSIGNED[y.itemsize])
        if np.maximum.reduce(unsigned) >= classes or 0 <= self.ignore_index < classes:
            ignored = self._find_ignored(y, classes)
        if ignored is None and self.weight is None:
            return y
        return self._weigh_rows(output, y, ignored)

    def _weigh_rows(
        self, output: FloatArray, y: NDArray[Any], ignored: NDArray[np.bool_] | None
    ) -> NDArray[np.integer[Any]]:
        """Keeps what each row weighs; returns the labels, 0 in rows that do not count."""
        if ignored is not None:
            y = np.where(ignored, y.dtype.type(0), y)
        weight = self._class_weights(output)
        row_weights: FloatArray = np.ones(y.shape, output.dtype) if weight is None else weight[y]
        if ignored is not None:
            row_weights[ignored] = 0.0
        self.row_weights, self.left_out = row_weights, ignored
        return y

    def _count_classes(self, output: FloatArray) -> int:
        if output.ndim != 2:
            raise ValueError(f"{type(self).__name__}: expected output of shape (batch, classes), got {output.shape}")
        return output.shape[1]

    def _find_ignored(self, y: NDArray[Any], classes: int) -> NDArray[np.bool_] | None:
        """The rows that do not count, None if all do; ValueError for any other label that is no class."""
        ignored = y == self.ignore_index
        strays = np.flatnonzero(((y < 0) | (y >= classes)) & ~ignored)
        if strays.size:
            row = int(strays[0])
            raise ValueError(
                f"{type(self).__name__}: expected labels in 0 .. {classes - 1}, or ignore_index={self.ignore_index} "
                f"for rows to leave out, got {y[row]} in row {row} of target"
            )
        return ignored if ignored.any() else None

    def _class_weights(self, output: FloatArray) -> FloatArray | None:
        """``weight``, which must fit the output."""
        if self.weight is None:
            return None
        name = f"{type(self).__name__}: weight"
        weight, classes = same_dtype(self.weight, output.dtype, name), output.shape[1]
        if weight.shape != (classes,):
            raise ValueError(f"{name}: expected {classes} numbers, one for each class, got {weight.size}")
        return weight

    def _count_right(self, right: NDArray[np.bool_]) -> int:
        """How many of the rows that count are right."""
        return int(np.count_nonzero(right if self.left_out is None else right & ~self.left_out))

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        ignored = f"ignore_index={self.ignore_index}, " if self.ignore_index != -100 else ""
        return f"{shown('weight', self.weight)}{ignored}{super().extra_repr()}"
