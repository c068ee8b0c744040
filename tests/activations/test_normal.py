"""The normal distribution against mpmath, and where its coefficients come from."""

import mpmath
import numpy as np
import pytest

from numpy_nn._support.workspace import Workspace
from numpy_nn.activations.normal import MILLS, normal_pdf_and_cdf


def mills(t):
    """Mills' ratio Q(t) / phi(t)."""
    return mpmath.sqrt(mpmath.pi / 2) * mpmath.erfc(t / mpmath.sqrt(2)) * mpmath.exp(t * t / 2)


def test_the_coefficients_are_the_chebyshev_interpolation_that_the_comment_names():
    with mpmath.workdps(40):
        n = 60
        angles = [mpmath.pi * (2 * j + 1) / (2 * n) for j in range(n)]
        nodes = [4 * (1 + mpmath.cos(a)) / (1 - mpmath.cos(a)) for a in angles]
        values = [(1 + t) * mills(t) for t in nodes]
        series = [
            2 * sum(f * mpmath.cos(i * a) for f, a in zip(values, angles, strict=True)) / n for i in range(len(MILLS))
        ]
        series[0] /= 2
        powers = [mpmath.mpf(0)] * len(MILLS)
        previous, current = [mpmath.mpf(1)], [mpmath.mpf(0), mpmath.mpf(1)]
        for coefficient in series:
            for power, factor in enumerate(previous):
                powers[power] += coefficient * factor
            following = [mpmath.mpf(0), *(2 * c for c in current)]
            for power, factor in enumerate(previous):
                following[power] -= factor
            previous, current = current, following
        assert tuple(float(p) for p in powers) == MILLS


@pytest.mark.slow
@pytest.mark.numerical
def test_density_and_distribution_function_are_good_to_six_units_in_the_last_place():
    magnitudes = np.concatenate([np.linspace(0, 8, 801), np.geomspace(1e-300, 37, 400)])
    x = np.concatenate([-magnitudes, magnitudes])
    pdf, cdf = normal_pdf_and_cdf(x, Workspace())
    with mpmath.workdps(40):
        for computed, exact in ((pdf, mpmath.npdf), (cdf, mpmath.ncdf)):
            truth = [exact(mpmath.mpf(float(v))) for v in x]
            for v, c, t in zip(x, computed, truth, strict=True):
                if t >= np.finfo(np.float64).tiny:
                    assert abs(c - t) <= 6 * np.spacing(float(t)), v


def test_float32_input_is_computed_in_float64():
    x = np.linspace(-9, 9, 101, dtype=np.float32)
    pdf, cdf = normal_pdf_and_cdf(x, Workspace())
    same_pdf, same_cdf = normal_pdf_and_cdf(x.astype(np.float64), Workspace())
    np.testing.assert_array_equal(pdf, same_pdf)
    np.testing.assert_array_equal(cdf, same_cdf)


def test_limits():
    pdf, cdf = normal_pdf_and_cdf(np.array([-np.inf, -1e300, 1e300, np.inf, np.nan]), Workspace())
    np.testing.assert_array_equal(pdf, [0, 0, 0, 0, np.nan])
    np.testing.assert_array_equal(cdf, [0, 0, 1, 1, np.nan])
