"""Activations that work entry by entry: each function beside its analytic derivative.

Every function takes an array ``x`` of float32 or float64 and returns an array of its shape and dtype. It writes into
``out`` where that is given, and takes temporary arrays from ``work``, so that a layer that passes both allocates
nothing. TypeError is raised for any other dtype.

The formulas have no branches: ``max(x, 0)`` and ``min(x, 0)`` split the line at 0, and exponentials have only
arguments <= 0. So nothing overflows, the tails keep their digits down to the smallest number, the values at +-inf are
the limits, NaN gives NaN, and no element takes a slow path (``numpy.where`` costs more than ``numpy.exp``). Two
abbreviations: e(x) = exp(-|x|), and the unit step [x > 0], which is 0 at 0 and NaN at NaN.

At a kink the derivative is the one PyTorch takes, the left one for all but Hardtanh, where it is the outer one: 0 for
ReLU at 0, the slope for LeakyReLU and PReLU at 0, alpha for ELU at 0 (scale alpha for SELU), 0 for Hardtanh at both
ends.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.checks import float_array
from numpy_nn._support.workspace import FloatArray, Workspace

Out = FloatArray | None
Work = Workspace | None

# Klambauer et al., "Self-Normalizing Neural Networks" (2017), eq. 14.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def prepare(x: ArrayLike, out: Out, work: Work) -> tuple[FloatArray, FloatArray, Workspace]:
    """The arguments of an activation, checked, with arrays of its own for what is not given.

    An ``x`` that ``out`` overwrites is copied first: the formulas go on reading it. ValueError for an ``out`` of
    another shape, TypeError for one of another dtype.
    """
    array = float_array(x, "x")
    if out is None:
        out = np.empty(array.shape, array.dtype)
    elif out.shape != array.shape:
        raise ValueError(f"out: expected shape {array.shape}, got {out.shape}")
    elif out.dtype != array.dtype:
        raise TypeError(f"out: expected {array.dtype}, got {out.dtype}")
    elif np.may_share_memory(out, array):
        array = array.copy()
    return array, out, Workspace() if work is None else work


def step(x: FloatArray, out: FloatArray, work: Workspace) -> FloatArray:
    """[x > 0], as sign(max(x, 0)), which unlike a comparison passes NaN on; sign in place takes seven times as long."""
    return np.sign(np.maximum(x, 0.0, out=work.like("positive", x)), out=out)


def _exp_minus_abs(x: FloatArray, out: FloatArray) -> FloatArray:
    """e(x) = exp(-|x|)."""
    return np.exp(np.negative(np.abs(x, out=out), out=out), out=out)


def restore_tail(y: FloatArray, x: FloatArray, tail: FloatArray, work: Workspace) -> FloatArray:
    """``y`` times exp(tail) where x < 0; overwrites ``tail``.

    Where y falls like exp(w) on the negative side, and ``tail`` is what w lost to rounding, this puts it back. Without
    it exp would turn the relative error of w, half a unit, into |w| half units.
    """
    tail *= np.less(x, 0.0, out=work("below zero", x.shape, np.bool_))
    y *= np.exp(tail, out=tail)
    return y


def finite(x: FloatArray, out: FloatArray) -> FloatArray:
    """``x`` with +-inf replaced by the largest finite numbers, for products whose other factor tends to 0."""
    limit = np.finfo(x.dtype).max
    return np.clip(x, -limit, limit, out=out)


def identity(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x."""
    x, out, _ = prepare(x, out, work)
    return np.positive(x, out=out)


def identity_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """1."""
    x, out, _ = prepare(x, out, work)
    return np.clip(x, 1.0, 1.0, out=out)


