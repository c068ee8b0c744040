"""Errors in units in the last place, measured against mpmath.

The unit (ulp) of an exact result is the distance between neighbouring numbers at that result rounded to the dtype, as
:func:`numpy.spacing` gives it; for subnormal results that is the smallest subnormal number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Decimal digits of mpmath's arithmetic: float64's 16, and as many again for sums that cancel.
DIGITS = 40


@dataclass(frozen=True)
class Truth:
    """Exact numbers as ``rounded + remainder ulp``: the nearest ones of a dtype, and what is missing, in units."""

    rounded: Array
    remainder: NDArray[np.float64]

    @property
    def ulp(self) -> NDArray[np.float64]:
        """The unit of each number; that of the largest finite one where the rounded number is infinite."""
        largest = np.nextafter(np.finfo(self.rounded.dtype).max, 0, dtype=self.rounded.dtype)
        return np.spacing(np.minimum(np.abs(self.rounded), largest)).astype(np.float64)

    def error(self, computed: Array) -> NDArray[np.float64]:
        """|computed - exact| in units of the exact number; infinite for NaN, and where only one of them overflows."""
        if computed.dtype != self.rounded.dtype:
            raise TypeError(f"computed: expected {self.rounded.dtype} as the exact numbers, got {computed.dtype}")
        with np.errstate(invalid="ignore", over="ignore"):
            units = (computed.astype(np.float64) - self.rounded) / self.ulp
        units[computed == self.rounded] = 0.0
        return np.nan_to_num(np.abs(units - self.remainder), nan=np.inf, posinf=np.inf)


def truth(exact: Sequence[Any], dtype: Any) -> Truth:
    """Numbers of mpmath, to be called inside :func:`mpmath.workdps` with :data:`DIGITS`, as a :class:`Truth`."""
    with np.errstate(over="ignore"):
        rounded = np.array([float(number) for number in exact], np.float64).astype(dtype)
    nearest = Truth(rounded, np.zeros(rounded.shape))
    missing = zip(exact, rounded, nearest.ulp, strict=True)
    remainder = [float((e - float(r)) / float(u)) if np.isfinite(r) else 0.0 for e, r, u in missing]
    return Truth(rounded, np.array(remainder))
