"""Values and gradients of the losses of class labels: cross-entropy and the negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.losses.labels import LabelLoss
from torch_ref.bounds.activations import log_softmax, softmax
from torch_ref.rounding import Rounded


def row_weights(loss: LabelLoss, labels: NDArray[Any], dtype: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The labels, 0 where they do not count, and what each row weighs; None where each weighs 1."""
    counts = labels != loss.ignore_index
    y = np.where(counts, labels, 0)
    if loss.weight is None:
        return y, None if counts.all() else counts.astype(dtype)
    return y, np.where(counts, loss.weight[y], 0.0).astype(dtype)


def denominator(loss: LabelLoss, o: Rounded, target: NDArray[Any]) -> Rounded | float:
    """What the mean divides by: the number of rows, or the sum of their weights."""
    weights = None if target.dtype.kind == "f" else row_weights(loss, target, o.dtype)[1]
    return float(len(target)) if weights is None else o.lift(weights).sum()


def nll(loss: nn.NLLLoss, o: Rounded, labels: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The terms and their derivative."""
    y, weights = row_weights(loss, labels, o.dtype)
    return _weigh_rows(-o.pick(y), -_one_hot(o, y), weights)


def cross_entropy(loss: nn.CrossEntropyLoss, o: Rounded, target: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """The terms and their derivative."""
    logs = log_softmax(o)
    either_softmax = softmax(o).either(logs.exp())
    if is_written_down(loss, target):
        q = _q(loss, o, target)
        terms, gradient = -(logs * q).sum(axis=1), either_softmax * q.sum(axis=1, keepdims=True) - q
        return terms if target.dtype.kind == "f" else terms.either(_torchs_smoothed_terms(loss, o, target)), gradient
    y, weights = row_weights(loss, target, o.dtype)
    # Ours: log sum exp(z - m) less the label's z - m. torch's: less the label's logarithm of the softmax.
    shifted = o - o.max(axis=1)
    ours, theirs = shifted.exp().sum(axis=1).log() - shifted.pick(y), -logs.pick(y)
    return _weigh_rows(ours.either(theirs), either_softmax - _one_hot(o, y), weights)


def is_written_down(loss: nn.CrossEntropyLoss, target: NDArray[Any]) -> bool:
    """Whether q has more than one entry in each row."""
    return target.dtype.kind == "f" or loss.label_smoothing > 0.0


def torchs_cross_entropy(
    loss: nn.CrossEntropyLoss, o: Rounded, target: NDArray[Any], scale: Rounded | float
) -> tuple[Rounded, Rounded]:
    """The reduced loss and its gradient as torch has them where q is written down.

    torch adds up all entries at once, of labels those of the label and the uniform ones apart, and its gradient goes
    through the logarithms.
    """
    logs, smoothing = log_softmax(o), loss.label_smoothing
    g = _q(loss, o, target) * scale
    gradient = logs.exp() * g.sum(axis=1, keepdims=True) - g
    if target.dtype.kind == "f":
        return -(logs * _q(loss, o, target)).sum() * scale, gradient
    of_labels, of_all = _torchs_parts(loss, o, target)
    uniform = smoothing / o.shape[1]
    return of_labels.sum() * scale * (1.0 - smoothing) + of_all.sum() * scale * uniform, gradient


def _torchs_parts(loss: nn.CrossEntropyLoss, o: Rounded, labels: NDArray[Any]) -> tuple[Rounded, Rounded]:
    """Of each row the label's term, and the sum of those of all classes."""
    logs, (y, weights) = log_softmax(o), row_weights(loss, labels, o.dtype)
    weighted = logs if loss.weight is None else logs * np.broadcast_to(loss.weight, o.shape)
    of_label, of_all = -logs.pick(y), -weighted.sum(axis=1)
    if weights is None:
        return of_label, of_all
    return of_label * weights, of_all * (labels != loss.ignore_index).astype(o.dtype)


def _torchs_smoothed_terms(loss: nn.CrossEntropyLoss, o: Rounded, labels: NDArray[Any]) -> Rounded:
    of_labels, of_all = _torchs_parts(loss, o, labels)
    return of_labels * (1.0 - loss.label_smoothing) + of_all * (loss.label_smoothing / o.shape[1])


def _q(loss: nn.CrossEntropyLoss, o: Rounded, target: NDArray[Any]) -> Rounded:
    """The share of each class in each term: the target, smoothed and weighted."""
    smoothing = loss.label_smoothing
    soft = target.dtype.kind == "f"
    y, weights = (target, None) if soft else row_weights(loss, target, o.dtype)
    q = o.lift(target) if soft else _one_hot(o, y)
    if smoothing:
        q = q * (1.0 - smoothing) + smoothing / o.shape[1]
    if loss.weight is not None:
        q = q * np.broadcast_to(loss.weight, o.shape)
    return q if weights is None else q * (target != loss.ignore_index).astype(o.dtype)[:, None]


def _one_hot(o: Rounded, labels: NDArray[Any]) -> Rounded:
    return o.lift(np.equal(np.arange(o.shape[1]), labels[:, None]).astype(o.dtype))


def _weigh_rows(terms: Rounded, gradient: Rounded, weights: NDArray[Any] | None) -> tuple[Rounded, Rounded]:
    return (terms, gradient) if weights is None else (terms * weights, gradient * weights[:, None])
