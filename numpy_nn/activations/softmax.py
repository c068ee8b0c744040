"""Softmax and its logarithm, the activations that work row by row, and their Jacobians."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.checks import float_array
from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.activations.elementwise import Out, Work, prepare


def softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """exp(x_i - m) / sum_j exp(x_j - m) along the last axis, m being the largest entry.

    Infinite entries count as the largest finite number, so that equal infinities share. Float32 is computed in float64
    and rounded at the end. Raises ValueError if the last axis is missing or empty.
    """
    x, out, work = prepare(x, out, work)
    _, e, others = _exp_shifted(x, work)
    others += 1.0
    return np.divide(e, others, out=out, casting="same_kind")


def softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d s_i / d x_j = s_i ([i = j] - s_j)."""
    s, difference = _identity_minus_softmax(x)
    return (s[..., :, None] * difference).astype(float_array(x, "x").dtype, copy=False)


def log_softmax(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x_i - m - log sum_j exp(x_j - m) along the last axis; infinities and float32 as in :func:`softmax`.

    The logarithm is computed as log1p(sum - 1), so that the result keeps its digits where one entry has nearly all the
    probability and its logarithm is close to 0.
    """
    x, out, work = prepare(x, out, work)
    shifted, _, others = _exp_shifted(x, work)
    with np.errstate(over="ignore"):  # in float32, the largest minus the smallest number is -inf, as it should be
        return np.subtract(shifted, np.log1p(others, out=others), out=out, casting="same_kind")


def log_softmax_derivative(x: ArrayLike) -> FloatArray:
    """The Jacobian, of shape ``x.shape + (C,)``: J_ij = d l_i / d x_j = [i = j] - s_j."""
    _, difference = _identity_minus_softmax(x)
    return difference.astype(float_array(x, "x").dtype, copy=False)


def _identity_minus_softmax(x: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """s and [i = j] - s_j, in float64. 1 - s_i is the sum of the others, which keeps its digits where s_i is near 1."""
    s = softmax(float_array(x, "x").astype(np.float64))
    same = np.eye(s.shape[-1])
    return s, same * (s @ (1.0 - same))[..., None, :] - (1.0 - same) * s[..., None, :]


def _exp_shifted(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x - m, exp(x - m) and sum exp(x - m) - 1 by row, m being the largest entry of the row, in float64.

    The last is computed as k - 1 plus the sum of the entries below m, k being the number of those that equal m.
    """
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x: expected at least one entry along the last axis, got shape {x.shape}")
    clipped, shifted, e = (work(f"softmax.{name}", x.shape, np.float64) for name in ("x", "shifted", "e"))
    limit = np.finfo(x.dtype).max
    np.copyto(clipped, x)
    np.clip(clipped, -limit, limit, out=clipped)
    column = clipped.max(axis=-1, keepdims=True, out=work("softmax.column", (*x.shape[:-1], 1), np.float64))
    with np.errstate(over="ignore"):  # the largest minus the smallest number is -inf, as it should be
        np.subtract(clipped, column, out=shifted)
    np.exp(shifted, out=e)
    if x.dtype == np.float64:
        tail = _subtraction_error(clipped, column, shifted, work)
        tail *= e
        e += tail

    largest = np.equal(shifted, 0.0, out=clipped)
    np.sum(largest, axis=-1, keepdims=True, out=column)
    column -= 1.0
    below = np.subtract(e, largest, out=largest)
    column += below.sum(axis=-1, keepdims=True, out=work.like("softmax.below", column))
    return shifted, e, column


def _subtraction_error(x: FloatArray, m: FloatArray, d: FloatArray, work: Workspace) -> FloatArray:
    """t = x - m - d for d = x - m as computed.

    exp would turn the rounding error of d into a relative one of |d| half units; exp(d + t) = exp(d) (1 + t). This is
    Knuth's two-sum (The Art of Computer Programming 2, section 4.2.2), which may overwrite ``x``.
    """
    t = work.like("softmax.tail", x)
    with np.errstate(invalid="ignore"):
        np.subtract(d, x, out=t)
        x -= np.subtract(d, t, out=work.like("softmax.back", x))
        t += m
        np.subtract(x, t, out=t)
    return np.fmax(t, -1.0, out=t)  # where d is -inf, t is NaN, and any number does in its place