def sigmoid(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """1 / (1 + exp(-x)), computed as exp(min(x, 0)) / (1 + e(x))."""
    x, out, work = prepare(x, out, work)
    e = _exp_minus_abs(x, work.like("sigmoid.e", x))
    np.exp(np.minimum(x, 0.0, out=out), out=out)
    out /= np.add(e, 1.0, out=e)
    return out


def sigmoid_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """e / (1 + e)^2 with e = e(x), which equals s (1 - s) without that form's cancellation where s is near 1."""
    x, out, work = prepare(x, out, work)
    e = _exp_minus_abs(x, work.like("sigmoid.e", x))
    np.square(np.add(e, 1.0, out=out), out=out)
    return np.divide(e, out, out=out)


def tanh(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    x, out, _ = prepare(x, out, work)
    return np.tanh(x, out=out)


def tanh_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """4 e / (1 + e)^2 with e = e(2 x), which equals 1 - tanh(x)^2 without that form's cancellation."""
    x, out, work = prepare(x, out, work)
    e = work.like("tanh.e", x)
    # The product is cut off where e is 0 anyway, so that it cannot overflow.
    np.minimum(np.abs(x, out=e), 1000.0, out=e)
    e *= -2.0
    np.exp(e, out=e)
    np.square(np.add(e, 1.0, out=out), out=out)
    np.divide(e, out, out=out)
    out *= 4.0
    return out


def relu(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """max(x, 0)."""
    x, out, _ = prepare(x, out, work)
    return np.maximum(x, 0.0, out=out)


def relu_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """[x > 0]; 0 at 0."""
    x, out, work = prepare(x, out, work)
    return step(x, out, work)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01, out: Out = None, work: Work = None) -> FloatArray:
    """max(x, 0) + negative_slope min(x, 0)."""
    x, out, work = prepare(x, out, work)
    return _two_slopes(x, negative_slope, out, work)


def leaky_relu_derivative(x: ArrayLike, negative_slope: float = 0.01, out: Out = None, work: Work = None) -> FloatArray:
    """1 for x > 0, negative_slope for x <= 0."""
    x, out, work = prepare(x, out, work)
    return _two_slopes_derivative(x, negative_slope, out, work)


def prelu(x: ArrayLike, weight: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """max(x, 0) + weight min(x, 0): LeakyReLU with one learned slope, or one for each column.

    ``weight`` has the dtype of ``x`` and the shape (), (1,) or (C,), where C is the length of the last axis of ``x``.
    """
    x, out, work = prepare(x, out, work)
    return _two_slopes(x, _slope(x, weight), out, work)


def prelu_derivative(x: ArrayLike, weight: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """The derivative with respect to x: 1 for x > 0, weight for x <= 0. That with respect to weight is min(x, 0)."""
    x, out, work = prepare(x, out, work)
    return _two_slopes_derivative(x, _slope(x, weight), out, work)


def _slope(x: FloatArray, weight: ArrayLike) -> FloatArray:
    slope = float_array(weight, "weight")
    if slope.dtype != x.dtype:
        raise TypeError(f"weight: expected {x.dtype} as in x, got {slope.dtype}")
    if slope.shape not in ((), (1,), x.shape[-1:]):
        raise ValueError(f"weight: expected shape (), (1,) or {x.shape[-1:]}, got {slope.shape}")
    return slope


def _two_slopes(x: FloatArray, slope: Any, out: FloatArray, work: Workspace) -> FloatArray:
    below = np.minimum(x, 0.0, out=work.like("below", x))
    with np.errstate(over="ignore"):  # a slope > 1 makes the largest numbers inf, as it should
        below *= slope
    np.maximum(x, 0.0, out=out)
    out += below
    return out


def _two_slopes_derivative(x: FloatArray, slope: Any, out: FloatArray, work: Workspace) -> FloatArray:
    """[x > 0] + slope (1 - [x > 0])."""
    above = step(x, out, work)
    below = np.subtract(1.0, above, out=work.like("below", x))
    below *= slope
    out += below
    return out


def elu(x: ArrayLike, alpha: float = 1.0, out: Out = None, work: Work = None) -> FloatArray:
    """max(x, 0) + alpha (exp(min(x, 0)) - 1), after Clevert, Unterthiner and Hochreiter (2016)."""
    x, out, work = prepare(x, out, work)
    below = work.like("below", x)
    np.expm1(np.minimum(x, 0.0, out=below), out=below)
    below *= alpha
    np.maximum(x, 0.0, out=out)
    out += below
    return out


def elu_derivative(x: ArrayLike, alpha: float = 1.0, out: Out = None, work: Work = None) -> FloatArray:
    """1 for x > 0, alpha exp(x) for x <= 0, computed as [x > 0] + alpha (exp(min(x, 0)) - [x > 0])."""
    x, out, work = prepare(x, out, work)
    above, below = step(x, out, work), work.like("below", x)
    np.exp(np.minimum(x, 0.0, out=below), out=below)
    below -= above
    below *= alpha
    out += below
    return out


def selu(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """scale elu(x, alpha) with the two constants that keep mean 0 and variance 1 from layer to layer."""
    x, out, work = prepare(x, out, work)
    elu(x, SELU_ALPHA, out=out, work=work)
    with np.errstate(over="ignore"):  # scale > 1: the largest numbers become inf, as they should
        out *= SELU_SCALE
    return out


def selu_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """scale for x > 0, scale alpha exp(x) for x <= 0."""
    x, out, work = prepare(x, out, work)
    elu_derivative(x, SELU_ALPHA, out=out, work=work)
    out *= SELU_SCALE
    return out


def silu(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x s(x), with s the sigmoid."""
    x, out, work = prepare(x, out, work)
    sigmoid(x, out=out, work=work)
    out *= np.maximum(x, np.finfo(x.dtype).min, out=work.like("silu.x", x))  # -inf would make the product -inf 0
    return out


def silu_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """s(x) (1 + x s(-x)), computed as exp(min(x, 0)) (1 + e + x exp(-max(x, 0))) / (1 + e)^2 with e = e(x)."""
    x, out, work = prepare(x, out, work)
    e, scratch = work.like("silu.e", x), work.like("silu.x", x)
    np.exp(np.negative(np.maximum(x, 0.0, out=e), out=e), out=e)
    np.multiply(finite(x, scratch), e, out=out)
    _exp_minus_abs(x, e)
    e += 1.0
    out += e
    out /= e
    out /= e
    out *= np.exp(np.minimum(x, 0.0, out=scratch), out=scratch)
    return out


def softplus(x: ArrayLike, beta: float = 1.0, out: Out = None, work: Work = None) -> FloatArray:
    """log(1 + exp(beta x)) / beta, computed as max(x, 0) + log1p(e(beta x)) / beta; no threshold is needed.

    Raises ValueError unless beta > 0.
    """
    x, out, work = prepare(x, out, work)
    scaled, tail = _scaled(x, beta, work)
    _exp_minus_abs(scaled, scaled)
    np.log1p(scaled, out=scaled)
    scaled /= beta
    np.maximum(x, 0.0, out=out)
    out += scaled
    return out if tail is None else restore_tail(out, x, tail, work)


def softplus_derivative(x: ArrayLike, beta: float = 1.0, out: Out = None, work: Work = None) -> FloatArray:
    """s(beta x), with s the sigmoid."""
    x, out, work = prepare(x, out, work)
    scaled, tail = _scaled(x, beta, work)
    sigmoid(scaled, out=out, work=work)
    return out if tail is None else restore_tail(out, x, tail, work)


def _scaled(x: FloatArray, beta: float, work: Workspace) -> tuple[FloatArray, FloatArray | None]:
    """beta x and what it lost to rounding: None if beta is a power of two, and nothing was lost.

    The exponential is 0 or 1 long before the clip at 1e4 tells, and the product cannot overflow. Its tail is Dekker's
    (Numerische Mathematik 18, 1971, 224-242): the product of two numbers of half the digits is exact.
    """
    if not 0.0 < beta < math.inf:
        raise ValueError(f"beta: expected a finite number > 0, got {beta}")
    scaled = work.like("softplus.x", x)
    limit = min(1e4 / beta, float(np.finfo(x.dtype).max))
    np.clip(x, -limit, limit, out=scaled)
    if math.frexp(beta)[0] == 0.5:
        scaled *= beta
        return scaled, None
    factor = np.asarray(beta, x.dtype)
    factor_head = _head(factor, np.empty_like(factor))
    head, low, tail = _head(scaled, work.like("softplus.head", x)), work.like("softplus.low", x), work.like("tail", x)
    np.subtract(scaled, head, out=low)
    np.multiply(scaled, factor - factor_head, out=tail)
    scaled *= factor
    head *= factor_head
    head -= scaled
    tail += head
    low *= factor_head
    tail += low
    return scaled, tail


def _head(x: FloatArray, out: FloatArray) -> FloatArray:
    """``x`` cut off after half of its digits: the lower bits of the mantissa are set to 0."""
    bits, mask = (np.uint32, 0xFFFFF000) if x.dtype == np.float32 else (np.uint64, 0xFFFFFFFFF8000000)
    return np.bitwise_and(x.view(bits), bits(mask), out=out.view(bits)).view(x.dtype)


def hardtanh(
    x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, out: Out = None, work: Work = None
) -> FloatArray:
    """min(max(x, min_val), max_val). Raises ValueError unless min_val < max_val."""
    x, out, _ = prepare(x, out, work)
    _check_ordered(min_val, max_val)
    return np.clip(x, min_val, max_val, out=out)


def hardtanh_derivative(
    x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, out: Out = None, work: Work = None
) -> FloatArray:
    """[min_val < x < max_val]."""
    x, out, work = prepare(x, out, work)
    _check_ordered(min_val, max_val)
    below_max = work.like("hardtanh.max", x)
    step(np.subtract(max_val, x, out=below_max), below_max, work)
    step(np.subtract(x, min_val, out=out), out, work)
    out *= below_max
    return out


def _check_ordered(min_val: float, max_val: float) -> None:
    if not min_val < max_val:
        raise ValueError(f"min_val: expected a number below max_val = {max_val}, got {min_val}")
