"""The standard normal distribution in NumPy alone, as GELU needs it: NumPy has no erf.

For t >= 0 the upper tail is Q(t) = phi(t) R(t), where R is Mills' ratio. (1 + t) R(t) runs smoothly from sqrt(pi / 2)
at 0 to 1 at infinity, so one polynomial in v = (t - 4) / (t + 4), which maps [0, inf) to [-1, 1), serves the whole
half line without a branch; the idea is Shepherd and Laframboise's (Mathematics of Computation 36, 1981, 249-253) for
erfc. ``tests/activations/test_normal.py`` derives the coefficients again with mpmath.
"""

from __future__ import annotations

import math

import numpy as np

from numpy_nn._support.workspace import FloatArray, Workspace

# Chebyshev interpolation of (1 + t) R(t) on 60 nodes, cut after 24 terms, in powers of v; lowest first.
# fmt: off
MILLS = (
    1.1832619145678034, -0.2423996705218081, 0.03509188023476339, 0.07169048120143744,
    -0.08070800967978549, 0.04495912907706981, -0.01253910360671188, -0.0007159509052838121,
    0.001741848641757937, -0.00023670175882712258, -0.00022021482490664187, 5.3266970938315365e-05,
    3.4156106940806135e-05, -8.606187876096938e-06, -6.546928120500802e-06, 1.0194890870987357e-06,
    1.3805876779523012e-06, -3.101083609757584e-09, -2.7628944223830873e-07, -4.494916382038613e-08,
    4.372207364651429e-08, 1.3723059452459651e-08, -3.874300207686973e-09, -1.6952996818880583e-09,
)
# fmt: on


def normal_pdf_and_cdf(x: FloatArray, work: Workspace) -> tuple[FloatArray, FloatArray]:
    """The density phi(x) and the distribution function Phi(x), in float64 whatever the dtype of ``x``.

    Both arrays belong to ``work``. Good to 6 units in the last place while the result is a normal number.
    """
    shape, double = x.shape, np.float64
    t, s, v = (work(name, shape, double) for name in ("normal.t", "normal.s", "normal.v"))
    pdf, cdf = pdf_and_cdf_in(work, shape)

    # Beyond 40 both phi and the tail are 0 in float64, and a finite t keeps inf - inf out of what follows.
    np.minimum(np.abs(x, out=t), 40.0, out=t)

    # exp(-t^2 / 2) would magnify the rounding of t^2 by t^2 / 2. With s = t rounded to sixteenths, s^2 is exact and
    # t^2 = s^2 + (t - s)(t + s), so phi is the product of two exponentials without that loss.
    np.multiply(t, 16.0, out=s)
    np.rint(s, out=s)
    s /= 16.0
    np.subtract(t, s, out=v)
    np.add(t, s, out=cdf)
    v *= cdf
    v *= -0.5
    np.exp(v, out=v)
    np.multiply(s, s, out=s)
    s *= -0.5
    np.exp(s, out=pdf)
    pdf *= v
    pdf *= 1.0 / math.sqrt(2.0 * math.pi)

    np.subtract(t, 4.0, out=v)
    v /= np.add(t, 4.0, out=s)
    tail = cdf
    tail.fill(MILLS[-1])
    for coefficient in MILLS[-2::-1]:
        tail *= v
        tail += coefficient
    tail /= np.add(t, 1.0, out=s)
    tail *= pdf

    # Phi(x) is the tail Q(-x) for x <= 0 and 1 - Q(x) = Q + (1 - 2 Q) for x > 0.
    np.multiply(tail, -2.0, out=v)
    v += 1.0
    v *= np.greater(x, 0.0, out=s)
    cdf += v
    return pdf, cdf


def pdf_and_cdf_in(work: Workspace, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Where :func:`normal_pdf_and_cdf` leaves its two results."""
    return work("normal.pdf", shape, np.float64), work("normal.cdf", shape, np.float64)
