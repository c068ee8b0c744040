"""Losses: each a scalar function of the network's output and the targets, and its gradient by the output.

``loss(output, target)`` returns a Python float for ``reduction="mean"`` and "sum", an array with one entry for each
term for "none". ``loss.backward()`` then returns dL/d(output), in the shape and dtype of the output. With "none" it
takes the upstream gradient of each term, ones if none is given; else it takes none. Arrays belong to the loss and are
valid until its next call.

TypeError is raised for outputs that are not float32 or float64 and for targets of the wrong kind, ValueError for an
empty batch, shapes that do not fit, labels out of range, and ``backward()`` before a forward call.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn.activations import sigmoid
from numpy_nn.checks import choice, float_array, label_array, number, same_dtype
from numpy_nn.workspace import FloatArray, Workspace

REDUCTIONS = ("mean", "sum", "none")


class Loss:
    """The base class: a subclass gives the terms and their derivatives, the reduction is made here.

    :meth:`_terms` returns one term for each row or entry; :meth:`_gradient` returns the derivative of each term by
    the outputs that it depends on, which the reduction then scales.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, f"{type(self).__name__}: reduction", REDUCTIONS)
        self._work = Workspace()
        self._terms_shape: tuple[int, ...] | None = None
        self._saved: tuple[NDArray[Any], ...] = ()  # what backward needs of the forward call

    def forward(self, output: FloatArray, target: NDArray[Any]) -> Any:
        """The loss: a float, or an array of terms for reduction "none"."""
        name = type(self).__name__
        output = float_array(output, f"{name}: output")
        if output.ndim == 0 or output.size == 0:
            raise ValueError(f"{name}: expected a batch of at least one row, got output of shape {output.shape}")
        self._terms_shape = None
        terms = self._terms(output, np.asarray(target))
        self._terms_shape = terms.shape
        if self.reduction == "none":
            return terms
        total = float(np.add.reduce(terms, axis=None))
        return total / terms.size if self.reduction == "mean" else total

    def __call__(self, output: FloatArray, target: NDArray[Any]) -> Any:
        return self.forward(output, target)

    def backward(self, grad_output: ArrayLike | None = None) -> FloatArray:
        """dL/d(output) for the last forward call."""
        name = type(self).__name__
        if self._terms_shape is None:
            raise ValueError(f"{name}: backward needs a forward call before it")
        gradient = self._gradient()
        if grad_output is not None:
            if self.reduction != "none":
                raise ValueError(f'{name}: grad_output goes with reduction "none" only, not "{self.reduction}"')
            upstream = same_dtype(grad_output, gradient.dtype, f"{name}: grad_output")
            if upstream.shape != self._terms_shape:
                raise ValueError(f"{name}: expected grad_output of shape {self._terms_shape}, got {upstream.shape}")
            gradient *= upstream.reshape(upstream.shape + (1,) * (gradient.ndim - upstream.ndim))
        elif self.reduction == "mean":
            gradient *= 1.0 / math.prod(self._terms_shape)
        return gradient

    def count_correct(self) -> int | None:
        """How many rows of the last forward call were classified rightly; None where that has no meaning."""
        return None

    def _terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        raise NotImplementedError

    def _gradient(self) -> FloatArray:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reduction={self.reduction!r})"


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

    def _terms(self, z: FloatArray, y: NDArray[Any]) -> FloatArray:
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
        self._saved = e, total, picked, label_shifted

        terms = np.log(total, out=work("terms", (n,), z.dtype))
        terms -= label_shifted
        if self.label_smoothing:
            # sum_c q_c (z_c - m) is z_y - m moved towards the mean of all z_c - m.
            towards = shifted.mean(axis=0, out=work("mean", (n,), z.dtype))
            towards -= label_shifted
            towards *= self.label_smoothing
            terms -= towards
        return terms

    def _gradient(self) -> FloatArray:
        e, total, picked, picked_values = self._saved
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

    def count_correct(self) -> int | None:
        """Rows whose label has the largest logit: those where z_y - m is 0."""
        label_shifted = self._saved[3]
        return int(label_shifted.size - np.count_nonzero(label_shifted))

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


