"""Softmax and its logarithm, the activations that work row by row, and their Jacobians."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn.checks import float_array
from numpy_nn.elementwise import Out, Work, prepare
from numpy_nn.workspace import FloatArray, Workspace


def softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """exp(x_i - m) / sum_j exp(x_j - m) along the last axis, m being the largest entry.

    Infinite entries count as the largest finite number, so that equal infinities share. Float32 is computed in float64
    and rounded at the end. Raises ValueError if the last axis is missing or empty.
    """
    x, out, work = prepare(x, out, work)
    _, e = _exp_shifted(x, work)
    return np.divide(e, e.sum(axis=-1, keepdims=True, out=_column(x, work)), out=out, casting="same_kind")


def softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d s_i / d x_j = s_i ([i = j] - s_j)."""
    s, difference = _identity_minus_softmax(x)
    return (s[..., :, None] * difference).astype(float_array(x, "x").dtype, copy=False)


def log_softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x_i - m - log sum_j exp(x_j - m) along the last axis; infinities and float32 as in :func:`softmax`.

    The largest entries, k of them, are left out of the sum and come back as log1p(k - 1 + sum), so that the result
    keeps its digits where one entry has nearly all the probability and its logarithm is close to 0.
    """
    x, out, work = prepare(x, out, work)
    shifted, e = _exp_shifted(x, work)
    below = work.like("softmax.below", e)
    np.negative(np.sign(shifted, out=below), out=below)
    e *= below
    total = e.sum(axis=-1, keepdims=True, out=_column(x, work))
    ties = np.subtract(1.0, below, out=below).sum(axis=-1, keepdims=True, out=work.like("softmax.ties", total))
    ties -= 1.0
    total += ties
    with np.errstate(over="ignore"):  # in float32, the largest minus the smallest number is -inf, as it should be
        return np.subtract(shifted, np.log1p(total, out=total), out=out, casting="same_kind")


def log_softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d l_i / d x_j = [i = j] - s_j."""
    _, difference = _identity_minus_softmax(x)
    return difference.astype(float_array(x, "x").dtype, copy=False)


def _identity_minus_softmax(x: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """s and [i = j] - s_j, in float64. 1 - s_i is the sum of the others, which keeps its digits where s_i is near 1."""
    s = softmax(float_array(x, "x").astype(np.float64))
    same = np.eye(s.shape[-1])
    return s, same * (s @ (1.0 - same))[..., None, :] - (1.0 - same) * s[..., None, :]


def _column(x: FloatArray, work: Workspace) -> FloatArray:
    return work("softmax.column", (*x.shape[:-1], 1), np.float64)


def _exp_shifted(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray]:
    """x - m and exp(x - m), m the largest entry of the row, in float64.

    exp would turn the rounding error of d = x - m into a relative one of |d| half units. Knuth's two-sum (The Art of
    Computer Programming 2, section 4.2.2) finds that error, t: exp(d + t) = exp(d) (1 + t).
    """
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x: expected at least one entry along the last axis, got shape {x.shape}")
    shifted, e, tail = (work(f"softmax.{name}", x.shape, np.float64) for name in ("shifted", "e", "tail"))
    limit = np.finfo(x.dtype).max
    np.clip(x, -limit, limit, out=e)
    largest = e.max(axis=-1, keepdims=True, out=_column(x, work))
    # The largest minus the smallest number is -inf, as it should be. Its t is NaN, and any number does in its place.
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(e, largest, out=shifted)
        np.subtract(shifted, e, out=tail)
        e -= np.subtract(shifted, tail, out=work("softmax.back", x.shape, np.float64))
        tail += largest
        np.subtract(e, tail, out=tail)
    np.fmax(tail, -1.0, out=tail)
    np.exp(shifted, out=e)
    tail *= e
    e += tail
    return shifted, e
