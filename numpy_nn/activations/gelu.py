"""GELU and its tanh form, each beside its derivative; arguments and errors as in ``elementwise``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.checks import choice
from numpy_nn._support.workspace import FloatArray, Workspace
from numpy_nn.activations.elementwise import Out, Work, prepare, restore_tail, sigmoid, sigmoid_derivative
from numpy_nn.activations.normal import normal_pdf_and_cdf, pdf_and_cdf_in

# Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), section 2: the tanh form's two constants.
TANH_SCALE = math.sqrt(2.0 / math.pi)
TANH_CUBIC = 0.044715

# 2 sqrt(2 / pi) and 0.044715 times it, each as a multiple of 2^-16 and the rest: tests/activations/test_accuracy.py
# derives them.
TANH_LINEAR_HEAD, TANH_LINEAR_TAIL = 104580 / 2**16, 4.96144948071176e-06
TANH_CUBIC_HEAD, TANH_CUBIC_TAIL = 4676 / 2**16, 4.718616350248776e-06


def gelu(x: ArrayLike, approximate: str = "none", out: Out = None, work: Work = None) -> FloatArray:
    """x Phi(x), with Phi the normal distribution function; x s(w(x)) if ``approximate="tanh"``.

    There s is the sigmoid and w(x) = 2 sqrt(2 / pi) (x + 0.044715 x^3); s(w) = (1 + tanh(w / 2)) / 2 without the
    cancellation. Float32 is computed in float64 and rounded at the end. Raises ValueError for another ``approximate``.
    """
    x, out, work = prepare(x, out, work)
    if choice(approximate, "approximate", ("none", "tanh")) == "none":
        pdf, gate = normal_pdf_and_cdf(x, work)
    else:
        w, _ = _tanh_argument(x, work)
        gate = sigmoid(w, out=work.like("gelu.gate", w), work=work)
    np.maximum(x, np.finfo(x.dtype).min, out=out)  # -inf would make the product -inf 0
    np.multiply(out, gate, out=out, casting="same_kind")
    if x.dtype == np.float64:
        if approximate == "tanh":
            restore_tail(out, x, _tanh_tail(x, w, work), work)
        else:
            _restore_far_tail(out, x, pdf, work)
    return out


def _restore_far_tail(out: FloatArray, x: FloatArray, pdf: FloatArray, work: Workspace) -> None:
    """Write x Phi(x) into ``out`` where Phi(x) is subnormal and has few digits left, though the product has all.

    There x Phi(x) = -phi(x) (1 - 1 / x^2 + 3 / x^4 - 15 / x^6 + ...) (Abramowitz and Stegun, 26.2.12). Below -37 the
    first term left out is less than 2e-17.
    """
    far = np.less(x, -37.0, out=work("gelu.far", x.shape, np.bool_))
    if far.any():
        u, series = work.like("gelu.u", x), work.like("gelu.series", x)
        np.divide(1.0, np.square(np.clip(x, -40.0, -37.0, out=u), out=u), out=u)
        series.fill(1.0)
        for k in (11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
            series *= u
            series *= -k
            series += 1.0
        series *= pdf
        np.copyto(out, np.negative(series, out=series), where=far)


def gelu_derivative(x: ArrayLike, approximate: str = "none", out: Out = None, work: Work = None) -> FloatArray:
    """Phi(x) + x phi(x); s(w) + x s'(w) w'(x) if ``approximate="tanh"``."""
    x, out, work = prepare(x, out, work)
    if choice(approximate, "approximate", ("none", "tanh")) == "none":
        normal_pdf_and_cdf(x, work)
        return gelu_derivative_after(x, out=out, work=work)
    w, slope = _tanh_argument(x, work)
    slope *= sigmoid_derivative(w, out=work.like("gelu.gate", w), work=work)
    gate = sigmoid(w, out=work.like("gelu.gate", w), work=work)
    np.add(gate, slope, out=out, casting="same_kind")
    if x.dtype == np.float64:
        restore_tail(out, x, _tanh_tail(x, w, work), work)
    return out


def gelu_derivative_after(x: FloatArray, approximate: str = "none", *, out: FloatArray, work: Workspace) -> FloatArray:
    """The same where ``gelu(x, approximate, work=work)`` was the last call: phi and Phi are in ``work`` already."""
    if approximate == "tanh":
        return gelu_derivative(x, approximate, out, work)
    pdf, cdf = pdf_and_cdf_in(work, x.shape)
    # Beyond 40 the density is 0; the clip spares it the product 0 inf.
    slope = np.clip(x, -40.0, 40.0, out=work.like("gelu.slope", pdf))
    slope *= pdf
    return np.add(cdf, slope, out=out, casting="same_kind")


def _tanh_argument(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray]:
    """w(x) = 2 sqrt(2 / pi) (x + 0.044715 x^3) and x w'(x), in float64, as if |x| were at most 40 and w at least -708.

    So exp(w) is a normal number. What w lacks below -708 is, in float64, part of :func:`_tanh_tail`.
    """
    clipped, w, slope = (work(f"gelu.{name}", x.shape, np.float64) for name in ("x", "w", "slope"))
    np.clip(x, -40.0, 40.0, out=clipped)
    np.square(clipped, out=w)
    np.multiply(w, 3.0 * (TANH_CUBIC_HEAD + TANH_CUBIC_TAIL), out=slope)
    w *= TANH_CUBIC_HEAD + TANH_CUBIC_TAIL
    for factor in (w, slope):
        factor += TANH_LINEAR_HEAD + TANH_LINEAR_TAIL
        factor *= clipped
    return np.maximum(w, -708.0, out=w), slope


def _tanh_tail(x: FloatArray, w: FloatArray, work: Workspace) -> FloatArray:
    """w(x) minus its computed ``w``, in float64.

    With h = x rounded to 1/256 and the heads A and C of the two coefficients a and c, h (A + C h^2) has at most 53
    bits, so it is exact. The rest of w(x) = a x + c x^3, of which l = x - h is a factor or a coefficient's tail, is
    small enough for its own rounding not to tell.
    """
    clipped, h, low, tail, scratch = (work.like(f"gelu.tail.{name}", x) for name in ("x", "h", "l", "tail", "scratch"))
    np.clip(x, -40.0, 40.0, out=clipped)
    np.rint(np.multiply(clipped, 256.0, out=h), out=h)
    h /= 256.0
    np.subtract(clipped, h, out=low)

    np.square(h, out=tail)
    tail *= TANH_CUBIC_HEAD
    tail += TANH_LINEAR_HEAD
    tail *= h
    tail -= w

    # l (A + C (3 h x + l^2)), as x^3 - h^3 = l (3 h x + l^2)
    h *= clipped
    h *= 3.0
    h += np.square(low, out=scratch)
    h *= TANH_CUBIC_HEAD
    h += TANH_LINEAR_HEAD
    h *= low
    tail += h

    # x ((a - A) + (c - C) x^2)
    np.square(clipped, out=scratch)
    scratch *= TANH_CUBIC_TAIL
    scratch += TANH_LINEAR_TAIL
    scratch *= clipped
    tail += scratch
    return tail
