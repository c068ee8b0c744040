"""Softmax and its logarithm, the activations that work row by row, and their Jacobians."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn.elementwise import Out, Work, finite, prepare
from numpy_nn.workspace import FloatArray, Workspace


def softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """exp(x_i - m) / sum_j exp(x_j - m) along the last axis, m being the largest entry.

    Infinite entries count as the largest finite number, so that equal infinities share. Raises ValueError if the last
    axis is missing or empty.
    """
    x, out, work = prepare(x, out, work)
    _shift(x, out, work)
    np.exp(out, out=out)
    out /= out.sum(axis=-1, keepdims=True, out=_column(x, work))
    return out


def softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d s_i / d x_j = s_i ([i = j] - s_j)."""
    s = softmax(x)
    return s[..., :, None] * (np.eye(s.shape[-1], dtype=s.dtype) - s[..., None, :])


def log_softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x_i - m - log sum_j exp(x_j - m) along the last axis; infinities as in :func:`softmax`.

    The largest entries, k of them, are left out of the sum and come back as log1p(k - 1 + sum), so that the result
    keeps its digits where one entry has nearly all the probability and its logarithm is close to 0.
    """
    x, out, work = prepare(x, out, work)
    _shift(x, out, work)
    below, e = work.like("softmax.below", x), work.like("softmax.e", x)
    np.negative(np.sign(out, out=below), out=below)
    np.multiply(np.exp(out, out=e), below, out=e)
    total = e.sum(axis=-1, keepdims=True, out=_column(x, work))
    ties = np.subtract(1.0, below, out=below).sum(axis=-1, keepdims=True, out=work.like("softmax.ties", total))
    ties -= 1.0
    total += ties
    out -= np.log1p(total, out=total)
    return out


def log_softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d l_i / d x_j = [i = j] - s_j."""
    s = softmax(x)
    return np.eye(s.shape[-1], dtype=s.dtype) - s[..., None, :]


def _column(x: FloatArray, work: Workspace) -> FloatArray:
    return work("softmax.column", (*x.shape[:-1], 1), x.dtype)


def _shift(x: FloatArray, out: FloatArray, work: Workspace) -> FloatArray:
    """x minus the largest entry of its row."""
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x: expected at least one entry along the last axis, got shape {x.shape}")
    finite(x, out)
    with np.errstate(over="ignore"):  # the largest minus the smallest number is -inf, as it should be
        out -= out.max(axis=-1, keepdims=True, out=_column(x, work))
    return out
