"""Softsign, log-sigmoid and Mish, each beside its derivative; arguments and errors as in ``elementwise``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.activations.elementwise import Out, Work, finite, prepare, sigmoid, softplus


def softsign(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x / (1 + |x|)."""
    x, out, work = prepare(x, out, work)
    size = finite(x, work.like("softsign.x", x))  # at +-inf the quotient would be inf / inf
    np.add(np.abs(size, out=out), 1.0, out=out)
    return np.divide(size, out, out=out)


def softsign_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """1 / (1 + |x|)^2, by two divisions: the square would overflow long before the quotient is 0."""
    x, out, work = prepare(x, out, work)
    size = np.abs(x, out=work.like("softsign.x", x))
    size += 1.0
    np.divide(1.0, size, out=out)
    out /= size
    return out


def logsigmoid(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """log s(x) = -log(1 + exp(-x)), with s the sigmoid: -softplus(-x)."""
    x, out, work = prepare(x, out, work)
    softplus(np.negative(x, out=work.like("logsigmoid.x", x)), out=out, work=work)
    return np.negative(out, out=out)


def logsigmoid_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """s(-x)."""
    x, out, work = prepare(x, out, work)
    return sigmoid(np.negative(x, out=work.like("logsigmoid.x", x)), out=out, work=work)


def mish(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x tanh(softplus(x)), after Misra, "Mish: A Self Regularized Non-Monotonic Activation Function" (2019).

    With a = exp(min(x, 0)) and b = exp(-max(x, 0)), of which one is 1, exp(x) is a / b, and tanh(log(1 + exp(x))) =
    ((1 + exp(x))^2 - 1) / ((1 + exp(x))^2 + 1) is a (a + 2 b) / d with d = a^2 + 2 a b + 2 b^2. That is 1 - 2 b^2 / d
    for x > 0 and a (1 - a (1 + a) / d) for x < 0, which keeps more digits; of the two subtrahends the smaller one is
    due. Float32 is computed in float64 and rounded at the end.
    """
    x, out, work = prepare(x, out, work)
    a, b, d = _mish_parts(x, work)
    less = np.square(b, out=work.like("mish.less", b))
    less *= 2.0
    t = np.add(a, 1.0, out=_mish_t(a, work))
    t *= a
    np.minimum(less, t, out=less)
    less /= d
    np.subtract(1.0, less, out=t)
    t *= a
    np.maximum(x, np.finfo(x.dtype).min, out=out)  # -inf would make the product -inf 0
    return np.multiply(out, t, out=out, casting="same_kind")


def mish_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """t + x (1 - t^2) s(x) with t = tanh(softplus(x)) and s the sigmoid.

    In the terms of :func:`mish`, t is a (a + 2 b) / d, 1 - t^2 is 4 b^2 (a + b)^2 / d^2 and s is a / (a + b). What a
    tail tends to, 1 and a (x + 1), is taken out of the sum, and the rest is small there::

        1 + b^2 (4 x - 2 + 4 b (x - 1 - b)) / d^2                              for x > 0
        a (x + 1 - a ((4 x + 2) (1 + 2 a) + a^2 (4 x + 3 + a (x + 1))) / d^2)  for x < 0

    The sum cancels where the derivative has its zero, at -1.19, and nowhere else.
    """
    x, out, work = prepare(x, out, work)
    _mish_parts(x, work)
    return _mish_derivative_of_parts(x, out, work)


def mish_derivative_after(x: FloatArray, *, out: FloatArray, work: Workspace) -> FloatArray:
    """The same where ``mish(x, work=work)`` was the last call: a, b, d and t are in ``work`` already.

    In float64 float32's own sum t + x (1 - t^2) s, with (1 - t^2) s = 4 a b^2 (a + b) / d^2, has digits to spare.
    """
    if x.dtype == np.float64:
        return _mish_derivative_of_parts(x, out, work)
    a, b, d = _mish_arrays(x, work)
    rest = np.add(a, b, out=work.like("mish.rest", a))
    for factor in (a, b, b, 4.0, _mish_clipped(x, work)):
        rest *= factor
    rest /= d
    rest /= d
    return np.add(rest, _mish_t(a, work), out=out, casting="same_kind")


def _mish_derivative_of_parts(x: FloatArray, out: FloatArray, work: Workspace) -> FloatArray:
    """The sums of :func:`mish_derivative`, with a, b and d in ``work``."""
    a, b, d = _mish_arrays(x, work)
    clipped = _mish_clipped(x, work)
    rest, below, term = (work.like(f"mish.{name}", a) for name in ("rest", "below", "term"))

    # The rest, without d: for x > 0,
    np.subtract(clipped, 1.0, out=rest)
    rest -= b
    rest *= b
    rest += clipped
    rest *= 4.0
    rest -= 2.0
    rest *= b
    rest *= b

    # and for x < 0, where it is put in the other's place.
    np.add(clipped, 1.0, out=below)
    below *= a
    below += np.add(np.multiply(clipped, 4.0, out=term), 3.0, out=term)
    below *= a
    below *= a
    term -= 1.0
    below += term
    term *= a
    term *= 2.0
    below += term
    below *= a
    np.negative(below, out=rest, where=np.less(x, 0.0, out=work("below zero", x.shape, np.bool_)))

    rest /= d
    rest /= d
    np.minimum(clipped, 0.0, out=clipped)  # the first term: 1, or x + 1
    clipped += 1.0
    rest += clipped
    return np.multiply(rest, a, out=out, casting="same_kind")


def _mish_arrays(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where a, b and d are."""
    return work("mish.a", x.shape, np.float64), work("mish.b", x.shape, np.float64), work("mish.d", x.shape, np.float64)


def _mish_t(a: FloatArray, work: Workspace) -> FloatArray:
    """Where :func:`mish` leaves t."""
    return work.like("mish.t", a)


def _mish_clipped(x: FloatArray, work: Workspace) -> FloatArray:
    """x in float64, within +-1000: beyond, a or b is 0, and is spared the product with infinity."""
    clipped = work("mish.x", x.shape, np.float64)
    np.copyto(clipped, x)
    return np.clip(clipped, -1000.0, 1000.0, out=clipped)


def _mish_parts(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray, FloatArray]:
    """a, b and d as in :func:`mish`, in float64."""
    a, b, d = _mish_arrays(x, work)
    np.copyto(a, x)
    np.exp(np.negative(np.maximum(a, 0.0, out=b), out=b), out=b)
    np.exp(np.minimum(a, 0.0, out=a), out=a)
    # As a^2 + 2 b (a + b).
    np.add(a, b, out=d)
    d *= 2.0
    d *= b
    d += np.square(a, out=work.like("mish.square", a))
    return a, b, d