class MSELoss(Loss):
    """(o - t)^2 for each entry of output and target, which have one shape; d term / d o = 2 (o - t).

    "mean" divides by the number of entries, not of rows.
    """

    def _terms(self, output: FloatArray, target: NDArray[Any]) -> FloatArray:
        target = _same_shape(target, output, "MSELoss")
        difference = np.subtract(output, target, out=self._work.like("difference", output))
        self._saved = (difference,)
        return np.square(difference, out=self._work.like("terms", output))

    def _gradient(self) -> FloatArray:
        (difference,) = self._saved
        return np.multiply(difference, 2.0, out=self._work.like("gradient", difference))


class BCEWithLogitsLoss(Loss):
    """-t log s(z) - (1 - t) log(1 - s(z)) for logits z and targets t in [0, 1] of one shape; s is the sigmoid.

    Since log s(z) = -log(1 + exp(-z)) and log(1 - s(z)) = log s(z) - z,

        term = (1 - t) max(z, 0) + t max(-z, 0) + log(1 + exp(-|z|))
        d term / d z = s(z) - t = (1 - t) s(z) - t s(-z)

    in which no two parts cancel, so that a confident right answer keeps the digits of its small loss and gradient.
    """

    def _terms(self, z: FloatArray, t: NDArray[Any]) -> FloatArray:
        t = _same_shape(t, z, "BCEWithLogitsLoss")
        if not (t.min() >= 0.0 and t.max() <= 1.0):
            raise ValueError(f"BCEWithLogitsLoss: expected targets in [0, 1], got {t.min():g} .. {t.max():g}")
        self._saved = z, t
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

    def _gradient(self) -> FloatArray:
        z, t = self._saved
        gradient = sigmoid(z, out=self._work.like("gradient", z), work=self._work)
        gradient *= np.subtract(1.0, t, out=self._work.like("weight", z))
        mirrored = np.negative(z, out=self._work.like("scratch", z))
        sigmoid(mirrored, out=mirrored, work=self._work)
        mirrored *= t
        gradient -= mirrored
        return gradient

    def count_correct(self) -> int | None:
        """Entries on the right side: z > 0 where t > 1/2, z <= 0 elsewhere."""
        z, t = self._saved
        return int(np.count_nonzero((z > 0.0) == (t > 0.5)))


class PerceptronLoss(Loss):
    """max(0, -y f) for outputs f and targets y in {-1, +1} of one shape: the hinge at zero.

    The derivative by f is -y where y f <= 0, else 0. At the kink, f = 0, it is -y, not 0, so that one step of SGD
    with batch size 1 is Rosenblatt's update, which counts f = 0 as a mistake.
    """

    def _terms(self, f: FloatArray, y: NDArray[Any]) -> FloatArray:
        if y.dtype.kind in "iu":
            y = y.astype(f.dtype)
        y = _same_shape(y, f, "PerceptronLoss")
        terms = np.abs(y, out=self._work.like("terms", f))
        if not (terms.min() == 1.0 == terms.max()):
            raise ValueError("PerceptronLoss: expected targets -1 and +1, got others")
        self._saved = f, y
        np.negative(np.multiply(y, f, out=terms), out=terms)
        return np.maximum(terms, 0.0, out=terms)

    def _gradient(self) -> FloatArray:
        f, y = self._saved
        gradient, mistake = self._work.like("gradient", f), self._work.like("mistake", f)
        right = np.greater(np.multiply(y, f, out=gradient), 0.0, out=mistake)
        # y ([y f > 0] - 1): also where f is NaN the row counts as a mistake, as in count_correct.
        mistake = np.subtract(right, 1.0, out=mistake)
        return np.multiply(y, mistake, out=gradient)

    def count_correct(self) -> int | None:
        """Entries with y f > 0."""
        f, y = self._saved
        return int(np.count_nonzero(y * f > 0.0))


def _same_shape(target: NDArray[Any], output: FloatArray, name: str) -> FloatArray:
    target = same_dtype(target, output.dtype, f"{name}: target")
    if target.shape != output.shape:
        raise ValueError(f"{name}: expected target of the output's shape {output.shape}, got {target.shape}")
    return target
